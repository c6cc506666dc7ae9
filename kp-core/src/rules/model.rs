use std::collections::BTreeMap;
use std::convert::Infallible;

use super::{
    Answer, Kept, Limits, PoolRecords, Record, State, claim, count, fits, ready, release, renew, reserve, retire, save,
    settle, spend, withdraw,
};
use crate::server::{
    Admitted, InitKeyFingerprint, Lease, OnLapse, ReadyKeyPackage, Receipt, Reservation, ReservationToken, Save,
    SaveOutcome, Spend, StoredKeyPackage, Support, TakeOptions, TakeRequest, WithdrawOutcome, Withdrawal,
};
use crate::{
    Ciphersuite, GroupId, KeyPackage, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Party, PoolCounts, PoolId,
    ReservationId, Role, Status, Timestamp, Ttl,
};

/// Keeps a pool as a plain list, without an index: every look-up is a loop over the records.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ModelPool {
    /// The records by sequence, each with what is kept beside it.
    pub records: Vec<(Record, Kept)>,
    next_sequence: u64,
}

impl ModelPool {
    fn all(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().map(|(record, _)| record)
    }

    fn settled(&self, now: Timestamp) -> impl Iterator<Item = Record> {
        self.all().map(move |record| record.clone().settled(now))
    }

    fn count(&self, which: impl Fn(&Record) -> bool) -> Result<u32, Infallible> {
        Ok(u32::try_from(self.all().filter(|record| which(record)).count()).unwrap_or(u32::MAX))
    }

    /// Returns what is kept beside a record of this pool.
    #[must_use]
    pub fn kept(&self, record: &Record) -> Option<&Kept> {
        self.position(record).map(|at| &self.records[at].1)
    }

    fn position(&self, record: &Record) -> Option<usize> {
        self.all().position(|other| other.sequence == record.sequence)
    }
}

impl PoolRecords for ModelPool {
    type Error = Infallible;

    fn by_ref(&mut self, key_package_ref: &KeyPackageRef) -> Result<Option<Record>, Infallible> {
        Ok(self
            .all()
            .find(|record| record.info.key_package_ref == *key_package_ref)
            .cloned())
    }

    fn by_id(&mut self, id: &ReservationId) -> Result<Option<Record>, Infallible> {
        Ok(self.all().find(|record| record.state.bound_id() == Some(id)).cloned())
    }

    fn lapsed(&mut self, now: Timestamp) -> Result<Vec<Record>, Infallible> {
        Ok(self
            .all()
            .filter(|record| record.state.lapses_at().is_some_and(|at| at <= now))
            .cloned()
            .collect())
    }

    fn oldest_that_fits(
        &mut self,
        options: &TakeOptions,
        now: Timestamp,
    ) -> Result<Option<(Record, KeyPackageBytes)>, Infallible> {
        Ok(self.records.iter().find_map(|(record, kept)| {
            let chosen = record.state == State::Free
                && fits(&record.info, options, now)
                && options.requirements.are_met_by(kept.support.as_ref());
            let bytes = kept.bytes.clone().filter(|_| chosen)?;
            Some((record.clone(), bytes))
        }))
    }

    fn has_available(&mut self, now: Timestamp) -> Result<bool, Infallible> {
        Ok(self.all().any(|record| record.is_available(now)))
    }

    fn slots(&mut self) -> Result<Vec<Record>, Infallible> {
        Ok(self
            .all()
            .filter(|record| matches!(record.state, State::Slot { .. }))
            .cloned()
            .collect())
    }

    fn unspent(&mut self, now: Timestamp) -> Result<Vec<Record>, Infallible> {
        Ok(self
            .all()
            .filter(|record| record.state.is_unspent_one_time() && !record.is_expired(now))
            .cloned()
            .collect())
    }

    fn count_held(&mut self, suite: Ciphersuite, now: Timestamp) -> Result<u32, Infallible> {
        self.count(|record| record.info.ciphersuite == suite && record.state.is_held() && !record.is_expired(now))
    }

    fn count_remembered(&mut self, now: Timestamp) -> Result<u32, Infallible> {
        self.count(|record| !record.is_expired(now))
    }

    fn count_remembered_of(&mut self, role: Role, now: Timestamp) -> Result<u32, Infallible> {
        self.count(|record| record.info.role == role && !record.is_expired(now))
    }

