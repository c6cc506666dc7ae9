//! A complete backend of one's own, written against the docs alone, with the conformance suite on it:
//! `cargo run --example custom_backend`.
//!
//! Each pool is a `BTreeMap` of records behind an `Arc`. A call that changes a pool decides by `kp_core::rules`, under one
//! lock; a read takes the pool as it stands, a snapshot, and needs the lock no longer.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::fmt;
use std::ops::Bound;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use kp_conformance::{Facets, Factory, Space};
use kp_core::rules::{self, Answer, Kept, Limits, PoolRecords, Record, State};
use kp_core::server::*;
use kp_core::*;

/// The records of one pool by sequence, each with what is kept beside it.
#[derive(Clone, Default)]
struct Pool {
    records: BTreeMap<u64, (Record, Kept)>,
    next_sequence: u64,
}

impl Pool {
    fn all(&self) -> impl Iterator<Item = &Record> {
        self.records.values().map(|(record, _)| record)
    }

    fn those(&self, which: impl Fn(&Record) -> bool) -> Vec<Record> {
        self.all().filter(|record| which(record)).cloned().collect()
    }

    fn count(&self, which: impl Fn(&Record) -> bool) -> u32 {
        u32::try_from(self.all().filter(|record| which(record)).count()).unwrap_or(u32::MAX)
    }
}

/// What the rules ask of a backend. A look-up here is a walk over the pool, which `COST-1` allows; over all pools it
/// would not.
impl PoolRecords for Pool {
    type Error = Infallible;

    fn by_ref(&mut self, named: &KeyPackageRef) -> Result<Option<Record>, Infallible> {
        Ok(self.all().find(|record| record.info.key_package_ref == *named).cloned())
    }

    fn by_id(&mut self, id: &ReservationId) -> Result<Option<Record>, Infallible> {
        Ok(self.all().find(|record| record.state.bound_id() == Some(id)).cloned())
    }

    fn lapsed(&mut self, now: Timestamp) -> Result<Vec<Record>, Infallible> {
        Ok(self.those(|record| record.state.lapses_at().is_some_and(|end| end <= now)))
    }

    fn oldest_that_fits(
        &mut self,
        options: &TakeOptions,
        now: Timestamp,
    ) -> Result<Option<(Record, KeyPackageBytes)>, Infallible> {
        let fits = |record: &Record| record.state == State::Free && rules::fits(&record.info, options, now);
        let meets = |kept: &Kept| options.requirements.are_met_by(kept.support.as_ref());
        let mut fitting = self
            .records
            .values()
            .filter(|(record, kept)| fits(record) && meets(kept));
        Ok(fitting.find_map(|(record, kept)| Some((record.clone(), kept.bytes.clone()?))))
    }

    fn has_init_key(&mut self, fingerprint: &InitKeyFingerprint, now: Timestamp) -> Result<bool, Infallible> {
        let mut records = self.records.values();
        Ok(records.any(|(record, kept)| kept.fingerprint == Some(*fingerprint) && !record.is_expired(now)))
    }

    fn has_available(&mut self, now: Timestamp) -> Result<bool, Infallible> {
        Ok(self.all().any(|record| record.is_available(now)))
    }

    fn slots(&mut self) -> Result<Vec<Record>, Infallible> {
        Ok(self.those(|record| matches!(record.state, State::Slot { .. })))
    }

    fn unspent(&mut self, now: Timestamp) -> Result<Vec<Record>, Infallible> {
        Ok(self.those(|record| record.state.is_unspent_one_time() && !record.is_expired(now)))
    }

    fn count_held(&mut self, suite: Ciphersuite, now: Timestamp) -> Result<u32, Infallible> {
        Ok(self.count(|record| record.info.ciphersuite == suite && record.state.is_held() && !record.is_expired(now)))
    }

    fn count_remembered(&mut self, now: Timestamp) -> Result<u32, Infallible> {
        Ok(self.count(|record| !record.is_expired(now)))
    }

    fn count_remembered_of(&mut self, role: Role, now: Timestamp) -> Result<u32, Infallible> {
        Ok(self.count(|record| record.info.role == role && !record.is_expired(now)))
    }

    fn count_taken_by(&mut self, party: &Party) -> Result<u32, Infallible> {
        Ok(self.count(|record| record.state.reserver() == Some(party)))
    }

    fn bytes(&mut self, record: &Record) -> Result<KeyPackageBytes, Infallible> {
        let stored = self.records.get(&record.sequence);
        let bytes = stored.and_then(|(_, kept)| kept.bytes.clone());
        Ok(bytes.expect("the rules ask only for bytes that a record keeps"))
    }

    fn support(&mut self, record: &Record) -> Result<Option<Support>, Infallible> {
        let stored = self.records.get(&record.sequence);
        Ok(stored.and_then(|(_, kept)| kept.support.clone()))
    }

    fn next_sequence(&mut self) -> Result<u64, Infallible> {
        self.next_sequence += 1;
        Ok(self.next_sequence)
    }

