use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::client::{
    Fence, KeyPackageMetadata, LeaseHolder, LeaseName, Lifecycle, MetadataChanges, MetadataResult, PoolRecord,
};
use crate::{Ciphersuite, KeyPackageRef, Role, Timestamp, Ttl};

/// Keeps the lifecycle of one client's own packages: tens of rows, on a device. Several processes of the client may
/// share a store: they take turns by its leases.
///
/// # Contract
///
/// - A row is stored as given, once. A package is marked as offered before its first upload
///   ([META-1](crate::contract::META_1)).
/// - Steps follow the table of [`Lifecycle`], and all changes of a call are one atomic step
///   ([META-2](crate::contract::META_2)).
/// - A read sees all that was answered before. Deleting a row that is not there is not an error
///   ([META-3](crate::contract::META_3)).
/// - No field can hold key material, and rows are small ([META-4](crate::contract::META_4)).
/// - One holder at a time has a lease, and a holder that was replaced cannot write under its old fence
///   ([META-5](crate::contract::META_5)).
/// - The record of the pool is written with rows, in one step ([META-6](crate::contract::META_6)).
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
/// A store calls [`StorageLease::admit`](crate::client::StorageLease::admit) and [`MetadataChanges::decide`] inside the atomic step of `apply`, and
/// [`StorageLease::grant`](crate::client::StorageLease::grant) inside that of `lease`. A wrapper forwards every method. [`PoolMetadataStoreExt`] adds the
/// calls that do one thing.
#[async_trait]
pub trait PoolMetadataStore: Send + Sync + Debug {
    /// Applies all changes as one atomic step, and returns how many rows were deleted. Nothing to change is not an
    /// error.
    ///
    /// # Errors
    ///
    /// - [`Fenced`](crate::client::MetadataRejection::Fenced): the fence is not current. This comes first.
    /// - [`Exists`](crate::client::MetadataRejection::Exists): a row to create is there, or is twice in the call.
    /// - [`NotFound`](crate::client::MetadataRejection::NotFound): a package to offer or to step has no row.
    /// - [`IllegalStep`](crate::client::MetadataRejection::IllegalStep): the table does not have a step.
    ///
    /// Nothing is changed then. Or a failure of the backend.
    async fn apply(&self, changes: &MetadataChanges) -> MetadataResult<u64>;

    /// Grants a lease until `now` and the ttl, or renews the holder's own, and returns the fence for
    /// [`MetadataChanges::fence`] ([META-5](crate::contract::META_5)). A holder's fence stays the same until another
    /// holder was granted the lease.
    ///
    /// # Errors
    ///
    /// [`Held`](crate::client::MetadataRejection::Held): another holder has the lease. Or a failure of the backend.
    async fn lease(&self, name: LeaseName, holder: LeaseHolder, ttl: Ttl, now: Timestamp) -> MetadataResult<Fence>;

    /// Gives a lease back at once ([META-5](crate::contract::META_5)). A lease that the holder does not have is left as
    /// it is, which is not an error.
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    async fn release_lease(&self, name: LeaseName, holder: LeaseHolder) -> MetadataResult<()>;

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

    /// Returns the record of the pool, as written last; an empty one if none was ([META-6](crate::contract::META_6)).
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    async fn record(&self) -> MetadataResult<PoolRecord>;
}

/// Forwards every method, so that a pointer to a store is a store.
macro_rules! forward {
    ($pointer:ident) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<S: PoolMetadataStore + ?Sized> PoolMetadataStore for $pointer<S> {
            async fn apply(&self, changes: &MetadataChanges) -> MetadataResult<u64> {
                (**self).apply(changes).await
            }

            async fn lease(
                &self,
                name: LeaseName,
                holder: LeaseHolder,
                ttl: Ttl,
                now: Timestamp,
            ) -> MetadataResult<Fence> {
                (**self).lease(name, holder, ttl, now).await
            }

            async fn release_lease(&self, name: LeaseName, holder: LeaseHolder) -> MetadataResult<()> {
                (**self).release_lease(name, holder).await
            }

            async fn get(&self, key_package_ref: &KeyPackageRef) -> MetadataResult<Option<KeyPackageMetadata>> {
                (**self).get(key_package_ref).await
            }

            async fn list(&self) -> MetadataResult<Vec<KeyPackageMetadata>> {
                (**self).list().await
            }

            async fn record(&self) -> MetadataResult<PoolRecord> {
                (**self).record().await
            }
        }
    };
}

forward!(Arc);
forward!(Box);

/// Adds to every [`PoolMetadataStore`] the calls that do one thing, counts and selections: nothing to implement.
#[async_trait]
pub trait PoolMetadataStoreExt: PoolMetadataStore {
    /// Creates rows, in one step ([META-1](crate::contract::META_1)). A ref twice in one batch is a second creation.
    ///
    /// # Errors
    ///
    /// [`MetadataRejection::Exists`](crate::client::MetadataRejection::Exists): nothing is created then. Or a failure
    /// of the backend.
    async fn create_pool_metadata(&self, rows: &[KeyPackageMetadata]) -> MetadataResult<()> {
        let changes = MetadataChanges::new().create(rows.iter().cloned());
        self.apply(&changes).await.map(drop)
    }

    /// Takes steps, in order and as one atomic step, each by [`KeyPackageMetadata::step`]
    /// ([META-2](crate::contract::META_2)).
    ///
    /// # Errors
    ///
    /// [`MetadataRejection::NotFound`](crate::client::MetadataRejection::NotFound) or
    /// [`MetadataRejection::IllegalStep`](crate::client::MetadataRejection::IllegalStep) of the first step that fails:
    /// no step is taken then. Or a failure of the backend.
    async fn update_pool_status(&self, steps: &[(KeyPackageRef, Lifecycle)], now: Timestamp) -> MetadataResult<()> {
        let changes = MetadataChanges::new().step(steps.iter().cloned(), now);
        self.apply(&changes).await.map(drop)
    }

    /// Deletes rows, in one step, and returns how many there were ([META-3](crate::contract::META_3)).
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    async fn delete_pool_metadata(&self, refs: &[KeyPackageRef]) -> MetadataResult<u64> {
        self.apply(&MetadataChanges::new().delete(refs.iter().cloned())).await
    }

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