    fn count_taken_by(&mut self, party: &Party) -> Result<u32, Infallible> {
        self.count(|record| record.state.reserver() == Some(party))
    }

    /// # Panics
    ///
    /// Panics if the record has no bytes: the rules never ask for such bytes.
    fn bytes(&mut self, record: &Record) -> Result<KeyPackageBytes, Infallible> {
        let bytes = self.kept(record).and_then(|kept| kept.bytes.clone());
        Ok(bytes.expect("the rules ask only for bytes that a record keeps"))
    }

    fn support(&mut self, record: &Record) -> Result<Option<Support>, Infallible> {
        Ok(self.kept(record).and_then(|kept| kept.support.clone()))
    }

    fn has_init_key(&mut self, fingerprint: &InitKeyFingerprint, now: Timestamp) -> Result<bool, Infallible> {
        let has = |(record, kept): &(Record, Kept)| kept.fingerprint == Some(*fingerprint) && !record.is_expired(now);
        Ok(self.records.iter().any(has))
    }

    fn next_sequence(&mut self) -> Result<u64, Infallible> {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        Ok(sequence)
    }

    fn insert(&mut self, record: &Record, kept: &Kept) -> Result<(), Infallible> {
        self.records.push((record.clone(), kept.clone()));
        Ok(())
    }

    fn amend(&mut self, record: &Record, item: &Admitted) -> Result<(), Infallible> {
        if let Some(at) = self.position(record) {
            let kept = &mut self.records[at].1;
            kept.fingerprint = kept.fingerprint.or(item.fingerprint);
            kept.support = kept.support.take().or_else(|| item.support.clone());
        }
        Ok(())
    }

    fn update(&mut self, record: &Record, state: State) -> Result<(), Infallible> {
        if let Some(at) = self.position(record) {
            let (record, kept) = &mut self.records[at];
            if !state.keeps_bytes() {
                (kept.bytes, kept.support) = (None, None);
            }
            record.state = state;
        }
        Ok(())
    }

    fn forget(&mut self, record: &Record) -> Result<(), Infallible> {
        self.records.retain(|(other, _)| other.sequence != record.sequence);
        Ok(())
    }
}

/// Serves as the reference store that backends and histories are compared with: the rules over [`ModelPool`]s.
///
/// The calls are those of [`KeyPackageStore`](crate::server::KeyPackageStore), one item at a time and synchronous. The
/// model is not for production: every call loops over all records.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Model {
    pools: BTreeMap<PoolId, ModelPool>,
    limits: Limits,
}

