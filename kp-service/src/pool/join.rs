use kp_core::{KeyPackageMetadata, KeyPackageRef, KeyVault, Lifecycle, Timestamp};

use super::ledger::{Ledger, Result};
use crate::PoolError;

/// A package as it stands when a Welcome was processed with it. A last resort keeps its key, and is to be replaced.
pub(super) fn used(row: &KeyPackageMetadata) -> (KeyPackageRef, Lifecycle) {
    let to = match row.lifecycle {
        superseded @ Lifecycle::Superseded { .. } if row.last_resort => superseded,
        _ if row.last_resort => Lifecycle::Reserved,
        _ => Lifecycle::Spent,
    };
    (row.key_package_ref.clone(), to)
}

/// A package as it stands when a join with it failed. It was handed out, also where the answer to its upload was lost or
/// an earlier join died.
fn unused(row: &KeyPackageMetadata) -> (KeyPackageRef, Lifecycle) {
    let to = match row.lifecycle {
        Lifecycle::Created | Lifecycle::Joining => Lifecycle::Reserved,
        before => before,
    };
    (row.key_package_ref.clone(), to)
}

impl<V: KeyVault> Ledger<V> {
    /// Makes a join safe to attempt (`POOL-6`), and returns the rows of this pool's packages as they stood.
    ///
    /// Nothing is touched unless a join may be attempted with all of them.
    pub(super) async fn begin_join(
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
        let is_expired = |row: &KeyPackageMetadata| row.not_after <= now || row.lifecycle == Lifecycle::Expired;
        if rows.iter().any(is_expired) {
            return Err(PoolError::ExpiredPackage);
        }
        let joining = |row: &KeyPackageMetadata| (row.key_package_ref.clone(), Lifecycle::Joining);
        let steps: Vec<_> = rows.iter().map(joining).collect();
        self.step(&steps, now).await?;
        for row in &rows {
            self.vault.protect(&row.key_package_ref).map_err(PoolError::Vault)?;
            let there = self.vault.package(&row.key_package_ref).map_err(PoolError::Vault)?;
            if there.is_none() {
                return Err(PoolError::KeyGone);
            }
        }
        Ok(rows)
    }

    /// The join succeeded: the keys of one-time packages go, at once and before anything is awaited, so that a key that
    /// is gone together with its copy proves that its join succeeded.
    pub(super) async fn joined(&self, rows: &[KeyPackageMetadata], now: Timestamp) -> Result<(), V> {
        for row in rows {
            if row.last_resort {
                self.vault.restore(&row.key_package_ref).map_err(PoolError::Vault)?;
            } else {
                self.vault.forget(&row.key_package_ref).map_err(PoolError::Vault)?;
            }
        }
        let steps: Vec<_> = rows.iter().map(used).collect();
        self.step(&steps, now).await
    }

    /// The join failed: all is as it was.
    pub(super) async fn not_joined(&self, rows: &[KeyPackageMetadata], now: Timestamp) -> Result<(), V> {
        for row in rows {
            self.vault.restore(&row.key_package_ref).map_err(PoolError::Vault)?;
        }
        let steps: Vec<_> = rows.iter().map(unused).collect();
        self.step(&steps, now).await
    }
}
