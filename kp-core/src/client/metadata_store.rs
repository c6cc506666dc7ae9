use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::client::{KeyPackageMetadata, Lifecycle, MetadataResult};
use crate::{Ciphersuite, KeyPackageRef, Role, Timestamp};

/// The lifecycle of one client's own packages: tens of rows, on a device.
///
/// # Contract
///
/// - `META-1` `create_pool_metadata` stores ref, ciphersuite, `not_after`, `created_at`, role and credential hash, and
///   where the package stands: a row is read back as it was given. A second creation is refused.
/// - `META-2` `update_pool_status` follows the transition table of [`Lifecycle`]; an illegal step is refused and changes
///   nothing. Calls take batches: a batch is one atomic step, all of it or nothing, also beside others.
/// - `META-3` Reads see all that was answered before, and change nothing. Deleting what is not there is not an error.
/// - `META-4` No field can hold key material; about 100 to 150 bytes a package.
///
/// Failures, cancellation and secrets are as in [`KeyPackageStore`](crate::server::KeyPackageStore) (`ERR-1` to `ERR-5`). Time is
/// an argument.
///
/// Wrappers must forward every method.
#[async_trait]
pub trait PoolMetadataStore: Send + Sync + Debug {
    /// Creates rows (`META-1`), in one step. A ref twice in one batch is a second creation.
    ///
    /// # Errors
    ///
    /// [`MetadataRejection::Exists`]; nothing is created then.
    async fn create_pool_metadata(&self, rows: &[KeyPackageMetadata]) -> MetadataResult<()>;

    /// Takes steps (`META-2`), in order and as one, each by [`KeyPackageMetadata::step`].
    ///
    /// # Errors
    ///
    /// [`MetadataRejection::NotFound`] or [`MetadataRejection::IllegalStep`] for the first that fails; none is taken then.
    async fn update_pool_status(&self, steps: &[(KeyPackageRef, Lifecycle)], now: Timestamp) -> MetadataResult<()>;

    /// One row (`META-3`).
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    async fn get(&self, key_package_ref: &KeyPackageRef) -> MetadataResult<Option<KeyPackageMetadata>>;

    /// All rows, by `created_at`, then ref (`META-3`).
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    async fn list(&self) -> MetadataResult<Vec<KeyPackageMetadata>>;

    /// Deletes rows, in one step, and says how many there were (`META-3`).
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    async fn delete_pool_metadata(&self, refs: &[KeyPackageRef]) -> MetadataResult<u64>;
}

/// A pointer to a store is a store.
macro_rules! forward {
    ($pointer:ident) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<S: PoolMetadataStore + ?Sized> PoolMetadataStore for $pointer<S> {
            async fn create_pool_metadata(&self, rows: &[KeyPackageMetadata]) -> MetadataResult<()> {
                (**self).create_pool_metadata(rows).await
            }

            async fn update_pool_status(
                &self,
                steps: &[(KeyPackageRef, Lifecycle)],
                now: Timestamp,
            ) -> MetadataResult<()> {
                (**self).update_pool_status(steps, now).await
            }

            async fn get(&self, key_package_ref: &KeyPackageRef) -> MetadataResult<Option<KeyPackageMetadata>> {
                (**self).get(key_package_ref).await
            }

            async fn list(&self) -> MetadataResult<Vec<KeyPackageMetadata>> {
                (**self).list().await
            }

            async fn delete_pool_metadata(&self, refs: &[KeyPackageRef]) -> MetadataResult<u64> {
                (**self).delete_pool_metadata(refs).await
            }
        }
    };
}

forward!(Arc);
forward!(Box);

/// Counts and selections over [`PoolMetadataStore::list`], for every store: nothing to implement.
#[async_trait]
pub trait PoolMetadataStoreExt: PoolMetadataStore {
    /// How many one-time packages of a ciphersuite are [`Available`](Lifecycle::Available) and not past their `not_after`.
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    async fn get_available_count(&self, suite: Ciphersuite, now: Timestamp) -> MetadataResult<u32> {
        let available = |row: &KeyPackageMetadata| {
            row.lifecycle == Lifecycle::Available
                && row.ciphersuite == suite
                && row.role == Role::OneTime
                && now < row.not_after
        };
        let count = self.list().await?.into_iter().filter(available).count();
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// How many rows stand where, by [`Lifecycle::name`].
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    async fn count_by_status(&self) -> MetadataResult<BTreeMap<&'static str, u32>> {
        let mut counts = BTreeMap::new();
        for row in self.list().await? {
            *counts.entry(row.lifecycle.name()).or_default() += 1;
        }
        Ok(counts)
    }

    /// The packages past their `not_after`.
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    async fn get_expired_refs(&self, now: Timestamp) -> MetadataResult<Vec<KeyPackageRef>> {
        let expired = |row: KeyPackageMetadata| (row.not_after <= now).then_some(row.key_package_ref);
        Ok(self.list().await?.into_iter().filter_map(expired).collect())
    }
}

impl<S: PoolMetadataStore + ?Sized> PoolMetadataStoreExt for S {}
