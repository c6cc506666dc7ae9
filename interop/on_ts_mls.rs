//! Somebody on ts-mls: a Node.js process, spoken to in lines (`ts-mls/person.mjs`).

use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::{HELLO, Invitation, Person, Result};

pub(crate) struct OnTsMls(RefCell<Process>);

struct Process {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl OnTsMls {
    /// `form` of the signature key: `uncompressed`, or what ts-mls makes.
    pub(crate) fn new(name: &str, suite: u16, form: Option<&str>) -> Result<Self> {
        let mut child = Command::new("node")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/ts-mls/person.mjs"))
            .args([name, &suite.to_string()])
            .args(form)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (requests, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let answers = BufReader::new(answers);
        Ok(Self(RefCell::new(Process {
            child,
            requests,
            answers,
        })))
    }

    fn ask(&self, request: &str) -> Result<Vec<Vec<u8>>> {
        let mut process = self.0.borrow_mut();
        writeln!(process.requests, "{request}")?;
        let mut answer = String::new();
        process.answers.read_line(&mut answer)?;
        let answer = answer.trim_end();
        match answer.strip_prefix("error ") {
            Some(error) => Err(error.into()),
            None if answer.is_empty() => panic!("ts-mls does not answer: `scripts/interop` installs it"),
            None => answer.split(' ').map(bytes).collect(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Person for OnTsMls {
    fn key_package(&self) -> Result<Vec<u8>> {
        let mut answer = self.ask("key_package")?;
        answer.pop().ok_or("no KeyPackage".into())
    }

    fn invite(&self, bare: &[u8]) -> Result<Invitation> {
        let answer = self.ask(&format!("invite {} {}", hex(bare), hex(HELLO)))?;
        let [welcome, message] = answer.try_into().map_err(|_| "no Welcome and message")?;
        Ok(Invitation { welcome, message })
    }

    fn join_and_read(&self, invitation: &Invitation) -> Result<Vec<u8>> {
        let request = format!(
            "join_and_read {} {}",
            hex(&invitation.welcome),
            hex(&invitation.message)
        );
        let mut answer = self.ask(&request)?;
        answer.pop().ok_or("no text".into())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn bytes(hex: &str) -> Result<Vec<u8>> {
    let byte = |at| Ok(u8::from_str_radix(hex.get(at..at + 2).ok_or("half a byte")?, 16)?);
    (0..hex.len()).step_by(2).map(byte).collect()
}
