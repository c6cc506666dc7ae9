use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kp_core::{
    Ciphersuite, KeyPackage, KeyPackageMetadata, KeyPackageRef, KeyVault, Lifecycle, PoolMetadataStore, Timestamp,
};

use super::join::used;
use super::policy::{Policy, Survey, is_held};
use crate::{PoolError, RefreshReport, SyncReport, UploadOutcome};

pub(super) type Result<T, V> = std::result::Result<T, PoolError<<V as KeyVault>::Error>>;

/// The keys and their rows, which only change together and in this order: the row, then the key; and away with the key,
/// then the row (`POOL-3`, `POOL-4`). So no key is ever without a row, wherever a process dies.
///
/// Whoever has it has it alone. Nothing here waits for the server.
pub(super) struct Ledger<V> {
    pub(super) vault: V,
    pub(super) metadata: Arc<dyn PoolMetadataStore>,
}

impl<V: KeyVault> Ledger<V> {
    pub(super) async fn step(&self, steps: &[(KeyPackageRef, Lifecycle)], now: Timestamp) -> Result<(), V> {
        if !steps.is_empty() {
            self.metadata.update_pool_status(steps, now).await?;
        }
        Ok(())
    }

    async fn delete_rows(&self, refs: &[KeyPackageRef]) -> Result<u32, V> {
        if refs.is_empty() {
            return Ok(0);
        }
        let deleted = self.metadata.delete_pool_metadata(refs).await?;
        Ok(u32::try_from(deleted).unwrap_or(u32::MAX))
    }

    async fn rows(&self) -> Result<BTreeMap<KeyPackageRef, KeyPackageMetadata>, V> {
        let rows = self.metadata.list().await?.into_iter();
        Ok(rows.map(|row| (row.key_package_ref.clone(), row)).collect())
    }

