//! Ports for the servers that tests start.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{TcpListener, UdpSocket};

/// Where ports are looked for: below those that systems give to connections (from 32,768 on, or 49,152), of which any may be
/// gone by the time that a server is started, or started again.
const FIRST: u16 = 10_000;
const COUNT: u16 = 22_000;

/// A port of 127.0.0.1 for one server, as long as this lives.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    /// The port of the same number for UDP, which no server of ours takes: whoever holds it has the number, among all processes.
    _twin: UdpSocket,
}

impl Port {
    pub(crate) fn take() -> Self {
        let begin = RandomState::new().hash_one(()) % u64::from(COUNT);
        let begin = FIRST + u16::try_from(begin).expect("it is less than the count");
        let all = (begin..FIRST + COUNT).chain(FIRST..begin);
        all.filter_map(Self::of).next().expect("a free port")
    }

    fn of(number: u16) -> Option<Self> {
        let twin = UdpSocket::bind(("127.0.0.1", number)).ok()?;
        // A stranger's server may be there.
        TcpListener::bind(("127.0.0.1", number)).ok()?;
        Some(Self { number, _twin: twin })
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }
}
