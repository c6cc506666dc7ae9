use kp_core::rules::{Kept, LeaseColumns, PoolRecords, Record, RecordColumns, State, fits};
use kp_core::server::{Admitted, InitKeyFingerprint, Requirements, Support, TakeOptions};
use kp_core::{Ciphersuite, KeyPackageBytes, KeyPackageRef, Party, PoolId, ReservationId, Role, Timestamp};
use rusqlite::Params;

use crate::file::calls::Statements;
use crate::file::error::{Damage, Failure};
use crate::pools::cache::PoolSession;
use crate::pools::pool_row::PoolRow;
use crate::pools::queue::{self, Hint};
use crate::pools::rows::{self, many, next_key, skip_damaged};
use crate::sql::Sql;

/// The records of one pool, inside a transaction.
#[derive(Debug)]
pub(crate) struct Records<'a, 'c> {
    session: &'a mut PoolSession<'c>,
    pool: &'a PoolId,
    /// The pool's row with the changes of this step. `None`: the pool is empty.
    row: Option<PoolRow>,
    /// The pool's row in the file.
    stored: Option<PoolRow>,
    hint: Hint,
}

/// Runs a step of the rules on one pool, with the cached row of the pool if there is one.
pub(crate) fn step<T>(
    session: &mut PoolSession<'_>,
    pool: &PoolId,
    rules: impl FnOnce(&mut Records<'_, '_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let (row, hint) = match session.cache.pool(pool) {
        Some((row, hint)) => (Some(row.clone()), hint.clone()),
        None => (PoolRow::find(&mut session.statements, pool)?, Hint::default()),
    };
    let mut records = Records::with_row(session, pool, row, hint);
    let answer = rules(&mut records)?;
    records.finish()?;
    Ok(answer)
}

impl<'a, 'c> Records<'a, 'c> {
    /// Returns the records of a pool, for a read.
    pub(crate) fn of(session: &'a mut PoolSession<'c>, pool: &'a PoolId) -> Result<Self, Failure> {
        let row = PoolRow::find(&mut session.statements, pool)?;
        Ok(Self::with_row(session, pool, row, Hint::default()))
    }

    fn with_row(session: &'a mut PoolSession<'c>, pool: &'a PoolId, row: Option<PoolRow>, hint: Hint) -> Self {
        Self {
            session,
            pool,
            stored: row.clone(),
            row,
            hint,
        }
    }

    /// Stores the pool's row if the step changed the row, and caches it for the next step.
    fn finish(self) -> Result<(), Failure> {
        let Some(row) = self.row else { return Ok(()) };
        if Some(&row) != self.stored.as_ref() {
            row.store(&mut self.session.statements)?;
        }
        if row.records == 0 {
            self.session.cache.remove_pool(self.pool);
        } else {
            self.session.cache.put_pool(self.pool, row, self.hint);
        }
        Ok(())
    }

    /// Reads all records except damaged ones (READ-3).
    pub(crate) fn all(&mut self) -> Result<Vec<Record>, Failure> {
        let Some(row) = &self.row else { return Ok(Vec::new()) };
        many(&mut self.session.statements, row, Sql::Records, [row.key])
    }

    /// Reads all records, with all that is kept beside them (MOVE-1). A damaged record is an error.
    pub(crate) fn whole(&mut self) -> Result<Vec<(Record, Kept)>, Failure> {
        let Some(pool) = &self.row else { return Ok(Vec::new()) };
        let mut rows = self.session.statements.get(Sql::Export)?.query([pool.key])?;
        let mut records = Vec::new();
        while let Some(row) = rows.next()? {
            records.push((rows::record(row, pool.credential)?, rows::kept(row)?));
        }
        let counted = usize::try_from(pool.records).ok();
        if counted != Some(records.len()) {
            let key = pool.key;
            return Err(Damage {
                key,
                column: "records of the pool",
            }
            .into());
        }
        Ok(records)
    }

    /// Reads the records that are available at `now`, as if the pool were settled, with a sequence above `after` (READ-2).
    /// If there are more than `limit`, returns the sequence after which to continue.
    pub(crate) fn available(
        &mut self,
        after: i64,
        limit: u32,
        now: Timestamp,
    ) -> Result<(Vec<Record>, Option<i64>), Failure> {
        let Some(pool) = &self.row else {
            return Ok((Vec::new(), None));
        };
        let after = after.max(pool.unspent_from.saturating_sub(1));
        let params = (pool.key, after, now.get(), i64::from(limit) + 1);
        let mut rows = self.session.statements.get(Sql::Available)?.query(params)?;
        let (mut records, mut seen, mut last) = (Vec::new(), 0, after);
        while let Some(row) = rows.next()? {
            if seen == limit {
                return Ok((records, Some(last)));
            }
            seen += 1;
            last = next_key(row, last)?;
            records.extend(skip_damaged(rows::record(row, pool.credential))?);
        }
        Ok((records, None))
    }

    /// Deletes up to `limit` expired records, and returns how many (SWEEP-1).
    pub(crate) fn cleanup(&mut self, now: Timestamp, limit: u32) -> Result<u32, Failure> {
        let Some(row) = &mut self.row else { return Ok(0) };
        self.session.cache.clear_leased();
        let deleted = self
            .session
            .statements
            .execute(Sql::Cleanup, (row.key, now.get(), limit))?;
        let left = row.records.saturating_sub(i64::try_from(deleted).unwrap_or(i64::MAX));
        let first: Option<i64> = self
            .session
            .statements
            .one(Sql::NextExpiry, [row.key], |row| row.get(0))?;
        match first {
            // While there are records, the pool stays, whatever a damaged count says.
            Some(first) => (row.next_expiry, row.records) = (first, left.max(1)),
            None => row.records = 0,
        }
        let deleted = u32::try_from(deleted).unwrap_or(u32::MAX);
        if deleted < limit && row.records > 0 && row.next_expiry <= now.get() {
            tracing::warn!(
                key = row.key,
                "an index of the pool is damaged: not all that expired can be deleted"
            );
        }
        Ok(deleted)
    }

    /// Deletes all records (DEL-1).
    pub(crate) fn clear(&mut self) -> Result<(), Failure> {
        if let Some(row) = &mut self.row {
            self.session.cache.clear_leased();
            self.session.statements.execute(Sql::PoolDeletePackages, [row.key])?;
            row.records = 0;
        }
        Ok(())
    }

    /// Reads one record. A damaged record is an error.
    fn one(&mut self, sql: Sql, params: impl Params) -> Result<Option<Record>, Failure> {
        let Some(row) = &self.row else { return Ok(None) };
        let credential = row.credential;
        let mut rows = self.session.statements.get(sql)?.query(params)?;
        rows.next()?.map(|row| rows::record(row, credential)).transpose()
    }

    fn count(&mut self, sql: Sql, params: impl Params) -> Result<u32, Failure> {
        Ok(self.session.statements.one(sql, params, |row| row.get(0))?)
    }
}

/// Returns the next moment after `after` at which a lease or window lapses; `i64::MAX` if there is none.
fn next_lapse(statements: &mut Statements<'_>, pool: &PoolRow, after: i64) -> Result<i64, Failure> {
    let next: Option<i64> = statements.one(Sql::NextLapse, (pool.key, after), |row| row.get(0))?;
    Ok(next.unwrap_or(i64::MAX))
}

/// Returns the column of a support. A support without a type meets no more than none.
fn types(support: Option<&Support>) -> Option<&[u8]> {
    support.map(Support::as_bytes).filter(|types| !types.is_empty())
}

/// Returns the column of a fingerprint.
fn hash(fingerprint: Option<&InitKeyFingerprint>) -> Option<&[u8]> {
    fingerprint.map(|fingerprint| fingerprint.as_bytes().as_slice())
}

/// Fails if a statement did not change exactly one row.
fn one_row(key: i64, changed: usize) -> Result<(), Failure> {
    match changed {
        1 => Ok(()),
        _ => Err(Damage { key, column: "key" }.into()),
    }
}

impl PoolRecords for Records<'_, '_> {
    type Error = Failure;

    fn by_ref(&mut self, key_package_ref: &KeyPackageRef) -> Result<Option<Record>, Failure> {
        let Some(pool) = self.row.as_ref().map(|row| row.key) else {
            return Ok(None);
        };
        if let Some(leased) = self.session.cache.take_leased(pool, key_package_ref) {
            return Ok(Some(leased));
        }
        self.one(Sql::ByRef, (pool, key_package_ref.as_bytes()))
    }

    fn by_id(&mut self, id: &ReservationId) -> Result<Option<Record>, Failure> {
        let pool = self.row.as_ref().map(|row| row.key);
        self.one(Sql::ById, (pool, id.as_bytes()))
    }

    fn lapsed(&mut self, now: Timestamp) -> Result<Vec<Record>, Failure> {
        let Some(row) = &self.row else { return Ok(Vec::new()) };
        let first = match self.hint.next_lapse {
            Some(first) => first,
            None => next_lapse(&mut self.session.statements, row, i64::MIN)?,
        };
        if now.get() < first {
            self.hint.next_lapse = Some(first);
            return Ok(Vec::new());
        }
        // The caller settles the lapsed records.
        self.hint.next_lapse = Some(next_lapse(&mut self.session.statements, row, now.get())?);
        many(&mut self.session.statements, row, Sql::Lapsed, (row.key, now.get()))
    }

    fn oldest_that_fits(
        &mut self,
        options: &TakeOptions,
        now: Timestamp,
    ) -> Result<Option<(Record, KeyPackageBytes)>, Failure> {
        queue::first_free(
            &mut self.session.statements,
            &mut self.row,
            &mut self.hint,
            now,
            &options.requirements,
            |record| fits(&record.info, options, now),
        )
    }

    fn has_init_key(&mut self, fingerprint: &InitKeyFingerprint, now: Timestamp) -> Result<bool, Failure> {
        let Some(pool) = &self.row else { return Ok(false) };
        let params = (pool.key, fingerprint.as_bytes().as_slice(), now.get());
        let mut rows = self.session.statements.get(Sql::HasInitKey)?.query(params)?;
        Ok(rows.next()?.is_some())
    }

    fn has_available(&mut self, now: Timestamp) -> Result<bool, Failure> {
        Ok(queue::first_free(
            &mut self.session.statements,
            &mut self.row,
            &mut self.hint,
            now,
            &Requirements::new(),
            |record| record.is_available(now),
        )?
        .is_some())
    }

    fn slots(&mut self) -> Result<Vec<Record>, Failure> {
        let Some(row) = &self.row else { return Ok(Vec::new()) };
        many(&mut self.session.statements, row, Sql::Slots, [row.key])
    }

    fn unspent(&mut self, now: Timestamp) -> Result<Vec<Record>, Failure> {
        let Some(row) = &self.row else { return Ok(Vec::new()) };
        many(&mut self.session.statements, row, Sql::Unspent, (row.key, now.get()))
    }

    fn count_held(&mut self, suite: Ciphersuite, now: Timestamp) -> Result<u32, Failure> {
        match &mut self.row {
            None => Ok(0),
            Some(row) if row.has_no_expired(now) => {
                let params = (row.key, suite.0, row.unspent_from);
                let (held, first): (u32, Option<i64>) = self
                    .session
                    .statements
                    .one(Sql::CountHeld, params, |row| Ok((row.get(0)?, row.get(1)?)))?;
                // A save usually writes this row anyway, so that the better bound costs nothing.
                row.unspent_from = first.unwrap_or(row.last_sequence.saturating_add(1));
                Ok(held)
            }
            Some(row) => {
                let params = (row.key, suite.0, now.get());
                self.count(Sql::CountHeldUnexpired, params)
            }
        }
    }

    fn count_remembered(&mut self, now: Timestamp) -> Result<u32, Failure> {
        match &self.row {
            None => Ok(0),
            Some(row) if row.has_no_expired(now) => Ok(u32::try_from(row.records).unwrap_or(u32::MAX)),
            Some(row) => self.count(Sql::CountUnexpired, (row.key, now.get())),
        }
    }

    fn count_remembered_of(&mut self, role: Role, now: Timestamp) -> Result<u32, Failure> {
        match &self.row {
            None => Ok(0),
            Some(row) => {
                let params = (row.key, now.get(), role.is_last_resort());
                self.count(Sql::CountUnexpiredOf, params)
            }
        }
    }

    fn count_taken_by(&mut self, party: &Party) -> Result<u32, Failure> {
        match &self.row {
            None => Ok(0),
            Some(row) => self.count(Sql::CountTakenBy, (row.key, party.as_bytes())),
        }
    }

    fn bytes(&mut self, record: &Record) -> Result<KeyPackageBytes, Failure> {
        rows::bytes_of(&mut self.session.statements, rows::key(record)?)
    }

    fn support(&mut self, record: &Record) -> Result<Option<Support>, Failure> {
        rows::support_of(&mut self.session.statements, rows::key(record)?)
    }

    fn next_sequence(&mut self) -> Result<u64, Failure> {
        let last: Option<i64> = self.session.statements.one(Sql::LastKey, [], |row| row.get(0))?;
        let of_pool = self.row.as_ref().map_or(0, |row| row.last_sequence);
        let next = last.unwrap_or(0).max(of_pool).wrapping_add(1);
        u64::try_from(next).map_err(|_| {
            Damage {
                key: next,
                column: "key",
            }
            .into()
        })
    }

    fn insert(&mut self, record: &Record, kept: &Kept) -> Result<(), Failure> {
        let info = &record.info;
        let key = rows::key(record)?;
        let not_after = info.lifetime.not_after().get();
        let pool = match &mut self.row {
            Some(row) => {
                row.records = row.records.saturating_add(1);
                row.last_sequence = key;
                row.next_expiry = row.next_expiry.min(not_after);
                row
            }
            none => {
                let mut row = PoolRow {
                    key: 0,
                    records: 1,
                    last_sequence: key,
                    credential: info.credential,
                    next_expiry: not_after,
                    unspent_from: key,
                };
                row.create(&mut self.session.statements, self.pool)?;
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
            RecordColumns::of(info, &record.state).state,
            kept.bytes.as_ref().map(AsRef::<[u8]>::as_ref),
            types(kept.support.as_ref()),
            hash(kept.fingerprint.as_ref()),
        );
        self.session.statements.execute(Sql::PackageInsert, row)?;
        self.hint.freed(key);
        Ok(())
    }

    fn amend(&mut self, record: &Record, item: &Admitted) -> Result<(), Failure> {
        let params = (
            rows::key(record)?,
            types(item.support.as_ref()),
            hash(item.fingerprint.as_ref()),
        );
        if self.session.statements.execute(Sql::PackageAmend, params)? > 0 {
            self.hint.amended();
        }
        Ok(())
    }

    fn update(&mut self, record: &Record, after: State) -> Result<(), Failure> {
        let key = rows::key(record)?;
        let Some(pool) = &self.row else {
            return Err(Damage { key, column: "pool" }.into());
        };
        let row = RecordColumns::of(&record.info, &after);
        if row != RecordColumns::of(&record.info, &record.state) {
            let row = (
                key,
                row.state,
                row.id,
                row.former_id,
                row.spent_at,
                row.spender,
                row.group,
                row.keeps_bytes,
            );
            one_row(key, self.session.statements.execute(Sql::PackageUpdate, row)?)?;
        }
        if let Some(lease) = LeaseColumns::of(&after) {
            let row = (
                key,
                pool.key,
                lease.state,
                lease.id,
                lease.ends_at,
                lease.reserver,
                lease.spent_at,
                lease.spender,
                lease.group,
            );
            one_row(key, self.session.statements.execute(Sql::LeaseStore, row)?)?;
            self.hint.leased(lease.ends_at);
        } else if record.state.lapses_at().is_some() {
            one_row(key, self.session.statements.execute(Sql::LeaseDelete, [key])?)?;
        }
        // Caches the records that are likely to be spent next: the leased ones.
        let cache = &mut self.session.cache;
        if let State::Reserved(_) = after {
            let state = after.clone();
            cache.put_leased(
                pool.key,
                Record {
                    state,
                    ..record.clone()
                },
            );
        } else if let State::Reserved(_) = record.state {
            cache.take_leased(pool.key, &record.info.key_package_ref);
        }
        if after == State::Free {
            self.hint.freed(key);
        } else if record.state == State::Free {
            self.hint.taken(key);
        }
        Ok(())
    }

    fn forget(&mut self, record: &Record) -> Result<(), Failure> {
        let key = rows::key(record)?;
        self.session.statements.execute(Sql::PackageDelete, [key])?;
        self.session.cache.clear_leased();
        if let Some(row) = &mut self.row {
            row.records = row.records.saturating_sub(1);
        }
        Ok(())
    }
}
