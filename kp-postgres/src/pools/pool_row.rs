use kp_core::{CredentialHash, Timestamp};

use crate::link::error::Failure;
use crate::link::row::Row;

/// How finely `settle_at` is kept, in seconds: so that few leases write it.
const SETTLE_STEP: i64 = 1_024;

/// A row of `keypackage_pools`, as a transaction found it under the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PoolRow {
    pub(crate) key: i64,
    /// The number of records of the pool.
    pub(crate) records: i64,
    pub(crate) last_sequence: i64,
    /// The credential hash of the records that have none of their own. Empty: the pool is new.
    pub(crate) credential: Vec<u8>,
    /// No record expires before this moment. A lower bound.
    pub(crate) sweep_at: i64,
    /// No lease or window ends before this moment. A lower bound.
    pub(crate) settle_at: i64,
}

impl PoolRow {
    /// Reads a row of `lock.sql`, with the id of the pool.
    pub(crate) fn read(row: &Row) -> Result<(Vec<u8>, Self), Failure> {
        let pool = row.try_get(1)?;
        let row = Self {
            key: row.try_get(0)?,
            records: row.try_get(2)?,
            last_sequence: row.try_get(3)?,
            credential: row.try_get(4)?,
            sweep_at: row.try_get(5)?,
            settle_at: row.try_get(6)?,
        };
        Ok((pool, row))
    }

    /// Returns whether no record of the pool has expired.
    pub(crate) fn has_no_expired(&self, now: Timestamp) -> bool {
        now.get() < self.sweep_at
    }

    /// Takes note of a new record.
    pub(crate) fn add(&mut self, credential: CredentialHash, not_after: Timestamp) {
        if self.credential.is_empty() {
            self.credential = credential.0.to_vec();
        }
        self.records = self.records.saturating_add(1);
        self.sweep_at = self.sweep_at.min(not_after.get());
    }

    /// Takes note of a new end of a lease or window.
    pub(crate) fn lease(&mut self, ends_at: i64) {
        if ends_at < self.settle_at {
            self.settle_at = ends_at / SETTLE_STEP * SETTLE_STEP;
        }
    }

    /// Returns whether `settle_at` is so far behind that a search for ended leases goes through what is long gone.
    pub(crate) fn is_settle_at_behind(&self, now: Timestamp) -> bool {
        self.settle_at < now.get() - 2 * SETTLE_STEP
    }
}