    pub(super) async fn survey<'a>(&self, policy: &'a Policy, now: Timestamp) -> Result<Survey<'a>, V> {
        let credential = |suite: &Ciphersuite| Ok((*suite, self.vault.credential(*suite)?));
        let credentials = policy
            .plans
            .keys()
            .map(credential)
            .collect::<std::result::Result<_, _>>();
        Ok(Survey {
            policy,
            rows: self.metadata.list().await?,
            credentials: credentials.map_err(PoolError::Vault)?,
            now,
        })
    }

    /// Deletes what is spent, expired, refused, or past its grace period: the key first (`POOL-4`).
    pub(super) async fn clean_up(&self, now: Timestamp) -> Result<u32, V> {
        let is_expired = |row: &KeyPackageMetadata| {
            row.lifecycle.is_final() || row.not_after <= now || row.lifecycle.delete_at().is_some_and(|at| at <= now)
        };
        let rows = self.metadata.list().await?;
        let over: Vec<_> = rows
            .into_iter()
            .filter(is_expired)
            .map(|row| row.key_package_ref)
            .collect();
        for key_package_ref in &over {
            self.vault.forget(key_package_ref).map_err(PoolError::Vault)?;
        }
        self.delete_rows(&over).await
    }

    /// Puts right what a process left that died, and drops the rows that have no key.
    ///
    /// A join that died has its key again (`POOL-6`), unless neither key nor copy is there: then the join had succeeded.
    pub(super) async fn recover(&self, now: Timestamp, report: &mut RefreshReport) -> Result<(), V> {
        let (mut steps, mut lost) = (Vec::new(), Vec::new());
        for row in self.metadata.list().await? {
            let (key_package_ref, joining) = (row.key_package_ref, row.lifecycle == Lifecycle::Joining);
            if joining {
                self.vault.restore(&key_package_ref).map_err(PoolError::Vault)?;
            }
            match (joining, self.package(&key_package_ref)?.is_some()) {
                (true, true) => {
                    report.recovered += 1;
                    steps.push((key_package_ref, Lifecycle::Reserved));
                }
                (true, false) => steps.push((key_package_ref, Lifecycle::Spent)),
                (false, false) if !row.lifecycle.is_final() => lost.push(key_package_ref),
                (false, _) => {}
            }
        }
        self.step(&steps, now).await?;
        report.lost += self.delete_rows(&lost).await?;
        Ok(())
    }

    fn package(&self, key_package_ref: &KeyPackageRef) -> Result<Option<KeyPackage>, V> {
        self.vault.package(key_package_ref).map_err(PoolError::Vault)
    }

    /// Makes packages, stored and ready to be uploaded (`POOL-3`): all rows in one step, and then the keys.
    pub(super) async fn generate(&self, wanted: &[(Ciphersuite, bool)], now: Timestamp) -> Result<u32, V> {
        let mut rows = Vec::with_capacity(wanted.len());
        let mut made = Vec::with_capacity(wanted.len());
        for (suite, last_resort) in wanted {
            let generated = self.vault.generate(*suite, *last_resort, now);
            let (info, fresh) = generated.map_err(PoolError::Vault)?;
            rows.push(KeyPackageMetadata::created(&info, now));
            made.push(fresh);
        }
        if !rows.is_empty() {
            self.metadata.create_pool_metadata(&rows).await?;
        }
        for fresh in made {
            self.vault.keep(fresh).map_err(PoolError::Vault)?;
        }
        Ok(u32::try_from(rows.len()).unwrap_or(u32::MAX))
    }

    /// What is to be uploaded, with its bytes, oldest first.
    pub(super) fn to_upload(&self, survey: &Survey<'_>) -> Result<Vec<KeyPackage>, V> {
        let packages = survey.to_upload().map(|row| self.package(&row.key_package_ref));
        packages.filter_map(std::result::Result::transpose).collect()
    }

    /// Learns what became of `mine`, and says which packages the server holds that it should not.
    pub(super) async fn learn(
        &self,
        policy: &Policy,
        mine: &[KeyPackageRef],
        answer: &SyncReport,
        now: Timestamp,
        report: &mut RefreshReport,
    ) -> Result<Vec<KeyPackageRef>, V> {
        let (mut steps, mut strays) = (Vec::new(), Vec::new());
        let rows = self.rows().await?;
        for (key_package_ref, status) in mine.iter().zip(&answer.yours) {
            let Some(row) = rows.get(key_package_ref) else {
                continue;
            };
            let to = policy.after_sync(row, *status, now);
            if to != row.lifecycle {
                report.superseded += u32::from(to.delete_at().is_some());
                steps.push((key_package_ref.clone(), to));
            } else if Policy::is_stray(row, *status) {
                strays.push(key_package_ref.clone());
            }
        }
        // A key that has lost its row gets it back; what has no key is of no use to anyone.
        let mut found = Vec::new();
        for unknown in BTreeSet::from_iter(&answer.unknown_to_you) {
            match self.package(unknown)? {
                Some(_) if rows.contains_key(unknown) => {}
                Some(package) => found.push(KeyPackageMetadata::created(&package.info, now)),
                None => strays.push(unknown.clone()),
            }
        }
        if !found.is_empty() {
            self.metadata.create_pool_metadata(&found).await?;
            report.recovered += u32::try_from(found.len()).unwrap_or(u32::MAX);
        }
        self.step(&steps, now).await?;
        Ok(strays)
    }

    /// Records the verdicts on an upload. A last resort that is up supersedes the others of its ciphersuite, since the
    /// server has one slot, and the last one up has it (`LAST-1`).
    pub(super) async fn settle(
        &self,
        policy: &Policy,
        uploaded: &[(KeyPackageRef, UploadOutcome)],
        now: Timestamp,
        report: &mut RefreshReport,
    ) -> Result<(), V> {
        let rows = self.rows().await?;
        let mut slots = BTreeMap::new();
        for (key_package_ref, verdict) in uploaded {
            if !verdict.is_held() {
                report.refused.push((key_package_ref.clone(), *verdict));
                continue;
            }
            report.uploaded += 1;
            if let Some(row) = rows.get(key_package_ref).filter(|row| row.last_resort) {
                slots.insert(row.ciphersuite, key_package_ref);
            }
        }
        let verdicts: BTreeMap<_, _> = uploaded.iter().map(|(named, verdict)| (named, verdict)).collect();
        let mut steps = Vec::new();
        for (key_package_ref, row) in &rows {
            let slot = slots.get(&row.ciphersuite).filter(|_| row.last_resort);
            let in_use = is_held(row) || row.lifecycle == Lifecycle::Reserved;
            if in_use && slot.is_some_and(|current| *current != key_package_ref) {
                report.superseded += 1;
                steps.push((key_package_ref.clone(), policy.superseded(now)));
            } else if row.lifecycle == Lifecycle::Created
                && let Some(verdict) = verdicts.get(key_package_ref)
            {
                steps.push((key_package_ref.clone(), policy.after_verdict(row, **verdict, now)));
            }
        }
        self.step(&steps, now).await
    }

    /// Records that these were taken back from the server.
    pub(super) async fn supersede(
        &self,
        policy: &Policy,
        withdrawn: &[KeyPackageRef],
        now: Timestamp,
        report: &mut RefreshReport,
    ) -> Result<(), V> {
        let rows = self.rows().await?;
        let held = |key_package_ref: &&KeyPackageRef| rows.get(*key_package_ref).is_some_and(is_held);
        let superseded = |key_package_ref: &KeyPackageRef| (key_package_ref.clone(), policy.superseded(now));
        let steps: Vec<_> = withdrawn.iter().filter(held).map(superseded).collect();
        report.superseded += u32::try_from(steps.len()).unwrap_or(u32::MAX);
        self.step(&steps, now).await
    }

    /// Marks packages as used, and deletes the keys of the one-time ones (`POOL-5`).
    pub(super) async fn mark_as_spent(&self, refs: &[KeyPackageRef], now: Timestamp) -> Result<(), V> {
        let mut rows = Vec::with_capacity(refs.len());
        for key_package_ref in refs {
            let row = self.metadata.get(key_package_ref).await?;
            rows.push(row.ok_or(PoolError::UnknownPackage)?);
        }
        let steps: Vec<_> = rows.iter().map(used).collect();
        self.step(&steps, now).await?;
        for row in rows.iter().filter(|row| !row.last_resort) {
            self.vault.forget(&row.key_package_ref).map_err(PoolError::Vault)?;
        }
        Ok(())
    }
}
