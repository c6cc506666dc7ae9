use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use kp_core::client::{
    Fence, KeyPackageMetadata, LeaseHolder, LeaseName, MetadataChanges, MetadataResult, PoolMetadataStore, PoolRecord,
    StorageLease,
};
use kp_core::{KeyPackageRef, Timestamp, Ttl};
use parking_lot::Mutex;

/// Keeps the metadata of a client's KeyPackages in memory. Nothing survives the process: for tests, and for clients whose
/// keys do not survive it either.
///
/// A clone shares the rows.
///
/// ```
/// use kp_core::client::{KeyPackageMetadata, Lifecycle, PoolMetadataStoreExt};
/// # use kp_core::{Ciphersuite, CredentialHash, KeyPackageInfo, KeyPackageRef, Lifetime, Timestamp};
/// use kp_memory::MemoryMetadata;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let now = Timestamp::try_from(1_700_000_000)?;
/// # let lifetime = Lifetime::new(now, now.plus(86_400))?;
/// # let key_package_ref = KeyPackageRef::try_from("the hash of it")?;
/// # let info = KeyPackageInfo::new(key_package_ref, Ciphersuite(1), lifetime, CredentialHash([0; 32]));
/// let metadata = MemoryMetadata::new();
/// metadata.create_pool_metadata(&[KeyPackageMetadata::created(&info, now)]).await?;
/// metadata.update_pool_status(&[(info.key_package_ref, Lifecycle::Available)], now).await?;
/// assert_eq!(metadata.get_available_count(info.ciphersuite, now).await?, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct MemoryMetadata(Arc<Mutex<Content>>);

#[derive(Default)]
struct Content {
    rows: BTreeMap<KeyPackageRef, KeyPackageMetadata>,
    leases: BTreeMap<LeaseName, StorageLease>,
    record: PoolRecord,
}

impl MemoryMetadata {
    /// Makes an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl fmt::Debug for MemoryMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryMetadata").finish_non_exhaustive()
    }
}

#[async_trait]
impl PoolMetadataStore for MemoryMetadata {
    async fn apply(&self, changes: &MetadataChanges) -> MetadataResult<u64> {
        let mut content = self.0.lock();
        if let Some(fence) = changes.fence {
            StorageLease::admit(content.leases.get(&fence.lease), fence)?;
        }
        let stored = |named| content.rows.get(named).cloned();
        let named = changes.named().into_iter().filter_map(stored);
        let mut changed = named.map(|row| (row.key_package_ref.clone(), row)).collect();
        changes.decide(&mut changed)?;
        content.rows.append(&mut changed);
        if let Some(record) = &changes.record {
            content.record = record.clone();
        }
        let deleted = changes
            .delete
            .iter()
            .filter(|named| content.rows.remove(*named).is_some());
        Ok(deleted.count() as u64)
    }

    async fn lease(&self, name: LeaseName, holder: LeaseHolder, ttl: Ttl, now: Timestamp) -> MetadataResult<Fence> {
        let mut content = self.0.lock();
        let granted = StorageLease::grant(content.leases.get(&name), holder, ttl, now)?;
        content.leases.insert(name, granted);
        Ok(Fence::new(name, granted.fence))
    }

    async fn release_lease(&self, name: LeaseName, holder: LeaseHolder) -> MetadataResult<()> {
        let mut content = self.0.lock();
        if let Some(released) = content.leases.get(&name).and_then(|lease| lease.release(holder)) {
            content.leases.insert(name, released);
        }
        Ok(())
    }

    async fn get(&self, key_package_ref: &KeyPackageRef) -> MetadataResult<Option<KeyPackageMetadata>> {
        Ok(self.0.lock().rows.get(key_package_ref).cloned())
    }

    async fn list(&self) -> MetadataResult<Vec<KeyPackageMetadata>> {
        let mut rows: Vec<_> = self.0.lock().rows.values().cloned().collect();
        // A stable sort: rows of one moment stay in the order of their refs.
        rows.sort_by_key(|row| row.created_at);
        Ok(rows)
    }

    async fn record(&self) -> MetadataResult<PoolRecord> {
        Ok(self.0.lock().record.clone())
    }
}
