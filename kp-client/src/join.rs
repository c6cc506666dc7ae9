use kp_core::KeyPackageRef;
use kp_core::client::{KeyPackageMetadata, KeyVault, Lifecycle};

use crate::error::{PoolError, Result};
use crate::policy::{unused, used};
use crate::pool::KeyPackagePool;
use crate::turn::Turn;

fn is_used(row: &KeyPackageMetadata) -> bool {
    row.lifecycle == Lifecycle::Spent && !row.role.is_last_resort()
}

impl<V: KeyVault> Turn<'_, V> {
    /// Makes a join safe to attempt (`POOL-6`), and returns the rows, as they stood, of this pool's packages with which it may
    /// be. A Welcome names the packages of the others that it welcomes, too, and may name several of this client's.
    pub(crate) async fn begin_join(&self, refs: &[KeyPackageRef]) -> Result<Vec<KeyPackageMetadata>, V> {
        let mut named = Vec::new();
        for key_package_ref in refs {
            named.extend(self.metadata().get(key_package_ref).await?);
        }
        let clocks = self.clocks(&self.record().await?);
        let is_expired =
            |row: &&KeyPackageMetadata| clocks.both_passed(row.not_after) || row.lifecycle == Lifecycle::Expired;
        let (mut rows, mut refusal) = (Vec::new(), PoolError::UnknownPackage);
        for row in &named {
            if is_used(row) || is_expired(&row) {
                continue;
            }
            // Only a join that began may end as `Spent` without a key.
            if matches!(row.lifecycle, Lifecycle::Joining { .. }) || self.package(&row.key_package_ref)?.is_some() {
                rows.push(row.clone());
            } else {
                refusal = PoolError::KeyGone;
            }
        }
        if rows.is_empty() {
            if named.iter().any(|row| is_expired(&row)) {
                refusal = PoolError::ExpiredPackage;
            }
            if let Some(row) = named.iter().find(|row| is_used(row)) {
                refusal = PoolError::AlreadyUsed { at: row.spent_at };
            }
            return Err(refusal);
        }
        let joining = |row: &KeyPackageMetadata| (row.key_package_ref.clone(), Lifecycle::Joining { mark: None });
        self.write(rows.iter().map(joining).collect()).await?;
        let mut safe = Vec::with_capacity(rows.len());
        for row in rows {
            self.vault().protect(&row.key_package_ref).map_err(PoolError::Vault)?;
            if self.package(&row.key_package_ref)?.is_some() {
                safe.push(row);
            }
        }
        if safe.is_empty() {
            return Err(PoolError::KeyGone);
        }
        Ok(safe)
    }

    /// Marks packages as used, and deletes the keys of the one-time ones (`POOL-5`). As after a join, a key is gone before
    /// its row says `Spent`.
    pub(crate) async fn mark_as_spent(&self, refs: &[KeyPackageRef]) -> Result<(), V> {
        let mut rows = Vec::with_capacity(refs.len());
        for key_package_ref in refs {
            let row = self.metadata().get(key_package_ref).await?;
            rows.push(row.ok_or(PoolError::UnknownPackage)?);
        }
        rows.retain(|row| row.lifecycle != Lifecycle::Spent);
        let one_time = rows.iter().filter(|row| !row.role.is_last_resort());
        let begun: Vec<_> = one_time
            .map(|row| (row.key_package_ref.clone(), Lifecycle::Joining { mark: None }))
            .collect();
        self.write(begun.clone()).await?;
        for (key_package_ref, _) in &begun {
            self.forget(key_package_ref)?;
        }
        self.write(rows.iter().map(used).collect()).await
    }
}

impl<V: KeyVault> KeyPackagePool<V> {
    /// Records the end of a join. After a success the keys of one-time packages go, at once and before anything is awaited,
    /// so that a key that is gone together with its copy proves that its join succeeded. After a failure all is as it was.
    pub(crate) async fn end_join(&self, rows: &[KeyPackageMetadata], joined: bool) -> Result<(), V> {
        let vault = &self.0.ledger.vault;
        for row in rows {
            let done = if joined && !row.role.is_last_resort() {
                vault.forget(&row.key_package_ref)
            } else {
                vault.restore(&row.key_package_ref)
            };
            done.map_err(PoolError::Vault)?;
        }
        let turn = self.turn().await?;
        let step = if joined { used } else { unused };
        let written = turn.write(rows.iter().map(step).collect()).await;
        turn.end(written).await
    }
}
