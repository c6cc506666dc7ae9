use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::sync::{oneshot, watch};

use super::error::AdapterError;
use super::wire::{Call, Failure, Outcome, Rejection, Request};

/// The most bytes of a line of an adapter.
const LONGEST_LINE: u64 = 16 << 20;
/// How many lines of an adapter's standard error are shown when it dies.
const LAST_WORDS: usize = 12;
/// How much of a line that is no answer is shown.
const SHOWN: usize = 200;
/// How long an adapter may take to end, its standard input closed.
const TO_END: Duration = Duration::from_secs(5);

/// How adapters are started, and how long they may take.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    /// The executable and its arguments.
    pub(crate) command: Vec<OsString>,
    /// How long a call may take.
    pub(crate) timeout: Duration,
    /// Whether every line is shown.
    pub(crate) trace: bool,
}

impl Start {
    /// The command as a person would type it.
    pub(crate) fn shown(&self) -> String {
        let words: Vec<_> = self.command.iter().map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    }
}

/// A running adapter. Threads write its standard input and read its standard output and error, so that it serves any
/// runtime.
#[derive(Debug)]
pub(crate) struct Adapter {
    shared: Arc<Shared>,
    requests: Sender<String>,
    start: Start,
}

#[derive(Debug)]
struct Shared {
    child: Mutex<Child>,
    state: Mutex<State>,
    last_words: Mutex<VecDeque<String>>,
    /// How many requests wait for their answers.
    under_way: watch::Sender<usize>,
    trace: bool,
}

#[derive(Debug, Default)]
struct State {
    /// How many requests were made: the next has this number.
    made: u64,
    waiting: HashMap<u64, oneshot::Sender<Result<Value, Unmet>>>,
    fault: Option<AdapterError>,
}

/// Why a call was not answered with `ok`.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Unmet {
    #[error("{}", kp_core::Rejection::from(*.0))]
    Rejected(Rejection),
    #[error("{}", .0.message)]
    Failed(Failure),
    #[error(transparent)]
    Fault(#[from] AdapterError),
}

/// A panic elsewhere leaves the data whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Adapter {
    pub(crate) fn start(start: &Start) -> Result<Self, AdapterError> {
        let not_started = |why: &dyn ToString| AdapterError::NotStarted {
            command: start.shown(),
            why: why.to_string(),
        };
        let (program, arguments) = start.command.split_first().ok_or_else(|| not_started(&"no command"))?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| not_started(&error))?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let shared = Arc::new(Shared {
            child: Mutex::new(child),
            state: Mutex::default(),
            last_words: Mutex::default(),
            under_way: watch::Sender::new(0),
            trace: start.trace,
        });
        let (requests, lines) = channel();
        if let (Some(stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) {
            thread::spawn(move || write(stdin, &lines));
            let listener = Arc::clone(&shared);
            let (done, heard) = channel();
            thread::spawn(move || {
                listener.listen(stderr);
                let _ = done.send(());
            });
            let reader = Arc::clone(&shared);
            thread::spawn(move || reader.read(stdout, &heard));
        }
        Ok(Self {
            shared,
            requests,
            start: start.clone(),
        })
    }

    /// Makes a request, and gives back what will be its answer.
    pub(crate) fn ask(&self, store: Option<u64>, call: Call) -> Asked {
        let name = call.name();
        let (sender, answer) = oneshot::channel();
        let mut state = lock(&self.shared.state);
        let id = state.made;
        state.made += 1;
        match &state.fault {
            Some(fault) => drop(sender.send(Err(Unmet::Fault(fault.clone())))),
            None => drop(state.waiting.insert(id, sender)),
        }
        self.shared.under_way.send_replace(state.waiting.len());
        if state.fault.is_none() {
            let line = serde_json::to_string(&Request { id, store, call });
            let line = line.unwrap_or_else(|error| panic!("every request can be written: {error}"));
            self.shared.show("->", &line);
            // In the order of their numbers. One that is not written is never answered: its reader says why.
            let _ = self.requests.send(line);
        }
        Asked { call: name, answer }
    }

    /// Waits for the answer of a request, as long as it may take.
    pub(crate) async fn answer<T: DeserializeOwned>(&self, asked: Asked) -> Result<T, Unmet> {
        let Asked { call, answer } = asked;
        let value = match tokio::time::timeout(self.start.timeout, answer).await {
            Ok(Ok(answer)) => answer?,
            Ok(Err(_)) => return Err(Unmet::Fault(self.fault().unwrap_or_else(|| self.hangs(call)))),
            Err(_) => return Err(Unmet::Fault(self.shared.fail(self.hangs(call)))),
        };
        let shown = beginning(value.to_string().as_bytes());
        serde_json::from_value(value).map_err(|error| Unmet::Fault(self.wrong(call, &error, shown)))
    }

    pub(crate) async fn call<T: DeserializeOwned>(&self, store: Option<u64>, call: Call) -> Result<T, Unmet> {
        self.answer(self.ask(store, call)).await
    }

    /// Waits until everything that was asked is answered, also what nobody waits for any more.
    pub(crate) async fn settled(&self) {
        let mut under_way = self.shared.under_way.subscribe();
        let none = under_way.wait_for(|count| *count == 0);
        if tokio::time::timeout(self.start.timeout, none).await.is_err() {
            self.shared.fail(self.hangs("a call whose future was dropped"));
        }
    }

    fn hangs(&self, call: &'static str) -> AdapterError {
        AdapterError::Hangs {
            call,
            seconds: self.start.timeout.as_secs(),
            last_words: self.shared.last_words(),
        }
    }

    /// Ends the adapter, whose answer does not belong to the call.
    pub(crate) fn wrong(&self, call: &'static str, why: &dyn ToString, answer: String) -> AdapterError {
        self.shared.fail(AdapterError::WrongAnswer {
            call,
            why: why.to_string(),
            answer,
        })
    }

    /// Ends the adapter, and waits for that. Returns whether it ended by itself.
    pub(crate) fn end(self) -> bool {
        let shared = Arc::clone(&self.shared);
        drop(self);
        shared.end().is_some_and(|status| status.code().is_some())
    }

    /// What it did wrong, if it did.
    pub(crate) fn fault(&self) -> Option<AdapterError> {
        lock(&self.shared.state).fault.clone()
    }
}

