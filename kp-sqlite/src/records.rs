use kp_core::rules::{PoolRecords, Record, State, fits};
use kp_core::{Ciphersuite, KeyPackageRef, PackageBytes, Party, PoolId, ReservationId, Take, Timestamp};
use rusqlite::{OptionalExtension, Params};

use crate::error::{Damage, Failure};
use crate::pool_row::PoolRow;
use crate::rows::{self, StateRow};
use crate::statements::{Sql, Statements};

/// How much of the queue is looked at before what is past its `not_after` is left out by another index (COST-1): the LIMIT
/// of `queue.sql`.
pub(crate) const HEAD_OF_QUEUE: u32 = 32;

/// The records of one pool, inside a transaction.
#[derive(Debug)]
pub(crate) struct Records<'a, 'c> {
    statements: &'a mut Statements<'c>,
    pool: &'a PoolId,
    /// The pool's row as this step has made it; `None` while the pool is empty and was never stored.
    row: Option<PoolRow>,
    /// The same as it is stored.
    stored: Option<PoolRow>,
}

/// Runs a step of the rules on one pool.
pub(crate) fn step<T>(
    statements: &mut Statements<'_>,
    pool: &PoolId,
    rules: impl FnOnce(&mut Records<'_, '_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let row = match statements.pools.get(pool) {
        Some(known) => Some(known.clone()),
        None => {
            let found = PoolRow::find(statements, pool)?;
            if let Some(row) = &found {
                statements.pools.put(pool, row.clone());
            }
            found
        }
    };
    let mut records = Records::with_row(statements, pool, row);
    let answer = rules(&mut records)?;
    records.finish()?;
    Ok(answer)
}

impl<'a, 'c> Records<'a, 'c> {
    /// The records of a pool, for a read.
    pub(crate) fn of(statements: &'a mut Statements<'c>, pool: &'a PoolId) -> Result<Self, Failure> {
        let row = PoolRow::find(statements, pool)?;
        Ok(Self::with_row(statements, pool, row))
    }

    fn with_row(statements: &'a mut Statements<'c>, pool: &'a PoolId, row: Option<PoolRow>) -> Self {
        Self {
            statements,
            pool,
            stored: row.clone(),
            row,
        }
    }

    /// Stores what the step changed of the pool's row.
    fn finish(self) -> Result<(), Failure> {
        match self.row {
            Some(row) if Some(&row) != self.stored.as_ref() => {
                row.store(self.statements)?;
                if row.records == 0 {
                    self.statements.pools.remove(self.pool);
                } else {
                    self.statements.pools.put(self.pool, row);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// All records, for a read (READ-3); damaged ones are passed over.
    pub(crate) fn all(&mut self) -> Result<Vec<Record>, Failure> {
        let Some(row) = &self.row else { return Ok(Vec::new()) };
        many(self.statements, row, Sql::Records, [row.key])
    }

    /// What is available at `now`, or would be if the pool were settled, from the sequence after `after` on; and the
    /// sequence to go on after, when there is more (READ-2).
    pub(crate) fn available(
        &mut self,
        after: i64,
        limit: u32,
        now: Timestamp,
    ) -> Result<(Vec<Record>, Option<i64>), Failure> {
        let Some(pool) = &self.row else {
            return Ok((Vec::new(), None));
        };
        let params = (pool.key, after, now.get(), i64::from(limit) + 1);
        let mut rows = self.statements.get(Sql::Available)?.query(params)?;
        let (mut records, mut seen, mut last) = (Vec::new(), 0, after);
        while let Some(row) = rows.next()? {
            if seen == limit {
                return Ok((records, Some(last)));
            }
            seen += 1;
            last = row.get(0)?;
            records.extend(pass_over_damage(rows::record(row, pool.credential))?);
        }
        Ok((records, None))
    }

    /// Removes records past their `not_after`, with their bytes, and says how many (SWEEP-1).
    pub(crate) fn sweep(&mut self, now: Timestamp, limit: u32) -> Result<u32, Failure> {
        let Some(row) = &mut self.row else { return Ok(0) };
        let swept = self
            .statements
            .execute(Sql::SweepPackages, (row.key, now.get(), limit))?;
        row.records -= i64::try_from(swept).unwrap_or(i64::MAX);
        let first: Option<i64> = self.statements.one(Sql::FirstExpiry, [row.key], |row| row.get(0))?;
        match first {
            Some(first) => row.sweep_at = first,
            None => row.records = 0,
        }
        Ok(u32::try_from(swept).unwrap_or(u32::MAX))
    }

    /// Removes everything (DEL-1).
    pub(crate) fn clear(&mut self) -> Result<(), Failure> {
        if let Some(row) = &mut self.row {
            self.statements.execute(Sql::PoolDeletePackages, [row.key])?;
            row.records = 0;
        }
        Ok(())
    }

    /// A record that is asked for by name: a damaged one is an error.
    fn one(&mut self, sql: Sql, params: impl Params) -> Result<Option<Record>, Failure> {
        let Some(row) = &self.row else { return Ok(None) };
        let credential = row.credential;
        let mut rows = self.statements.get(sql)?.query(params)?;
        rows.next()?.map(|row| rows::record(row, credential)).transpose()
    }

    /// The oldest free record that will do, with its bytes (RES-2).
    ///
    /// It is at the head of the queue, as a rule. Where the head is of no use, the rest is read without what is past its
    /// `not_after`: an unswept pool may have any number of those.
    fn first_free(
        &mut self,
        now: Timestamp,
        will_do: impl Fn(&Record) -> bool,
    ) -> Result<Option<(Record, PackageBytes)>, Failure> {
        let Some(pool) = &self.row else { return Ok(None) };
        let mut rows = self.statements.get(Sql::Queue)?.query([pool.key])?;
        let mut seen = 0;
        while let Some(row) = rows.next()? {
            seen += 1;
            let Some(record) = pass_over_damage(rows::record(row, pool.credential))? else {
                continue;
            };
            if will_do(&record)
                && let Some(bytes) = pass_over_damage(rows::bytes(row))?
            {
                return Ok(Some((record, bytes)));
            }
        }
        drop(rows);
        if seen < HEAD_OF_QUEUE {
            return Ok(None);
        }
        let mut rest = many(self.statements, pool, Sql::FreeUnexpired, (pool.key, now.get()))?;
        rest.retain(will_do);
        rest.sort_unstable_by_key(|record| record.sequence);
        for record in rest {
            if let Some(bytes) = pass_over_damage(self.bytes(&record))? {
                return Ok(Some((record, bytes)));
            }
        }
        Ok(None)
    }

    fn count(&mut self, sql: Sql, params: impl Params) -> Result<u32, Failure> {
        Ok(self.statements.one(sql, params, |row| row.get(0))?)
    }
}

/// Records that are looked through: damaged ones are passed over, so that one never wedges its pool.
fn many(
    statements: &mut Statements<'_>,
    pool: &PoolRow,
    sql: Sql,
    params: impl Params,
) -> Result<Vec<Record>, Failure> {
    let mut rows = statements.get(sql)?.query(params)?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.extend(pass_over_damage(rows::record(row, pool.credential))?);
    }
    Ok(records)
}

fn pass_over_damage<T>(read: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(Failure::Damaged(damage)) => {
            tracing::warn!(key = damage.key, column = damage.column, "passed over a damaged row");
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

fn key(record: &Record) -> Result<i64, Failure> {
    i64::try_from(record.sequence).map_err(|_| Damage { key: -1, column: "key" }.into())
}

impl PoolRecords for Records<'_, '_> {
    type Error = Failure;

    fn by_ref(&mut self, key_package_ref: &KeyPackageRef) -> Result<Option<Record>, Failure> {
        let pool = self.row.as_ref().map(|row| row.key);
        self.one(Sql::ByRef, (pool, key_package_ref.as_bytes()))
    }

    fn by_id(&mut self, id: &ReservationId) -> Result<Option<Record>, Failure> {
        let pool = self.row.as_ref().map(|row| row.key);
        self.one(Sql::ById, (pool, id.as_bytes()))
    }

    fn ended(&mut self, now: Timestamp) -> Result<Vec<Record>, Failure> {
        let Some(row) = self.row.as_mut().filter(|row| row.is_due(now)) else {
            return Ok(Vec::new());
        };
        // What has ended is settled by the caller, so the bound moves on.
        row.settle_at = self
            .statements
            .one(Sql::NextEnd, (row.key, now.get()), |row| row.get(0))?;
        many(self.statements, row, Sql::Ended, (row.key, now.get()))
    }

    fn oldest_that_fits(&mut self, take: &Take, now: Timestamp) -> Result<Option<(Record, PackageBytes)>, Failure> {
        self.first_free(now, |record| fits(&record.info, take, now))
    }

    fn has_available(&mut self, now: Timestamp) -> Result<bool, Failure> {
        Ok(self.first_free(now, |record| record.is_available(now))?.is_some())
    }

    fn slots(&mut self) -> Result<Vec<Record>, Failure> {
        let Some(row) = &self.row else { return Ok(Vec::new()) };
        many(self.statements, row, Sql::Slots, [row.key])
    }

    fn unspent(&mut self, now: Timestamp) -> Result<Vec<Record>, Failure> {
        let Some(row) = &self.row else { return Ok(Vec::new()) };
        many(self.statements, row, Sql::Unspent, (row.key, now.get()))
    }

    fn count_held(&mut self, suite: Ciphersuite, now: Timestamp) -> Result<u32, Failure> {
        match &self.row {
            None => Ok(0),
            Some(row) if row.is_fresh(now) => self.count(Sql::CountHeld, (row.key, suite.0)),
            Some(row) => self.count(Sql::CountHeldUnexpired, (row.key, suite.0, now.get())),
        }
    }

    fn count_remembered(&mut self, now: Timestamp) -> Result<u32, Failure> {
        match &self.row {
            None => Ok(0),
            Some(row) if row.is_fresh(now) => Ok(u32::try_from(row.records).unwrap_or(u32::MAX)),
            Some(row) => self.count(Sql::CountUnexpired, (row.key, now.get())),
        }
    }

    fn count_taken_by(&mut self, party: &Party) -> Result<u32, Failure> {
        match &self.row {
            None => Ok(0),
            Some(row) => self.count(Sql::CountTakenBy, (row.key, party.as_bytes())),
        }
    }

    fn bytes(&mut self, record: &Record) -> Result<PackageBytes, Failure> {
        let key = key(record)?;
        let bytes = self
            .statements
            .one(Sql::Bytes, [key], |row| {
                Ok(row.get_ref(0)?.as_blob().ok().and_then(|bytes| bytes.try_into().ok()))
            })
            .optional()?
            .flatten();
        bytes.ok_or_else(|| Damage { key, column: "bytes" }.into())
    }

    fn next_sequence(&mut self) -> Result<u64, Failure> {
        let last: Option<i64> = self.statements.one(Sql::LastKey, [], |row| row.get(0))?;
        let of_pool = self.row.as_ref().map_or(0, |row| row.last_sequence);
        let next = last.unwrap_or(0).max(of_pool) + 1;
        u64::try_from(next).map_err(|_| {
            Damage {
                key: next,
                column: "key",
            }
            .into()
        })
    }

    fn insert(&mut self, record: &Record, bytes: &PackageBytes) -> Result<(), Failure> {
        let info = &record.info;
        let key = key(record)?;
        let not_after = info.lifetime.not_after().get();
        let pool = match &mut self.row {
            Some(row) => {
                row.records += 1;
                row.last_sequence = key;
                row.sweep_at = row.sweep_at.min(not_after);
                row
            }
            none => {
                let mut row = PoolRow {
                    key: 0,
                    records: 1,
                    last_sequence: key,
                    credential: info.credential,
                    sweep_at: not_after,
                    settle_at: None,
                };
                row.create(self.statements, self.pool)?;
                self.stored = Some(row.clone());
                none.insert(row)
            }
        };
        let row = (
            key,
            pool.key,
            info.key_package_ref.as_bytes(),
            info.ciphersuite.0,
            info.lifetime.not_before().get(),
            not_after,
            record.saved_at.get(),
            (info.credential != pool.credential).then_some(info.credential.0),
            StateRow::of(info, &record.state).state,
            bytes.as_ref(),
        );
        self.statements.execute(Sql::PackageInsert, row)?;
        Ok(())
    }

    fn update(&mut self, record: &Record, after: State) -> Result<(), Failure> {
        let key = key(record)?;
        let row = StateRow::of(&record.info, &after);
        let keeps_bytes = after.keeps_bytes();
        let changed = if record.state.bound_id() == after.bound_id() {
            let state = (
                key,
                row.state,
                row.reserver,
                row.ends_at,
                row.spent_at,
                row.spender,
                row.group,
                keeps_bytes,
            );
            self.statements.execute(Sql::PackageState, state)?
        } else {
            let binding = (
                key,
                row.state,
                row.reserver,
                row.ends_at,
                row.spent_at,
                row.spender,
                row.group,
                keeps_bytes,
                row.id,
                row.former_id,
            );
            self.statements.execute(Sql::PackageBinding, binding)?
        };
        if changed != 1 {
            return Err(Damage { key, column: "key" }.into());
        }
        if let (Some(pool), Some(ends_at)) = (&mut self.row, row.ends_at) {
            pool.settle_at = Some(pool.settle_at.map_or(ends_at, |settle_at| settle_at.min(ends_at)));
        }
        Ok(())
    }

    fn remove(&mut self, record: &Record) -> Result<(), Failure> {
        let key = key(record)?;
        self.statements.execute(Sql::PackageDelete, [key])?;
        if let Some(row) = &mut self.row {
            row.records -= 1;
        }
        Ok(())
    }
}