    fn insert(&mut self, record: &Record, kept: &Kept) -> Result<(), Infallible> {
        self.records.insert(record.sequence, (record.clone(), kept.clone()));
        Ok(())
    }

    fn amend(&mut self, record: &Record, item: &Admitted) -> Result<(), Infallible> {
        if let Some((_, kept)) = self.records.get_mut(&record.sequence) {
            kept.support = kept.support.take().or_else(|| item.support.clone());
            kept.fingerprint = kept.fingerprint.or(item.fingerprint);
        }
        Ok(())
    }

    fn update(&mut self, record: &Record, state: State) -> Result<(), Infallible> {
        if let Some((record, kept)) = self.records.get_mut(&record.sequence) {
            if !state.keeps_bytes() {
                (kept.bytes, kept.support) = (None, None);
            }
            record.state = state;
        }
        Ok(())
    }

    fn forget(&mut self, record: &Record) -> Result<(), Infallible> {
        self.records.remove(&record.sequence);
        Ok(())
    }
}

/// A map cannot fail.
fn sure<T>(result: Result<T, Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

/// The backend.
#[derive(Clone, Default)]
struct SnapshotStore {
    pools: Arc<Mutex<BTreeMap<PoolId, Arc<Pool>>>>,
    limits: Limits,
}

impl SnapshotStore {
    fn with_limits(limits: Limits) -> Self {
        let pools = Arc::default();
        Self { pools, limits }
    }

    fn pools(&self) -> MutexGuard<'_, BTreeMap<PoolId, Arc<Pool>>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One atomic step on one pool (`LIN-1`). A pool that holds nothing is none (`READ-5`).
    fn step<T>(&self, id: &PoolId, step: impl FnOnce(&mut Pool) -> Result<T, Infallible>) -> T {
        let mut pools = self.pools();
        let pool = pools.entry(id.clone()).or_default();
        let answer = sure(step(Arc::make_mut(pool)));
        if pool.records.is_empty() {
            pools.remove(id);
        }
        answer
    }

    /// The steps of a batch, each with its own answer (`ERR-3`); or one refusal for all (`COST-1`).
    fn steps<I, T>(&self, items: &[I], bounded: Answer<()>, step: impl Fn(&I) -> Answer<T>) -> Answers<T> {
        Answers::each(items, bounded, |item| Ok(step(item)?))
    }

    /// The pool as it stands.
    fn snapshot(&self, id: &PoolId) -> Arc<Pool> {
        self.pools().get(id).cloned().unwrap_or_default()
    }

    /// A page of the pools after a cursor, and the cursor of the next.
    fn page(&self, after: Option<&Cursor>, limit: u32) -> Result<Page<PoolId>> {
        let after = after.map(Cursor::pool).transpose()?;
        let pools = self.pools();
        let mut rest = pools.keys().filter(|id| after.is_none_or(|after| *id > after));
        let items: Vec<_> = rest.by_ref().take(limit.max(1) as usize).cloned().collect();
        let last = items.last().filter(|_| rest.next().is_some());
        let next = last.map(|id| Cursor::after_pool(id.clone()));
        Ok(Page::new(items, next))
    }
}

/// Nothing of what it holds (`ERR-4`).
impl fmt::Debug for SnapshotStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl KeyPackageStore for SnapshotStore {
    async fn save_key_packages(&self, save: &Save, now: Timestamp) -> Result<Vec<SaveOutcome>> {
        Ok(self.step(&save.pool, |pool| rules::save(pool, save, self.limits, now)))
    }

    async fn reserve_key_packages(
        &self,
        takes: &[TakeRequest],
        lapse: OnLapse,
        now: Timestamp,
    ) -> Answers<Reservation> {
        self.steps(takes, rules::bounded_takes(takes), |take| {
            self.step(&take.pool, |pool| rules::reserve(pool, take, lapse, now))
        })
    }

    async fn claim_key_packages(
        &self,
        takes: &[TakeRequest],
        group: Option<&GroupId>,
        now: Timestamp,
    ) -> Answers<KeyPackage> {
        self.steps(takes, rules::bounded_takes(takes), |take| {
            self.step(&take.pool, |pool| rules::claim(pool, take, group, now))
        })
    }

    async fn spend_key_packages(&self, tokens: &[ReservationToken], usage: &Spend, now: Timestamp) -> Answers<Receipt> {
        self.steps(tokens, rules::bounded(tokens), |token| {
            self.step(&token.pool, |pool| rules::spend(pool, token, usage, now))
        })
    }

    async fn release_key_packages(&self, tokens: &[ReservationToken], now: Timestamp) -> Answers<()> {
        self.steps(tokens, rules::bounded(tokens), |token| {
            self.step(&token.pool, |pool| rules::release(pool, token, now))
        })
    }

    async fn renew_key_packages(&self, tokens: &[ReservationToken], ttl: Ttl, now: Timestamp) -> Answers<Lease> {
        self.steps(tokens, rules::bounded(tokens), |token| {
            self.step(&token.pool, |pool| rules::renew(pool, token, ttl, now))
        })
    }

    async fn get_key_package(
        &self,
        pool: &PoolId,
        named: &KeyPackageRef,
        now: Timestamp,
    ) -> Result<Option<StoredKeyPackage>> {
        let pool = self.snapshot(pool);
        let found = pool
            .records
            .values()
            .find(|(record, _)| record.info.key_package_ref == *named);
        Ok(found.map(|(record, kept)| record.clone().into_stored(kept.bytes.clone(), now)))
    }

    async fn get_statuses(&self, pool: &PoolId, refs: &[KeyPackageRef], now: Timestamp) -> Result<Vec<Option<Status>>> {
        rules::bounded(refs)?;
        let pool = self.snapshot(pool);
        let statuses: HashMap<_, _> = pool
            .all()
            .map(|record| (&record.info.key_package_ref, record.clone().settled(now).status(now)))
            .collect();
        Ok(refs.iter().map(|named| statuses.get(named).copied()).collect())
    }

    async fn list_available(
        &self,
        pool: &PoolId,
        after: Option<&Cursor>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Page<KeyPackageInfo>> {
        let after = after.map(Cursor::sequence).transpose()?.unwrap_or(0);
        let pool = self.snapshot(pool);
        let later = pool
            .records
            .range((Bound::Excluded(after), Bound::Unbounded))
            .map(|(_, (record, _))| record.clone());
        let mut available = later
            .map(|record| record.settled(now))
            .filter(|record| record.is_available(now));
        let page: Vec<_> = available.by_ref().take(limit.max(1) as usize).collect();
        let last = page.last().filter(|_| available.next().is_some());
        let next = last.map(|record| Cursor::after_sequence(record.sequence));
        let items = page.into_iter().map(|record| record.info).collect();
        Ok(Page::new(items, next))
    }

    async fn list_ready(&self, pool: &PoolId, now: Timestamp) -> Result<Vec<ReadyKeyPackage>> {
        Ok(rules::ready(self.snapshot(pool).all().cloned(), now))
    }

    async fn count_by_status(&self, pool: &PoolId, now: Timestamp) -> Result<PoolCounts> {
        Ok(rules::count(self.snapshot(pool).all().cloned(), self.limits, now))
    }

    async fn list_pools(&self, after: Option<&Cursor>, limit: u32) -> Result<Page<PoolId>> {
        self.page(after, limit)
    }

    async fn withdraw_key_packages(
        &self,
        pool: &PoolId,
        what: &Withdrawal,
        now: Timestamp,
    ) -> Result<Vec<(KeyPackageRef, WithdrawOutcome)>> {
        rules::bounded_withdrawal(what)?;
        Ok(self.step(pool, |pool| rules::withdraw(pool, what, now)))
    }

    async fn delete_pool(&self, pool: &PoolId) -> Result<()> {
        self.pools().remove(pool);
        Ok(())
    }

    async fn retire_unspent(
        &self,
        saved_before: Timestamp,
        now: Timestamp,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<(u64, Option<Cursor>)> {
        let page = self.page(after, limit)?;
        let retire = |id| self.step(id, |pool| rules::retire(pool, saved_before, now));
        Ok((page.items.iter().map(retire).sum(), page.next))
    }

    /// Walks over all pools, which is all that a sweep of a map can do: a database has an index by `not_after`.
    async fn cleanup_expired(&self, now: Timestamp, limit: u32) -> Result<u64> {
        let (mut count, limit) = (0, limit.max(1) as usize);
        let ids: Vec<_> = self.pools().keys().cloned().collect();
        for id in ids {
            count += self.step(&id, |pool| {
                let mut expired = pool.those(|record| record.is_expired(now));
                expired.truncate(limit - count);
                for record in &expired {
                    pool.forget(record)?;
                }
                Ok(expired.len())
            });
        }
        Ok(count as u64)
    }

    async fn release_expired_reservations(&self, now: Timestamp, limit: u32) -> Result<u64> {
        let ids: Vec<_> = self.pools().keys().cloned().collect();
        let settled = ids.iter().map(|id| self.step(id, |pool| rules::settle(pool, now)));
        Ok(settled.filter(|count| *count > 0).take(limit.max(1) as usize).sum())
    }
}

/// What the suite needs to know: the factory of `docs/writing-a-backend.md`.
#[derive(Default)]
struct Snapshots(Mutex<HashMap<String, SnapshotStore>>);

#[async_trait]
impl Factory for Snapshots {
    fn name(&self) -> &str {
        "snapshots"
    }

    /// Several handles, and limits as asked for; nothing outlives them, and other processes see nothing of it.
    fn facets(&self) -> Facets {
        Facets::NONE.handles().limits()
    }

    async fn open(&self, space: &Space) -> Result<Arc<dyn KeyPackageStore>, OpenError> {
        let mut stores = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || SnapshotStore::with_limits(space.limits());
        Ok(Arc::new(
            stores.entry(space.name().to_owned()).or_insert_with(new).clone(),
        ))
    }

    async fn destroy(&self, space: &Space) {
        let mut stores = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stores.remove(space.name());
    }
}

fn main() -> ExitCode {
    kp_conformance::main(Snapshots::default())
}
