use kp_core::KeyPackageRef;
use kp_core::client::{JoinMark, KeyPackageMetadata, KeyVault, Lifecycle};

use crate::error::{PoolError, Result};
use crate::mark;
use crate::policy::{is_used, unused, used};
use crate::pool::KeyPackagePool;
use crate::turn::Turn;

impl<V: KeyVault> Turn<'_, V> {
    /// Makes a join safe to attempt (`POOL-6`), and returns the rows, as they stood, of this pool's packages with which it may
    /// be. A Welcome names the packages of the others that it welcomes, too, and may name several of this client's.
    pub(crate) async fn begin_join(
        &self,
        refs: &[KeyPackageRef],
        mark: JoinMark,
    ) -> Result<Vec<KeyPackageMetadata>, V> {
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
            // Two attempts with one key would be two joins: a last resort alone serves several.
            if let Some(mark) = self.foreign(row)
                && !row.role.is_last_resort()
                && mark::is_under_way(mark, self.now)
            {
                return Err(PoolError::JoinUnderWay {
                    until: mark::alive_until(mark),
                });
            }
            // Only a join that began may end as `Spent` without a key.
            if matches!(row.lifecycle, Lifecycle::Joining { .. }) || self.has_key(&row.key_package_ref)? {
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
        let joining = |row: &KeyPackageMetadata| (row.key_package_ref.clone(), Lifecycle::Joining { mark: Some(mark) });
        self.write(rows.iter().map(joining).collect()).await?;
        let mut safe = Vec::with_capacity(rows.len());
        for row in rows {
            if self.secure(&row.key_package_ref)? {
                safe.push(row);
            }
        }
        if safe.is_empty() {
            return Err(PoolError::KeyGone);
        }
        Ok(safe)
    }

    /// Returns the mark of another process's join that began with this package, and may still end.
    fn foreign(&self, row: &KeyPackageMetadata) -> Option<JoinMark> {
        let mark = row.lifecycle.mark()?;
        (mark.holder != self.holder() && mark::holds(mark, self.now)).then_some(mark)
    }

    /// Records the end of a join that began with `rows`, as they stood. The mark of another process that began to join, before
    /// this one or since, stays.
    async fn record_join(&self, rows: &[KeyPackageMetadata], joined: bool) -> Result<(), V> {
        let mut steps = Vec::new();
        for row in rows {
            let key_package_ref = &row.key_package_ref;
            let Some(current) = self.metadata().get(key_package_ref).await? else {
                // Another process dropped the row, so nobody would find the key.
                self.forget(key_package_ref)?;
                continue;
            };
            if current.lifecycle.is_final() {
                continue;
            }
            let is_joining = matches!(current.lifecycle, Lifecycle::Joining { .. });
            if joined && !row.role.is_last_resort() {
                // Recovery may have been about to write it back.
                self.forget(key_package_ref)?;
                steps.push((key_package_ref.clone(), Lifecycle::Spent));
                continue;
            }
            self.protect(key_package_ref)?;
            let to = match (self.foreign(&current), self.foreign(row)) {
                (Some(_), _) => continue,
                (None, Some(mark)) if is_joining => Lifecycle::Joining { mark: Some(mark) },
                (None, _) => {
                    let stood = if is_joining { row } else { &current };
                    if joined { used(stood) } else { unused(stood) }
                }
            };
            steps.push((key_package_ref.clone(), to));
        }
        self.write(steps).await
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
        let used = |row: &KeyPackageMetadata| (row.key_package_ref.clone(), used(row));
        self.write(rows.iter().map(used).collect()).await
    }
}

impl<V: KeyVault> KeyPackagePool<V> {
    /// Records the end of a join. After a success the keys of one-time packages go, at once and before anything is awaited,
    /// so that a key that is gone together with its copy proves that its join succeeded. After a failure all is as it was.
    pub(crate) async fn end_join(&self, rows: &[KeyPackageMetadata], joined: bool) -> Result<(), V> {
        for row in rows.iter().filter(|row| joined && !row.role.is_last_resort()) {
            let forgotten = self.0.ledger.vault.forget(&row.key_package_ref);
            forgotten.map_err(PoolError::Vault)?;
        }
        let turn = self.turn().await?;
        let recorded = turn.record_join(rows, joined).await;
        turn.end(recorded).await
    }
}
