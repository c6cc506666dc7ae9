//! A memory store that keeps a list of its calls, and whose sweeps can be made to go wrong.

use std::sync::Arc;

use async_trait::async_trait;
use kp_core::server::{
    Answers, Cursor, KeyPackageStore, Lease, OnLapse, Page, ReadyKeyPackage, Receipt, Reservation, ReservationToken,
    Save, SaveOutcome, Spend, StoredKeyPackage, TakeRequest, WithdrawOutcome, Withdrawal,
};
use kp_core::{GroupId, KeyPackage, KeyPackageInfo, KeyPackageRef, PoolCounts, PoolId, Result, Status, Timestamp, Ttl};
use kp_memory::MemoryStore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How `cleanup_expired` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sweeps {
    /// As the memory store does.
    Well,
    /// Never.
    Never,
    /// At once, that there is more: for ever.
    Endlessly,
}

/// The store. Clones are the same store.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    pub(crate) store: Arc<MemoryStore>,
    sweeps: Sweeps,
    calls: UnboundedSender<&'static str>,
}

impl Probe {
    /// A store, and the names of its calls as they come.
    pub(crate) fn new(sweeps: Sweeps) -> (Self, UnboundedReceiver<&'static str>) {
        let (calls, made) = unbounded_channel();
        let store = Arc::new(MemoryStore::new());
        (Self { store, sweeps, calls }, made)
    }

    fn called(&self, name: &'static str) -> &MemoryStore {
        // A test need not listen.
        let _ = self.calls.send(name);
        &self.store
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl KeyPackageStore for Probe {
    async fn save_key_packages(&self, save: &Save, now: Timestamp) -> Result<Vec<SaveOutcome>> {
        self.called("save_key_packages").save_key_packages(save, now).await
    }

    async fn reserve_key_packages(
        &self,
        takes: &[TakeRequest],
        lapse: OnLapse,
        now: Timestamp,
    ) -> Answers<Reservation> {
        let store = self.called("reserve_key_packages");
        store.reserve_key_packages(takes, lapse, now).await
    }

    async fn claim_key_packages(
        &self,
        takes: &[TakeRequest],
        group: Option<&GroupId>,
        now: Timestamp,
    ) -> Answers<KeyPackage> {
        let store = self.called("claim_key_packages");
        store.claim_key_packages(takes, group, now).await
    }

    async fn spend_key_packages(&self, tokens: &[ReservationToken], usage: &Spend, now: Timestamp) -> Answers<Receipt> {
        let store = self.called("spend_key_packages");
        store.spend_key_packages(tokens, usage, now).await
    }

    async fn release_key_packages(&self, tokens: &[ReservationToken], now: Timestamp) -> Answers<()> {
        let store = self.called("release_key_packages");
        store.release_key_packages(tokens, now).await
    }

    async fn renew_key_packages(&self, tokens: &[ReservationToken], ttl: Ttl, now: Timestamp) -> Answers<Lease> {
        let store = self.called("renew_key_packages");
        store.renew_key_packages(tokens, ttl, now).await
    }

    async fn get_key_package(
        &self,
        pool: &PoolId,
        key_package_ref: &KeyPackageRef,
        now: Timestamp,
    ) -> Result<Option<StoredKeyPackage>> {
        let store = self.called("get_key_package");
        store.get_key_package(pool, key_package_ref, now).await
    }

    async fn get_statuses(&self, pool: &PoolId, refs: &[KeyPackageRef], now: Timestamp) -> Result<Vec<Option<Status>>> {
        self.called("get_statuses").get_statuses(pool, refs, now).await
    }

    async fn list_available(
        &self,
        pool: &PoolId,
        after: Option<&Cursor>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Page<KeyPackageInfo>> {
        let store = self.called("list_available");
        store.list_available(pool, after, limit, now).await
    }

    async fn list_ready(&self, pool: &PoolId, now: Timestamp) -> Result<Vec<ReadyKeyPackage>> {
        self.called("list_ready").list_ready(pool, now).await
    }

    async fn count_by_status(&self, pool: &PoolId, now: Timestamp) -> Result<PoolCounts> {
        self.called("count_by_status").count_by_status(pool, now).await
    }

    async fn list_pools(&self, after: Option<&Cursor>, limit: u32) -> Result<Page<PoolId>> {
        self.called("list_pools").list_pools(after, limit).await
    }

    async fn withdraw_key_packages(
        &self,
        pool: &PoolId,
        what: &Withdrawal,
        now: Timestamp,
    ) -> Result<Vec<(KeyPackageRef, WithdrawOutcome)>> {
        let store = self.called("withdraw_key_packages");
        store.withdraw_key_packages(pool, what, now).await
    }

    async fn delete_pool(&self, pool: &PoolId) -> Result<()> {
        self.called("delete_pool").delete_pool(pool).await
    }

    async fn retire_unspent(
        &self,
        saved_before: Timestamp,
        now: Timestamp,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<(u64, Option<Cursor>)> {
        let store = self.called("retire_unspent");
        store.retire_unspent(saved_before, now, after, limit).await
    }

    async fn cleanup_expired(&self, now: Timestamp, limit: u32) -> Result<u64> {
        let store = self.called("cleanup_expired");
        match self.sweeps {
            Sweeps::Well => store.cleanup_expired(now, limit).await,
            Sweeps::Never => std::future::pending().await,
            Sweeps::Endlessly => Ok(1),
        }
    }

    async fn release_expired_reservations(&self, now: Timestamp, limit: u32) -> Result<u64> {
        let store = self.called("release_expired_reservations");
        store.release_expired_reservations(now, limit).await
    }
}
