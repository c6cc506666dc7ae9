use kp_core::client::{KeyPackageMetadata, KeyVault, Lifecycle};
use kp_core::{KeyPackageRef, Timestamp};

use crate::error::{PoolError, Result};
use crate::ledger::Ledger;
use crate::policy::{unused, used};

impl<V: KeyVault> Ledger<V> {
    /// Makes a join safe to attempt (`POOL-6`), and returns the rows of this pool's packages as they stood.
    ///
    /// Nothing is touched unless a join may be attempted with all of them.
    pub(crate) async fn begin_join(
        &self,
        refs: &[KeyPackageRef],
        now: Timestamp,
    ) -> Result<Vec<KeyPackageMetadata>, V> {
        let mut rows = Vec::new();
        for key_package_ref in refs {
            // A Welcome names the packages of the others that it welcomes, too.
            rows.extend(self.metadata.get(key_package_ref).await?);
        }
        if rows.is_empty() {
            return Err(PoolError::UnknownPackage);
        }
        let used = |row: &&KeyPackageMetadata| row.lifecycle == Lifecycle::Spent && !row.role.is_last_resort();
        if let Some(row) = rows.iter().find(used) {
            return Err(PoolError::AlreadyUsed { at: row.spent_at });
        }
        let is_expired = |row: &KeyPackageMetadata| row.not_after <= now || row.lifecycle == Lifecycle::Expired;
        if rows.iter().any(is_expired) {
            return Err(PoolError::ExpiredPackage);
        }
        for row in &rows {
            // Only a join that began may end as `Spent` without a key.
            if !matches!(row.lifecycle, Lifecycle::Joining { .. }) && self.package(&row.key_package_ref)?.is_none() {
                return Err(PoolError::KeyGone);
            }
        }
        let joining = |row: &KeyPackageMetadata| (row.key_package_ref.clone(), Lifecycle::Joining { mark: None });
        let steps: Vec<_> = rows.iter().map(joining).collect();
        self.write(&steps, now).await?;
        for row in &rows {
            self.vault.protect(&row.key_package_ref).map_err(PoolError::Vault)?;
            if self.package(&row.key_package_ref)?.is_none() {
                return Err(PoolError::KeyGone);
            }
        }
        Ok(rows)
    }

    /// The join succeeded: the keys of one-time packages go, at once and before anything is awaited, so that a key that
    /// is gone together with its copy proves that its join succeeded.
    pub(crate) async fn joined(&self, rows: &[KeyPackageMetadata], now: Timestamp) -> Result<(), V> {
        for row in rows {
            if row.role.is_last_resort() {
                self.vault.restore(&row.key_package_ref).map_err(PoolError::Vault)?;
            } else {
                self.vault.forget(&row.key_package_ref).map_err(PoolError::Vault)?;
            }
        }
        let steps: Vec<_> = rows.iter().map(used).collect();
        self.write(&steps, now).await
    }

    /// The join failed: all is as it was.
    pub(crate) async fn not_joined(&self, rows: &[KeyPackageMetadata], now: Timestamp) -> Result<(), V> {
        for row in rows {
            self.vault.restore(&row.key_package_ref).map_err(PoolError::Vault)?;
        }
        let steps: Vec<_> = rows.iter().map(unused).collect();
        self.write(&steps, now).await
    }
}
