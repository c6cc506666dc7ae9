use std::hash::{BuildHasher, RandomState};
use std::thread;
use std::time::{Duration, Instant};

use crate::file::codes::is_busy;
use crate::file::error::Failure;
use crate::file::observe::retried;

/// The shortest and the longest pause between two attempts. A pause takes about as long as a commit of another writer, so
/// that all waiting writers have a similar chance.
const PAUSE_MICROS: (u64, u64) = (200, 2_000);

/// A time-out that runs since a moment. A monotonic clock measures it: on a busy machine, a pause takes much longer than
/// was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wait {
    since: Instant,
    timeout: Duration,
}

impl Wait {
    pub(crate) fn since(since: Instant, timeout: Duration) -> Self {
        Self { since, timeout }
    }

    /// Begins to wait.
    pub(crate) fn begin(timeout: Duration) -> Self {
        Self::since(monotonic(), timeout)
    }

    /// Returns how long to wait at most. `None`: the time is over.
    fn left(self) -> Option<Duration> {
        self.timeout
            .checked_sub(self.since.elapsed())
            .filter(|left| !left.is_zero())
    }

    pub(crate) fn is_over(self) -> bool {
        self.left().is_none()
    }
}

/// Reads a clock that measures time-outs. No rule reads it.
#[expect(
    clippy::disallowed_methods,
    reason = "a time-out is measured: no answer of a rule depends on it"
)]
pub(crate) fn monotonic() -> Instant {
    Instant::now()
}

/// Repeats an attempt while another connection holds the lock, until the time is over (RES-8). Makes at least one attempt.
pub(crate) fn retry<T>(wait: Wait, mut attempt: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
    let jitter = RandomState::new();
    let mut round = 0_u64;
    loop {
        let source = match attempt() {
            Err(Failure::Sqlite(source)) if is_busy(&source) => source,
            done => return done,
        };
        let Some(left) = wait.left() else {
            let waited = wait.since.elapsed();
            return Err(Failure::Locked { waited, source });
        };
        let (shortest, longest) = PAUSE_MICROS;
        let pause = Duration::from_micros(shortest + jitter.hash_one(round) % (longest - shortest));
        thread::sleep(pause.min(left));
        retried();
        round = round.wrapping_add(1);
    }
}
