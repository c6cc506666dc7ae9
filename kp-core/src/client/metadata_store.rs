use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::client::{KeyPackageMetadata, Lifecycle, MetadataResult};
use crate::{Ciphersuite, KeyPackageRef, Role, Timestamp};

/// Keeps the lifecycle of one client's own packages: tens of rows, on a device.
///
/// # Contract
///
/// - A row is stored as given, once ([META-1](crate::contract::META_1)).
/// - Steps follow the table of [`Lifecycle`], and a batch is one atomic step ([META-2](crate::contract::META_2)).
/// - A read sees all that was answered before. Deleting a row that is not there is not an error
///   ([META-3](crate::contract::META_3)).
/// - No field can hold key material, and rows are small ([META-4](crate::contract::META_4)).
///
/// # Time
///
/// Time is an argument: no store reads a clock.
///
/// # Errors
///
/// A refusal and a failure are distinct, and a failure says whether the call was applied. The rules are those of a
/// [`KeyPackageStore`](crate::server::KeyPackageStore): [`ERR`](crate::contract::ERR).
///
/// # Cancellation
///
/// Every future may be dropped at any point. The outcome of the call is then unknown, and the store stays usable
/// ([ERR-2](crate::contract::ERR_2)).
///
/// # Implementing
///
/// A store calls [`KeyPackageMetadata::step_all`] inside its atomic step. A wrapper forwards every method.
#[async_trait]
pub trait PoolMetadataStore: Send + Sync + Debug {
    /// Creates rows, in one step ([META-1](crate::contract::META_1)). A ref twice in one batch is a second creation.
    ///
    /// # Errors
    ///
    /// [`MetadataRejection::Exists`](crate::client::MetadataRejection::Exists): nothing is created then. Or a failure
    /// of the backend.
    async fn create_pool_metadata(&self, rows: &[KeyPackageMetadata]) -> MetadataResult<()>;

    /// Takes steps, in order and as one atomic step, each by [`KeyPackageMetadata::step`]
    /// ([META-2](crate::contract::META_2)).
    ///
    /// # Errors
    ///
    /// [`MetadataRejection::NotFound`](crate::client::MetadataRejection::NotFound) or
    /// [`MetadataRejection::IllegalStep`](crate::client::MetadataRejection::IllegalStep) of the first step that fails:
    /// no step is taken then. Or a failure of the backend.
    async fn update_pool_status(&self, steps: &[(KeyPackageRef, Lifecycle)], now: Timestamp) -> MetadataResult<()>;

    /// Returns one row ([META-3](crate::contract::META_3)).
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    async fn get(&self, key_package_ref: &KeyPackageRef) -> MetadataResult<Option<KeyPackageMetadata>>;

    /// Returns all rows, by `created_at`, then ref ([META-3](crate::contract::META_3)).
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    async fn list(&self) -> MetadataResult<Vec<KeyPackageMetadata>>;

    /// Deletes rows, in one step, and returns how many there were ([META-3](crate::contract::META_3)).
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    async fn delete_pool_metadata(&self, refs: &[KeyPackageRef]) -> MetadataResult<u64>;
}

/// Forwards every method, so that a pointer to a store is a store.
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

/// Adds counts and selections to every [`PoolMetadataStore`]: nothing to implement.
#[async_trait]
pub trait PoolMetadataStoreExt: PoolMetadataStore {
    /// Counts the one-time packages of a ciphersuite that are [`Available`](Lifecycle::Available) and not past their
    /// `not_after`.
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

    /// Counts the rows by [`Lifecycle::name`].
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

    /// Returns the refs of the packages past their `not_after`.
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
