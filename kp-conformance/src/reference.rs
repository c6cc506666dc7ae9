use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use kp_core::moving::{ImportRejection, MovePools, PoolExport, import};
use kp_core::rules::{Limits, Model, bounded, bounded_takes, bounded_withdrawal, retire, settle};
use kp_core::server::{
    Answers, Cursor, KeyPackageStore, Lease, OnLapse, Page, ReadyKeyPackage, Receipt, Reservation, ReservationToken,
    Save, SaveOutcome, Spend, StoredKeyPackage, TakeRequest, WithdrawOutcome, Withdrawal,
};
use kp_core::{
    BackendError, Effect, Error, GroupId, KeyPackage, KeyPackageInfo, KeyPackageRef, PoolCounts, PoolId, Result,
    Status, Timestamp, Ttl,
};

use crate::Space;

/// The correct store, and nothing else: the rules of kp-core over lists in memory, under one lock.
///
/// To test the suite itself with, and to compare backends with. Slow, and not for production: `kp-memory` is.
#[derive(Clone, Default)]
pub struct ReferenceStore {
    model: Arc<Mutex<Model>>,
}

static SPACES: LazyLock<Mutex<HashMap<String, ReferenceStore>>> = LazyLock::new(Mutex::default);

impl ReferenceStore {
    /// A handle on the store of this space, of which there is one in the process.
    #[must_use]
    pub fn of_space(space: &Space) -> Self {
        let new = || Self::with_limits(space.limits());
        lock(&SPACES).entry(space.name().to_owned()).or_insert_with(new).clone()
    }

    /// An empty store with these limits.
    #[must_use]
    pub fn with_limits(limits: Limits) -> Self {
        Self::of_model(Model::with_limits(limits))
    }

    /// A store that holds what this model holds.
    pub(crate) fn of_model(model: Model) -> Self {
        let model = Arc::new(Mutex::new(model));
        Self { model }
    }

    /// Forgets the store of this space; its handles keep it.
    pub fn forget_space(space: &Space) {
        lock(&SPACES).remove(space.name());
    }

    /// The model itself, locked: to look into, or to step around the rules.
    pub fn model(&self) -> MutexGuard<'_, Model> {
        lock(&self.model)
    }
}

/// A check that panics elsewhere leaves the data whole: no rule panics in the middle of a step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for ReferenceStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReferenceStore").finish_non_exhaustive()
    }
}

fn page_size(limit: u32) -> usize {
    limit.max(1) as usize
}

/// The first of these items, and where the next page begins, if there are more.
fn page<T>(mut items: impl Iterator<Item = T>, limit: u32, after: impl FnOnce(&T) -> Cursor) -> Page<T> {
    let first: Vec<_> = items.by_ref().take(page_size(limit)).collect();
    let next = first.last().filter(|_| items.next().is_some()).map(after);
    Page::new(first, next)
}

/// The pools of the model after this one.
fn pools(model: &Model, after: Option<&PoolId>, limit: u32) -> Page<PoolId> {
    let pools = model
        .list_pools()
        .filter(|pool| after.is_none_or(|after| *pool > after));
    page(pools.cloned(), limit, |pool| Cursor::after_pool(pool.clone()))
}

#[async_trait]
impl MovePools for ReferenceStore {
    async fn export_pool(&self, pool: &PoolId) -> Result<PoolExport> {
        let records = self.model().pool(pool).cloned().unwrap_or_default().records;
        let failed = |why| BackendError::new("reference", "export_pool", Effect::NotApplied, why);
        Ok(PoolExport::new(records).map_err(failed)?)
    }

    async fn import_pool(&self, pool: &PoolId, export: &PoolExport) -> Result<(), Error<ImportRejection>> {
        self.model()
            .step(pool, |records| import(records, export))
            .map_err(Error::Rejected)
    }
}

#[async_trait]
impl KeyPackageStore for ReferenceStore {
    async fn save_key_packages(&self, save: &Save, now: Timestamp) -> Result<Vec<SaveOutcome>> {
        Ok(self.model().save(save, now))
    }

    async fn reserve_key_packages(
        &self,
        takes: &[TakeRequest],
        lapse: OnLapse,
        now: Timestamp,
    ) -> Answers<Reservation> {
        let reserve = |take| Ok(self.model().reserve(take, lapse, now)?);
        Answers::each(takes, bounded_takes(takes), reserve)
    }

    async fn claim_key_packages(
        &self,
        takes: &[TakeRequest],
        group: Option<&GroupId>,
        now: Timestamp,
    ) -> Answers<KeyPackage> {
        let claim = |take| Ok(self.model().claim(take, group, now)?);
        Answers::each(takes, bounded_takes(takes), claim)
    }

