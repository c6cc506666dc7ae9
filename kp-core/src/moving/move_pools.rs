use std::sync::Arc;

use async_trait::async_trait;

use super::{ImportRejection, PoolExport};
use crate::server::KeyPackageStore;
use crate::{Error, PoolId, Result};

/// Hands pools over whole, and takes them over.
///
/// No call carries a `now`: leases and windows move as they are stored, and end in the new store when they would have ended in
/// the old one. While a pool is in both stores, let one of them answer calls: each would hand out the same packages.
#[async_trait]
pub trait MovePools: KeyPackageStore {
    /// Returns all that is stored of a pool, in one snapshot ([MOVE-1](crate::contract::MOVE_1)). A pool never seen is an empty
    /// export.
    ///
    /// The export is held in memory: some 600 bytes a package, and at most what the store's
    /// [`Limits`](crate::rules::Limits) let a pool remember.
    ///
    /// # Errors
    ///
    /// Only failures of the backend. A record that cannot be read is one: no export leaves a record out.
    async fn export_pool(&self, pool: &PoolId) -> Result<PoolExport>;

    /// Stores a whole pool, under this or another id, in one atomic step ([MOVE-2](crate::contract::MOVE_2)).
    ///
    /// After an outcome that is unknown, export the pool and compare: it is empty, or as imported.
    ///
    /// # Errors
    ///
    /// [`ImportRejection::PoolNotEmpty`], or a failure of the backend.
    async fn import_pool(&self, pool: &PoolId, export: &PoolExport) -> Result<(), Error<ImportRejection>>;
}

/// Forwards both methods, so that a pointer to such a store is one.
macro_rules! forward {
    ($pointer:ident) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<S: MovePools + ?Sized> MovePools for $pointer<S> {
            async fn export_pool(&self, pool: &PoolId) -> Result<PoolExport> {
                (**self).export_pool(pool).await
            }

            async fn import_pool(&self, pool: &PoolId, export: &PoolExport) -> Result<(), Error<ImportRejection>> {
                (**self).import_pool(pool, export).await
            }
        }
    };
}

forward!(Arc);
forward!(Box);
