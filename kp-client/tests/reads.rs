//! What a refresh costs the metadata store.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use kp_client::{CiphersuitePlan, KeyPackagePool};
use kp_core::client::{KeyPackageMetadata, Lifecycle, MetadataResult, PoolMetadataStore};
use kp_core::{KeyPackageRef, Timestamp};
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
    async fn create_pool_metadata(&self, rows: &[KeyPackageMetadata]) -> MetadataResult<()> {
        self.rows.create_pool_metadata(rows).await
    }

    async fn update_pool_status(&self, steps: &[(KeyPackageRef, Lifecycle)], now: Timestamp) -> MetadataResult<()> {
        self.rows.update_pool_status(steps, now).await
    }

    async fn get(&self, key_package_ref: &KeyPackageRef) -> MetadataResult<Option<KeyPackageMetadata>> {
        self.rows.get(key_package_ref).await
    }

    async fn list(&self) -> MetadataResult<Vec<KeyPackageMetadata>> {
        self.lists.fetch_add(1, Ordering::SeqCst);
        self.rows.list().await
    }

    async fn delete_pool_metadata(&self, refs: &[KeyPackageRef]) -> MetadataResult<u64> {
        self.rows.delete_pool_metadata(refs).await
    }
}

/// A round holds the ledger five times (clean up, learn, make, withdraw, next date), and once more for each upload that is
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
    assert_eq!(metadata.lists.swap(0, Ordering::SeqCst), 6);
    assert_eq!(pool.refresh().await.unwrap().uploaded, 0);
    assert_eq!(metadata.lists.swap(0, Ordering::SeqCst), 5);
}