    async fn spend_key_packages(&self, tokens: &[ReservationToken], usage: &Spend, now: Timestamp) -> Answers<Receipt> {
        let spend = |token| Ok(self.model().spend(token, usage, now)?);
        Answers::each(tokens, bounded(tokens), spend)
    }

    async fn release_key_packages(&self, tokens: &[ReservationToken], now: Timestamp) -> Answers<()> {
        let release = |token| Ok(self.model().release(token, now)?);
        Answers::each(tokens, bounded(tokens), release)
    }

    async fn renew_key_packages(&self, tokens: &[ReservationToken], ttl: Ttl, now: Timestamp) -> Answers<Lease> {
        let renew = |token| Ok(self.model().renew(token, ttl, now)?);
        Answers::each(tokens, bounded(tokens), renew)
    }

    async fn get_key_package(
        &self,
        pool: &PoolId,
        key_package_ref: &KeyPackageRef,
        now: Timestamp,
    ) -> Result<Option<StoredKeyPackage>> {
        Ok(self.model().get(pool, key_package_ref, now))
    }

    async fn get_statuses(&self, pool: &PoolId, refs: &[KeyPackageRef], now: Timestamp) -> Result<Vec<Option<Status>>> {
        bounded(refs)?;
        let model = self.model();
        Ok(refs.iter().map(|named| model.status(pool, named, now)).collect())
    }

    async fn list_available(
        &self,
        pool: &PoolId,
        after: Option<&Cursor>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Page<KeyPackageInfo>> {
        let after = after.map(Cursor::sequence).transpose()?;
        let model = self.model();
        let records = model.pool(pool).into_iter().flat_map(|pool| &pool.records);
        let available = records
            .map(|(record, _)| record.clone().settled(now))
            .filter(|record| record.is_available(now) && after.is_none_or(|after| record.sequence > after));
        let page = page(available, limit, |record| Cursor::after_sequence(record.sequence));
        Ok(Page::new(
            page.items.into_iter().map(|record| record.info).collect(),
            page.next,
        ))
    }

    async fn list_ready(&self, pool: &PoolId, now: Timestamp) -> Result<Vec<ReadyKeyPackage>> {
        Ok(self.model().list_ready(pool, now))
    }

    async fn count_by_status(&self, pool: &PoolId, now: Timestamp) -> Result<PoolCounts> {
        Ok(self.model().count_by_status(pool, now))
    }

    async fn list_pools(&self, after: Option<&Cursor>, limit: u32) -> Result<Page<PoolId>> {
        let after = after.map(Cursor::pool).transpose()?;
        Ok(pools(&self.model(), after, limit))
    }

    async fn withdraw_key_packages(
        &self,
        pool: &PoolId,
        what: &Withdrawal,
        now: Timestamp,
    ) -> Result<Vec<(KeyPackageRef, WithdrawOutcome)>> {
        bounded_withdrawal(what)?;
        Ok(self.model().withdraw(pool, what, now))
    }

    async fn delete_pool(&self, pool: &PoolId) -> Result<()> {
        self.model().delete_pool(pool);
        Ok(())
    }

    async fn retire_unspent(
        &self,
        saved_before: Timestamp,
        now: Timestamp,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<(u64, Option<Cursor>)> {
        let after = after.map(Cursor::pool).transpose()?;
        let mut model = self.model();
        let Page { items, next, .. } = pools(&model, after, limit);
        let retired = items
            .iter()
            .map(|pool| model.step(pool, |records| retire(records, saved_before, now)));
        Ok((retired.sum(), next))
    }

    async fn cleanup_expired(&self, now: Timestamp, limit: u32) -> Result<u64> {
        let mut model = self.model();
        let mut left = page_size(limit);
        for pool in &pools(&model, None, u32::MAX).items {
            model.step(pool, |records| {
                records.records.retain(|(record, _)| {
                    let swept = left > 0 && record.is_expired(now);
                    left -= usize::from(swept);
                    !swept
                });
                Ok(())
            });
        }
        Ok((page_size(limit) - left) as u64)
    }

    async fn release_expired_reservations(&self, now: Timestamp, limit: u32) -> Result<u64> {
        let mut model = self.model();
        let settled = pools(&model, None, u32::MAX)
            .items
            .into_iter()
            .map(|pool| model.step(&pool, |records| settle(records, now)))
            .filter(|count| *count > 0);
        Ok(settled.take(page_size(limit)).sum())
    }
}
