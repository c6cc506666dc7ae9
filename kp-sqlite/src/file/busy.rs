use std::hash::{BuildHasher, RandomState};
use std::thread;
use std::time::Duration;

use crate::file::error::{Failure, is_busy};

/// The shortest and the longest pause between two attempts. A pause takes about as long as a commit of another writer, so
/// that all waiting writers have a similar chance.
const PAUSE_MICROS: (u64, u64) = (200, 2_000);

/// Repeats an attempt while another connection holds the lock, until the pauses add up to `timeout` (RES-8).
pub(crate) fn retry<T>(timeout: Duration, mut attempt: impl FnMut() -> rusqlite::Result<T>) -> Result<T, Failure> {
    let jitter = RandomState::new();
    let mut waited = Duration::ZERO;
    for round in 0_u64.. {
        match attempt() {
            Err(source) if is_busy(&source) => {
                if waited >= timeout {
                    return Err(Failure::Locked { waited, source });
                }
            }
            done => return Ok(done?),
        }
        let (shortest, longest) = PAUSE_MICROS;
        let pause = Duration::from_micros(shortest + jitter.hash_one(round) % (longest - shortest));
        thread::sleep(pause);
        waited += pause;
    }
    Err(Failure::NoReply)
}