/// Closes its standard input, upon which an adapter ends, and ends one that does not.
impl Drop for Adapter {
    fn drop(&mut self) {
        let (closed, _) = channel();
        self.requests = closed;
        let shared = Arc::clone(&self.shared);
        thread::spawn(move || shared.end());
    }
}

/// A request that was made.
#[derive(Debug)]
pub(crate) struct Asked {
    call: &'static str,
    answer: oneshot::Receiver<Result<Value, Unmet>>,
}

/// Writes requests until there are no more, or nobody reads them.
fn write(mut stdin: ChildStdin, lines: &Receiver<String>) {
    while let Ok(mut line) = lines.recv() {
        line.push('\n');
        if stdin.write_all(line.as_bytes()).and_then(|()| stdin.flush()).is_err() {
            return;
        }
    }
}

/// The beginning of a line, for people.
fn beginning(line: &[u8]) -> String {
    let shown = String::from_utf8_lossy(&line[..line.len().min(SHOWN)]);
    let more = if line.len() > SHOWN { "..." } else { "" };
    // What it prints is not to move the cursor of a terminal.
    let shown = shown.trim_end().replace(char::is_control, "\u{FFFD}");
    format!("{shown}{more}")
}

impl Shared {
    fn show(&self, arrow: &str, line: &str) {
        if self.trace {
            eprintln!("{} {arrow} {}", lock(&self.child).id(), line.trim_end());
        }
    }

    /// Keeps the last lines of the adapter's standard error.
    fn listen(&self, stderr: ChildStderr) {
        for line in BufReader::new(stderr).split(b'\n') {
            let Ok(line) = line else { return };
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            self.show("!!", &line);
            let mut last = lock(&self.last_words);
            if last.len() == LAST_WORDS {
                last.pop_front();
            }
            last.push_back(line);
        }
    }

    fn last_words(&self) -> Vec<String> {
        lock(&self.last_words).iter().cloned().collect()
    }

    /// Reads answers until the adapter ends, or writes what is none.
    fn read(&self, stdout: ChildStdout, heard: &Receiver<()>) {
        let mut stdout = BufReader::new(stdout);
        let mut line = Vec::new();
        loop {
            line.clear();
            match stdout.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line) {
                Ok(_) if line.last() == Some(&b'\n') => {}
                Ok(_) if line.len() as u64 == LONGEST_LINE => {
                    self.fail(AdapterError::EndlessLine { most: LONGEST_LINE });
                    return;
                }
                _ => break,
            }
            self.show("<-", &String::from_utf8_lossy(&line));
            if let Err(fault) = self.take(&line) {
                self.fail(fault);
                return;
            }
        }
        let status = self.end();
        // Its children may hold its standard error open.
        let _ = heard.recv_timeout(Duration::from_secs(1));
        if let Some(status) = status {
            let last_words = self.last_words();
            self.fail(AdapterError::Ended { status, last_words });
        }
    }

    /// Hands an answer to whoever waits for it. One that nobody waits for any more is one all the same.
    fn take(&self, line: &[u8]) -> Result<(), AdapterError> {
        let no_answer = |why: &dyn ToString| AdapterError::NoAnswer {
            why: why.to_string(),
            line: beginning(line),
        };
        let mut answer: Map<String, Value> = serde_json::from_slice(line).map_err(|error| no_answer(&error))?;
        let id = answer.remove("id").and_then(|id| id.as_u64());
        let id = id.ok_or_else(|| no_answer(&"no `id` of a request"))?;
        let outcome = serde_json::from_value(Value::Object(answer.clone()));
        let outcome = outcome.map_err(|error| no_answer(&error))?;
        let answer = match outcome {
            Outcome::Ok(value) => Ok(value),
            Outcome::Rejected(rejection) => Err(Unmet::Rejected(rejection)),
            Outcome::Failed(failure) => Err(Unmet::Failed(failure)),
        };
        let mut state = lock(&self.state);
        let waiting = state.waiting.remove(&id).ok_or(if id < state.made {
            AdapterError::AnsweredTwice { id }
        } else {
            AdapterError::UnknownId { id }
        })?;
        let _ = waiting.send(answer);
        self.under_way.send_replace(state.waiting.len());
        Ok(())
    }

    /// Ends the adapter for what it did wrong. The first fault counts.
    fn fail(&self, fault: AdapterError) -> AdapterError {
        let mut state = lock(&self.state);
        let fault = state.fault.get_or_insert(fault).clone();
        let waiting: Vec<_> = state.waiting.drain().collect();
        self.under_way.send_replace(0);
        drop(state);
        let _ = lock(&self.child).kill();
        for (_, waiting) in waiting {
            let _ = waiting.send(Err(Unmet::Fault(fault.clone())));
        }
        fault
    }

    /// Waits for the adapter to end, and ends it when it does not.
    fn end(&self) -> Option<std::process::ExitStatus> {
        let step = Duration::from_millis(5);
        for _ in 0..TO_END.as_millis() / step.as_millis() {
            if let Ok(Some(status)) = lock(&self.child).try_wait() {
                return Some(status);
            }
            thread::sleep(step);
        }
        let mut child = lock(&self.child);
        let _ = child.kill();
        child.wait().ok()
    }
}
