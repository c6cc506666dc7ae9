use std::collections::HashSet;

use kp_core::protocol::{HeldKeyPackage, PoolStatus, SyncReport};
use kp_core::server::{ReadyKeyPackage, WithdrawOutcome, Withdrawal};
use kp_core::{KeyPackageRef, PoolId, Result, Timestamp};

use crate::directory::{Inner, KeyPackageDirectory};
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
            let ready = self.0.store.list_ready(pool, now).await?;
            self.pool_status(pool, &ready, now).await
        })
        .await
    }

    /// Tells a client what became of its KeyPackages, and which others the server would hand out: available ones, and last
    /// resorts in their slots. With the server's time, and its restore point.
    ///
    /// # Errors
    ///
    /// [`Rejection::TooManyItems`](kp_core::Rejection::TooManyItems), or a failure of the store.
    pub async fn sync(&self, pool: &PoolId, yours: &[KeyPackageRef]) -> Result<SyncReport> {
        observe("sync", async {
            let Inner { store, config, .. } = &*self.0;
            config.bounded(yours)?;
            let now = self.now();
            let statuses = store.get_statuses(pool, yours, now).await?;
            let ready = store.list_ready(pool, now).await?;
            let status = self.pool_status(pool, &ready, now).await?;
            let named: HashSet<_> = yours.iter().collect();
            let unnamed = ready
                .into_iter()
                .filter(|found| !named.contains(&found.info.key_package_ref))
                .map(|found| HeldKeyPackage::new(found.info.key_package_ref, found.info.role, found.saved_at));
            let report = SyncReport::new(statuses, unnamed.collect(), status);
            Ok(report.server_time(now).restore_point(config.restore_point))
        })
        .await
    }

    async fn pool_status(&self, pool: &PoolId, ready: &[ReadyKeyPackage], now: Timestamp) -> Result<PoolStatus> {
        let counts = self.0.store.count_by_status(pool, now).await?;
        Ok(pool_status(counts, ready, &self.0.config, now))
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
