use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::measure::Fallible;

/// Stands between a store and its server, and keeps what the store sends: so the same scripts and arguments can be sent
/// again, whatever they are.
pub(crate) struct Recorder {
    port: u16,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl Recorder {
    /// For one connection.
    pub(crate) fn before(server: u16) -> Fallible<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let recorder = Self {
            port: listener.local_addr()?.port(),
            sent: Arc::default(),
        };
        let sent = Arc::clone(&recorder.sent);
        thread::spawn(move || relay(&listener, server, &sent));
        Ok(recorder)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// The commands sent since this was last asked, when all of them have been answered.
    pub(crate) fn commands(&self) -> Fallible<Vec<Vec<u8>>> {
        let sent = std::mem::take(&mut *self.sent.lock().unwrap_or_else(PoisonError::into_inner));
        let (mut rest, mut commands) = (sent.as_slice(), Vec::new());
        while !rest.is_empty() {
            let (command, behind) = rest.split_at(whole(rest)?.ok_or("half a command")?);
            commands.push(command.to_vec());
            rest = behind;
        }
        Ok(commands)
    }
}

fn relay(listener: &TcpListener, server: u16, sent: &Mutex<Vec<u8>>) -> std::io::Result<()> {
    let (mut client, _) = listener.accept()?;
    let mut server = TcpStream::connect(("127.0.0.1", server))?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_server, mut to_client) = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || std::io::copy(&mut from_server, &mut to_client));
    let mut buffer = [0; 1 << 16];
    loop {
        let read = client.read(&mut buffer)?;
        if read == 0 {
            return server.shutdown(Shutdown::Both);
        }
        sent.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(&buffer[..read]);
        server.write_all(&buffer[..read])?;
    }
}

/// One connection, with nothing behind it: commands are sent as they are, and their replies only counted.
pub(crate) struct Bare(TcpStream);

impl Bare {
    pub(crate) fn connect(server: u16) -> Fallible<Self> {
        let stream = TcpStream::connect(("127.0.0.1", server))?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// Sends these commands, with so many in flight, and waits for all replies.
    pub(crate) fn send(&mut self, commands: &[Vec<u8>], in_flight: usize) -> Fallible<()> {
        let (mut sent, mut answered) = (0, 0);
        let (mut out, mut unread, mut buffer) = (Vec::new(), Vec::new(), [0; 1 << 16]);
        while answered < commands.len() {
            let most = commands.len().min(answered + in_flight);
            out.clear();
            commands[sent..most]
                .iter()
                .for_each(|command| out.extend_from_slice(command));
            self.0.write_all(&out)?;
            sent = most;
            let read = self.0.read(&mut buffer)?;
            if read == 0 {
                return Err("the server is gone".into());
            }
            unread.extend_from_slice(&buffer[..read]);
            let mut counted = 0;
            while let Some(length) = whole(&unread[counted..])? {
                counted += length;
                answered += 1;
            }
            unread.drain(..counted);
        }
        Ok(())
    }
}

/// How long the command or reply is that stands here (RESP2); none when it is not all there.
fn whole(bytes: &[u8]) -> Fallible<Option<usize>> {
    let (mut at, mut missing) = (0, 1_u64);
    while missing > 0 {
        let Some(line) = bytes[at..].iter().position(|byte| *byte == b'\n') else {
            return Ok(None);
        };
        let (kind, number) = (bytes[at], &bytes[at + 1..at + line - 1]);
        at += line + 1;
        missing -= 1;
        match kind {
            b'+' | b':' => {}
            b'$' | b'*' => {
                let number: i64 = std::str::from_utf8(number)?.parse()?;
                let number = u64::try_from(number).ok(); // -1: nil
                match (kind, number) {
                    (b'*', Some(items)) => missing += items,
                    (_, Some(length)) => at += usize::try_from(length)? + 2,
                    (_, None) => {}
                }
            }
            _ => return Err(String::from_utf8_lossy(&bytes[..at]).into_owned().into()),
        }
        if at > bytes.len() {
            return Ok(None);
        }
    }
    Ok(Some(at))
}
