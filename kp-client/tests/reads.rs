//! What a refresh costs the metadata store.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use kp_client::{CiphersuitePlan, KeyPackagePool};
use kp_core::client::{
    Fence, KeyPackageMetadata, LeaseHolder, LeaseName, MetadataChanges, MetadataResult, PoolMetadataStore, PoolRecord,
};
use kp_core::{KeyPackageRef, Timestamp, Ttl};
use kp_memory::MemoryMetadata;
use kp_test_support::messenger::{Bob, SUITE, World};

/// Counts how often all rows are read.
#[derive(Debug, Default)]
struct Counting {
    rows: MemoryMetadata,
    lists: AtomicUsize,
}

#[async_trait]
impl PoolMetadataStore for Counting {
    async fn apply(&self, changes: &MetadataChanges) -> MetadataResult<u64> {
        self.rows.apply(changes).await
    }

    async fn lease(&self, name: LeaseName, holder: LeaseHolder, ttl: Ttl, now: Timestamp) -> MetadataResult<Fence> {
        self.rows.lease(name, holder, ttl, now).await
    }

    async fn release_lease(&self, name: LeaseName, holder: LeaseHolder) -> MetadataResult<()> {
        self.rows.release_lease(name, holder).await
    }

    async fn get(&self, key_package_ref: &KeyPackageRef) -> MetadataResult<Option<KeyPackageMetadata>> {
        self.rows.get(key_package_ref).await
    }

    async fn list(&self) -> MetadataResult<Vec<KeyPackageMetadata>> {
        self.lists.fetch_add(1, Ordering::SeqCst);
        self.rows.list().await
    }

    async fn record(&self) -> MetadataResult<PoolRecord> {
        self.rows.record().await
    }
}

/// A round holds the ledger six times (put in order, learn, pass time, make, withdraw, next date), and once more for each upload that is
/// answered; each time, the rows are read once.
#[tokio::test]
async fn a_refresh_reads_the_rows_once_each_time_that_it_holds_the_ledger() {
    let (world, bob, metadata) = (World::new(), Bob::new(), Arc::new(Counting::default()));
    let pool = KeyPackagePool::builder(bob.vault(), Arc::clone(&metadata), bob.transport(&world))
        .clock(world.clock.clone())
        .ciphersuite(CiphersuitePlan::pool(SUITE))
        .build()
        .unwrap();
    assert_eq!(pool.refresh().await.unwrap().uploaded, 33, "in one upload");
    assert_eq!(metadata.lists.swap(0, Ordering::SeqCst), 7);
    assert_eq!(pool.refresh().await.unwrap().uploaded, 0);
    assert_eq!(metadata.lists.swap(0, Ordering::SeqCst), 6);
}
