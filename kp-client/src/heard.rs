use std::collections::BTreeSet;

use kp_core::protocol::{CiphersuiteStatus, Health, PoolStatus, SyncReport};
use kp_core::{Ciphersuite, Timestamp};

/// What a sync told beside what became of each package.
pub(crate) struct Heard {
    /// By how many seconds the client's clock is ahead of the server's, where that is too much (`POOL-8`).
    pub(crate) off: Option<i64>,
    /// The ciphersuites that the server says are low.
    pub(crate) low: BTreeSet<Ciphersuite>,
    status: PoolStatus,
    restore_point: Option<Timestamp>,
}

impl Heard {
    pub(crate) fn new(answer: SyncReport, off: Option<i64>) -> Self {
        let is_low = |status: &CiphersuiteStatus| matches!(status.health, Health::Low | Health::Exhausted);
        let suites = &answer.status.ciphersuites;
        let low = suites.iter().filter(|(_, status)| is_low(status));
        Self {
            off,
            low: low.map(|(suite, _)| *suite).collect(),
            status: answer.status,
            restore_point: answer.restore_point,
        }
    }

    /// How many one-time packages the server's memory of the pool takes.
    pub(crate) fn room(&self) -> u32 {
        self.status.room
    }

    /// Returns when a lifetime that begins like this one no longer begins before the restore point; `None` if it does not.
    pub(crate) fn restore_point_until(&self, not_before: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let missing = self.restore_point?.get().saturating_sub(not_before.get());
        (missing > 0).then(|| now.plus(missing.unsigned_abs()))
    }
}