/// Unwraps the result of a step on a list, which cannot fail.
fn sure<T>(result: Result<T, Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

impl Model {
    /// Makes an empty store with these limits.
    #[must_use]
    pub fn with_limits(limits: Limits) -> Self {
        Self {
            pools: BTreeMap::new(),
            limits,
        }
    }

    /// Returns one pool; `None` when the pool holds nothing.
    #[must_use]
    pub fn pool(&self, pool: &PoolId) -> Option<&ModelPool> {
        self.pools.get(pool)
    }

    /// Takes one step on one pool, by the rules or around the rules. A pool that then holds nothing is dropped.
    pub fn step<T>(&mut self, pool: &PoolId, step: impl FnOnce(&mut ModelPool) -> Result<T, Infallible>) -> T {
        let records = self.pools.entry(pool.clone()).or_default();
        let answer = sure(step(records));
        if records.records.is_empty() {
            self.pools.remove(pool);
        }
        answer
    }

    /// Does `save_key_packages`.
    pub fn save(&mut self, request: &Save, now: Timestamp) -> Vec<SaveOutcome> {
        let limits = self.limits;
        self.step(&request.pool, |pool| save(pool, request, limits, now))
    }

    /// Does one item of `reserve_key_packages`.
    ///
    /// # Errors
    ///
    /// The [`Rejection`](crate::Rejection) of the rules.
    pub fn reserve(&mut self, take: &TakeRequest, on_lapse: OnLapse, now: Timestamp) -> Answer<Reservation> {
        self.step(&take.pool, |pool| reserve(pool, take, on_lapse, now))
    }

    /// Does one item of `claim_key_packages`.
    ///
    /// # Errors
    ///
    /// The [`Rejection`](crate::Rejection) of the rules.
    pub fn claim(&mut self, take: &TakeRequest, group: Option<&GroupId>, now: Timestamp) -> Answer<KeyPackage> {
        self.step(&take.pool, |pool| claim(pool, take, group, now))
    }

    /// Does one item of `spend_key_packages`.
    ///
    /// # Errors
    ///
    /// The [`Rejection`](crate::Rejection) of the rules.
    pub fn spend(&mut self, token: &ReservationToken, spent: &Spend, now: Timestamp) -> Answer<Receipt> {
        self.step(&token.pool, |pool| spend(pool, token, spent, now))
    }

    /// Does one item of `release_key_packages`.
    ///
    /// # Errors
    ///
    /// The [`Rejection`](crate::Rejection) of the rules.
    pub fn release(&mut self, token: &ReservationToken, now: Timestamp) -> Answer<()> {
        self.step(&token.pool, |pool| release(pool, token, now))
    }

    /// Does one item of `renew_key_packages`.
    ///
    /// # Errors
    ///
    /// The [`Rejection`](crate::Rejection) of the rules.
    pub fn renew(&mut self, token: &ReservationToken, ttl: Ttl, now: Timestamp) -> Answer<Lease> {
        self.step(&token.pool, |pool| renew(pool, token, ttl, now))
    }

    /// Does `get_key_package`.
    #[must_use]
    pub fn get(&self, pool: &PoolId, key_package_ref: &KeyPackageRef, now: Timestamp) -> Option<StoredKeyPackage> {
        let named = |(record, _): &&(Record, Kept)| record.info.key_package_ref == *key_package_ref;
        let (record, kept) = self.pools.get(pool)?.records.iter().find(named)?;
        Some(record.clone().into_stored(kept.bytes.clone(), now))
    }

    /// Does one ref of `get_statuses`.
    #[must_use]
    pub fn status(&self, pool: &PoolId, key_package_ref: &KeyPackageRef, now: Timestamp) -> Option<Status> {
        self.get(pool, key_package_ref, now).map(|stored| stored.status)
    }

    /// Does `list_available`, all pages in one.
    #[must_use]
    pub fn list_available(&self, pool: &PoolId, now: Timestamp) -> Vec<KeyPackageInfo> {
        let Some(pool) = self.pools.get(pool) else {
            return Vec::new();
        };
        pool.settled(now)
            .filter(|record| record.is_available(now))
            .map(|record| record.info)
            .collect()
    }

    /// Does `list_ready`.
    #[must_use]
    pub fn list_ready(&self, pool: &PoolId, now: Timestamp) -> Vec<ReadyKeyPackage> {
        ready(self.pools.get(pool).into_iter().flat_map(ModelPool::all).cloned(), now)
    }

    /// Does `count_by_status`.
    #[must_use]
    pub fn count_by_status(&self, pool: &PoolId, now: Timestamp) -> PoolCounts {
        let records = self.pools.get(pool).into_iter().flat_map(ModelPool::all).cloned();
        count(records, self.limits, now)
    }

    /// Does `list_pools`, all pages in one.
    pub fn list_pools(&self) -> impl Iterator<Item = &PoolId> {
        self.pools.keys()
    }

    /// Does `withdraw_key_packages`.
    pub fn withdraw(
        &mut self,
        pool: &PoolId,
        withdrawal: &Withdrawal,
        now: Timestamp,
    ) -> Vec<(KeyPackageRef, WithdrawOutcome)> {
        self.step(pool, |pool| withdraw(pool, withdrawal, now))
    }

    /// Does `delete_pool`.
    pub fn delete_pool(&mut self, pool: &PoolId) {
        self.pools.remove(pool);
    }

    /// Does `retire_unspent` for all pools.
    pub fn retire_unspent(&mut self, saved_before: Timestamp, now: Timestamp) -> u64 {
        self.pools
            .values_mut()
            .map(|pool| sure(retire(pool, saved_before, now)))
            .sum()
    }

    /// Does `cleanup_expired` until nothing is left.
    pub fn cleanup_expired(&mut self, now: Timestamp) -> u64 {
        let mut count = 0;
        self.pools.retain(|_, pool| {
            pool.records.retain(|(record, _)| {
                let swept = record.is_expired(now);
                count += u64::from(swept);
                !swept
            });
            !pool.records.is_empty()
        });
        count
    }

    /// Does `release_expired_reservations` until nothing is left.
    pub fn release_expired_reservations(&mut self, now: Timestamp) -> u64 {
        self.pools.values_mut().map(|pool| sure(settle(pool, now))).sum()
    }
}
