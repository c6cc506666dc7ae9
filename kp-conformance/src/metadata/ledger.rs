use std::collections::BTreeMap;
use std::sync::Arc;

use kp_core::client::{
    KeyPackageMetadata, LeaseHolder, LeaseName, Lifecycle, MetadataChanges, MetadataRejection, PoolMetadataStore,
    PoolMetadataStoreExt, PoolRecord,
};
use kp_core::{Ciphersuite, KeyPackageRef, Timestamp, Ttl};

use super::rows::refs;
use crate::must_be::must_be;
use crate::packages::key_package_ref;
use crate::pool::{answered, works};
use crate::progress::Progress;

/// What the checks of metadata work with.
pub(super) type Context = crate::Context<dyn PoolMetadataStore>;

/// What the rules answer.
pub(super) type Answer<T = ()> = Result<T, MetadataRejection>;

/// The metadata of one client through one handle: the calls of a store, shortened, with a failure of the backend as a
/// failure of the check. What the rules refuse stays an answer.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    store: Arc<dyn PoolMetadataStore>,
    progress: Progress,
}

impl Ledger {
    /// The store, for one call.
    fn store(&self) -> &dyn PoolMetadataStore {
        self.progress.step();
        &*self.store
    }

    pub(super) async fn create(&self, rows: &[KeyPackageMetadata]) -> Answer {
        answered(self.store().create_pool_metadata(rows).await)
    }

    /// A handle on a space in which these rows are created.
    pub(super) async fn with(self, rows: &[KeyPackageMetadata]) -> Self {
        must_be!(self.create(rows).await, Ok(()), "new rows can be created");
        self
    }

    pub(super) async fn apply(&self, changes: &MetadataChanges) -> Answer<u64> {
        answered(self.store().apply(changes).await)
    }

    /// A lease for the n-th holder, for so many seconds: the number of its fence.
    pub(super) async fn lease(&self, name: LeaseName, holder: u8, seconds: u32, now: Timestamp) -> Answer<u64> {
        let ttl = Ttl::seconds(seconds).expect("some seconds are a ttl");
        let answer = self
            .store()
            .lease(name, LeaseHolder::from_bytes([holder; 16]), ttl, now)
            .await;
        let fence = answered(answer)?;
        must_be!(fence.lease, name);
        Ok(fence.number)
    }

    pub(super) async fn release(&self, name: LeaseName, holder: u8) {
        works(
            self.store()
                .release_lease(name, LeaseHolder::from_bytes([holder; 16]))
                .await,
        );
    }

    pub(super) async fn record(&self) -> PoolRecord {
        works(self.store().record().await)
    }

    /// All that is there.
    pub(super) async fn all(&self) -> (Vec<KeyPackageMetadata>, PoolRecord) {
        (self.list().await, self.record().await)
    }

    pub(super) async fn step(&self, n: u64, to: Lifecycle, now: Timestamp) -> Answer {
        self.steps(&[(n, to)], now).await
    }

    pub(super) async fn steps(&self, steps: &[(u64, Lifecycle)], now: Timestamp) -> Answer {
        let steps: Vec<_> = steps.iter().map(|(n, to)| (key_package_ref(*n), *to)).collect();
        answered(self.store().update_pool_status(&steps, now).await)
    }

    pub(super) async fn get(&self, n: u64) -> Option<KeyPackageMetadata> {
        self.get_ref(&key_package_ref(n)).await
    }

    pub(super) async fn get_ref(&self, key_package_ref: &KeyPackageRef) -> Option<KeyPackageMetadata> {
        works(self.store().get(key_package_ref).await)
    }

    /// A row that must be there.
    pub(super) async fn row(&self, n: u64) -> KeyPackageMetadata {
        self.get(n).await.expect("the row was created, and not deleted")
    }

    pub(super) async fn list(&self) -> Vec<KeyPackageMetadata> {
        works(self.store().list().await)
    }

    pub(super) async fn delete(&self, numbers: impl IntoIterator<Item = u64>) -> u64 {
        works(self.store().delete_pool_metadata(&refs(numbers)).await)
    }

    pub(super) async fn available(&self, suite: Ciphersuite, now: Timestamp) -> u32 {
        works(self.store().get_available_count(suite, now).await)
    }

    pub(super) async fn counts(&self) -> BTreeMap<&'static str, u32> {
        works(self.store().count_by_status().await)
    }

    pub(super) async fn expired(&self, now: Timestamp) -> Vec<KeyPackageRef> {
        works(self.store().get_expired_refs(now).await)
    }
}

impl Context {
    /// The metadata, through a handle of its own.
    pub(super) async fn ledger(&self) -> Ledger {
        self.ledger_of(self.open().await)
    }

    /// The metadata through this many [`handles`](crate::Context::handles).
    pub(super) async fn ledgers(&self, handles: usize) -> Vec<Ledger> {
        let handles = self.handles(handles).await.into_iter();
        handles.map(|store| self.ledger_of(store)).collect()
    }

    fn ledger_of(&self, store: Arc<dyn PoolMetadataStore>) -> Ledger {
        let progress = self.progress().clone();
        Ledger { store, progress }
    }
}
