use std::sync::Arc;

use async_trait::async_trait;

use super::Finding;
use crate::moving::MovePools;
use crate::{PoolId, Result};

/// Holds what a store keeps against the rules, and derives again what can be.
///
/// What is found is a fault of the machine or of another program's hand: no call of the store leaves one. Nothing that is found
/// holds a secret.
#[async_trait]
pub trait AuditPools: MovePools {
    /// Finds what is wrong with a pool, and changes nothing. Empty: nothing. A pool never seen is sound.
    ///
    /// Runs beside calls.
    ///
    /// # Errors
    ///
    /// Only failures of the backend. What is damaged is a finding.
    async fn audit_pool(&self, pool: &PoolId) -> Result<Vec<Finding>>;

    /// Finds what is wrong and is no pool's, and changes nothing: [orphans](super::Fault::Orphan), and indexes of the engine.
    ///
    /// Goes through the whole store.
    ///
    /// # Errors
    ///
    /// As for [`audit_pool`](Self::audit_pool).
    async fn audit_strays(&self) -> Result<Vec<Finding>>;

    /// Derives anew, from the records of a pool, all that can be, in one atomic step. Audit again to find what could not be mended.
    ///
    /// No record is removed or invented, and nothing that was spent becomes free. What a lost lease leaves free is kept from being handed
    /// out where a trace of its reservation is left: PostgreSQL retires it, Redis leaves it out of the queue.
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    async fn repair_pool(&self, pool: &PoolId) -> Result<()>;

    /// Removes what belongs to no pool, and makes indexes of the engine anew. No other call may be under way.
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    async fn repair_strays(&self) -> Result<()>;
}

/// Forwards all methods, so that a pointer to such a store is one.
macro_rules! forward {
    ($pointer:ident) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<S: AuditPools + ?Sized> AuditPools for $pointer<S> {
            async fn audit_pool(&self, pool: &PoolId) -> Result<Vec<Finding>> {
                (**self).audit_pool(pool).await
            }

            async fn audit_strays(&self) -> Result<Vec<Finding>> {
                (**self).audit_strays().await
            }

            async fn repair_pool(&self, pool: &PoolId) -> Result<()> {
                (**self).repair_pool(pool).await
            }

            async fn repair_strays(&self) -> Result<()> {
                (**self).repair_strays().await
            }
        }
    };
}

forward!(Arc);
forward!(Box);
