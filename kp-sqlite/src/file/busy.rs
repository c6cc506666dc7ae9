use std::hash::{BuildHasher, RandomState};
use std::thread;
use std::time::Duration;

use crate::file::error::{Failure, is_busy};

/// The shortest and the longest pause between two tries: about as long as another writer's commit takes, so that many
/// who wait have about the same chance at the next gap.
const PAUSE_MICROS: (u64, u64) = (200, 2_000);

/// Tries again while somebody else has the lock, for `wait` in all (RES-8).
///
/// It counts its own pauses, and reads no clock.
pub(crate) fn retry<T>(wait: Duration, mut attempt: impl FnMut() -> rusqlite::Result<T>) -> Result<T, Failure> {
    let jitter = RandomState::new();
    let mut waited = Duration::ZERO;
    for round in 0_u64.. {
        match attempt() {
            Err(source) if is_busy(&source) => {
                if waited >= wait {
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
