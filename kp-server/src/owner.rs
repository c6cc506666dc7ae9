use std::collections::HashSet;

use kp_core::protocol::{PoolStatus, SyncReport};
use kp_core::server::{WithdrawOutcome, Withdrawal};
use kp_core::{KeyPackageInfo, KeyPackageRef, PoolId, Result, Timestamp};

use crate::directory::KeyPackageDirectory;
use crate::observe::observe;
use crate::status::pool_status;

impl KeyPackageDirectory {
    /// Tells how a pool is doing. Counts and expiry are two reads, so under load they may be a moment apart.
    ///
    /// # Errors
    ///
    /// Only failures of the store.
    pub async fn status(&self, pool: &PoolId) -> Result<PoolStatus> {
        observe("status", async {
            let now = self.now();
            let available = self.all_available(pool, now).await?;
            self.pool_status(pool, &available, now).await
        })
        .await
    }

    /// Tells a client what became of its KeyPackages, and which others the server would hand out.
    ///
    /// # Errors
    ///
    /// [`Rejection::TooManyItems`](kp_core::Rejection::TooManyItems), or a failure of the store.
    pub async fn sync(&self, pool: &PoolId, yours: &[KeyPackageRef]) -> Result<SyncReport> {
        observe("sync", async {
            self.0.config.bounded(yours)?;
            let now = self.now();
            let statuses = self.0.store.get_statuses(pool, yours, now).await?;
            let available = self.all_available(pool, now).await?;
            let status = self.pool_status(pool, &available, now).await?;
            let named: HashSet<_> = yours.iter().collect();
            let available = available.into_iter().map(|info| info.key_package_ref);
            let unnamed = available.filter(|found| !named.contains(found)).collect();
            Ok(SyncReport::new(statuses, unnamed, status))
        })
        .await
    }

    async fn pool_status(&self, pool: &PoolId, available: &[KeyPackageInfo], now: Timestamp) -> Result<PoolStatus> {
        let counts = self.0.store.count_by_status(pool, now).await?;
        Ok(pool_status(counts, available, &self.0.config, now))
    }

    /// Withdraws KeyPackages at their owner's wish; an answer for each.
    ///
    /// # Errors
    ///
    /// [`Rejection::TooManyItems`](kp_core::Rejection::TooManyItems), or a failure of the store.
    pub async fn withdraw(&self, pool: &PoolId, what: &Withdrawal) -> Result<Vec<(KeyPackageRef, WithdrawOutcome)>> {
        observe("withdraw", async {
            if let Withdrawal::Refs(refs) = what {
                self.0.config.bounded(refs)?;
            }
            self.0.store.withdraw_key_packages(pool, what, self.now()).await
        })
        .await
    }

    /// Deletes everything about a pool, memory of spent KeyPackages included: for a device that is gone.
    ///
    /// # Errors
    ///
    /// Only failures of the store.
    pub async fn delete_pool(&self, pool: &PoolId) -> Result<()> {
        observe("delete_pool", self.0.store.delete_pool(pool)).await
    }
}
