use kp_core::{CredentialHash, PoolId, Timestamp};
use rusqlite::OptionalExtension;

use crate::file::calls::Statements;
use crate::file::error::{Damage, Failure};
use crate::sql::Sql;

/// A row of `keypackage_pools`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PoolRow {
    pub(crate) key: i64,
    /// The number of records of the pool.
    pub(crate) records: i64,
    pub(crate) last_sequence: i64,
    /// The credential hash of the records that have none of their own.
    pub(crate) credential: CredentialHash,
    /// No record expires before this moment. A lower bound: it may be too early, never too late.
    pub(crate) next_expiry: i64,
    /// No record below this sequence is free, or leased and may become free again. A lower bound.
    pub(crate) unspent_from: i64,
}

impl PoolRow {
    /// Reads the row of a pool. `None`: the pool is empty.
    pub(crate) fn find(statements: &mut Statements<'_>, pool: &PoolId) -> Result<Option<Self>, Failure> {
        let found = statements
            .one(Sql::Pool, [pool.as_bytes()], |row| {
                let key = row.get(0)?;
                let credential = row.get_ref(3)?.as_blob().ok().and_then(|bytes| bytes.try_into().ok());
                Ok((
                    Self {
                        key,
                        records: row.get(1)?,
                        last_sequence: row.get(2)?,
                        credential: CredentialHash(credential.unwrap_or_default()),
                        next_expiry: row.get(4)?,
                        unspent_from: row.get(5)?,
                    },
                    credential.is_some(),
                ))
            })
            .optional()?;
        match found {
            None => Ok(None),
            Some((row, true)) => Ok(Some(row)),
            Some((row, false)) => Err(Damage {
                key: row.key,
                column: "credential of the pool",
            }
            .into()),
        }
    }

    /// Stores the row. Deletes the row of a pool without records.
    pub(crate) fn store(&self, statements: &mut Statements<'_>) -> Result<(), Failure> {
        if self.records == 0 {
            statements.execute(Sql::PoolDelete, [self.key])?;
        } else {
            let row = (
                self.key,
                self.records,
                self.last_sequence,
                self.next_expiry,
                self.unspent_from,
            );
            statements.execute(Sql::PoolUpdate, row)?;
        }
        Ok(())
    }

    /// Inserts the row of a new pool, and sets its key.
    pub(crate) fn create(&mut self, statements: &mut Statements<'_>, pool: &PoolId) -> Result<(), Failure> {
        let row = (
            pool.as_bytes(),
            self.records,
            self.last_sequence,
            self.credential.0,
            self.next_expiry,
            self.unspent_from,
        );
        self.key = statements.one(Sql::PoolInsert, row, |row| row.get(0))?;
        Ok(())
    }

    /// Returns whether no record of the pool has expired.
    pub(crate) fn has_no_expired(&self, now: Timestamp) -> bool {
        now.get() < self.next_expiry
    }
}
