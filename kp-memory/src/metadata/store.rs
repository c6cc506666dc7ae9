use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use kp_core::client::{KeyPackageMetadata, Lifecycle, MetadataRejection, MetadataResult, PoolMetadataStore};
use kp_core::{KeyPackageRef, Timestamp};
use parking_lot::Mutex;

/// Keeps the metadata of a client's KeyPackages in memory. Nothing survives the process: for tests, and for clients whose
/// keys do not survive it either.
///
/// A clone shares the rows.
///
/// ```
/// use kp_core::client::{KeyPackageMetadata, Lifecycle, PoolMetadataStore, PoolMetadataStoreExt};
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
pub struct MemoryMetadata {
    rows: Arc<Mutex<BTreeMap<KeyPackageRef, KeyPackageMetadata>>>,
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
    async fn create_pool_metadata(&self, rows: &[KeyPackageMetadata]) -> MetadataResult<()> {
        let mut stored = self.rows.lock();
        let mut created = BTreeMap::new();
        for row in rows {
            let twice = created.insert(row.key_package_ref.clone(), row.clone());
            if twice.is_some() || stored.contains_key(&row.key_package_ref) {
                return Err(MetadataRejection::Exists.into());
            }
        }
        stored.append(&mut created);
        Ok(())
    }

    async fn update_pool_status(&self, steps: &[(KeyPackageRef, Lifecycle)], now: Timestamp) -> MetadataResult<()> {
        let mut stored = self.rows.lock();
        let named = steps.iter().filter_map(|(named, _)| stored.get_key_value(named));
        let mut changed = named.map(|(named, row)| (named.clone(), row.clone())).collect();
        KeyPackageMetadata::step_all(&mut changed, steps, now)?;
        stored.append(&mut changed);
        Ok(())
    }

    async fn get(&self, key_package_ref: &KeyPackageRef) -> MetadataResult<Option<KeyPackageMetadata>> {
        Ok(self.rows.lock().get(key_package_ref).cloned())
    }

    async fn list(&self) -> MetadataResult<Vec<KeyPackageMetadata>> {
        let mut rows: Vec<_> = self.rows.lock().values().cloned().collect();
        // A stable sort: rows of one moment stay in the order of their refs.
        rows.sort_by_key(|row| row.created_at);
        Ok(rows)
    }

    async fn delete_pool_metadata(&self, refs: &[KeyPackageRef]) -> MetadataResult<u64> {
        let mut stored = self.rows.lock();
        let deleted = refs.iter().filter(|named| stored.remove(*named).is_some());
        Ok(deleted.count() as u64)
    }
}
