use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kp_core::client::{
    KeyPackageMetadata, KeyVault, Lifecycle, MetadataChanges, PoolMetadataStore, PoolMetadataStoreExt as _,
};
use kp_core::protocol::{SyncReport, UploadOutcome};
use kp_core::{Ciphersuite, Error, KeyPackage, KeyPackageRef, Role, Timestamp};

use crate::error::{PoolError, Result};
use crate::policy::{Policy, is_held, used, was_never_offered};
use crate::report::RefreshReport;
use crate::rows::Rows;
use crate::survey::Survey;

/// How many rows of spent packages are kept, the newest (`POOL-11`).
const SPENT_ROWS: usize = 1_000;

fn is_spent(row: &KeyPackageMetadata) -> bool {
    row.lifecycle == Lifecycle::Spent
}

/// The keys and their rows, which only change together and in this order: the row, then the key; and away with the key,
/// then the row (`POOL-3`, `POOL-4`). So no key is ever without a row, wherever a process dies. The row of a package that was
/// used stays, and says `Spent` once the key is gone (`POOL-11`).
///
/// Who holds the ledger holds it alone, and reads the rows once. Nothing here waits for the server.
pub(crate) struct Ledger<V> {
    pub(crate) vault: V,
    pub(crate) metadata: Arc<dyn PoolMetadataStore>,
}

impl<V: KeyVault> Ledger<V> {
    /// Reads all rows, those of spent packages included.
    pub(crate) async fn all_rows(&self) -> Result<Rows, V> {
        Ok(self.metadata.list().await?.into_iter().collect())
    }

    /// Reads the rows that can still change: all but those of spent packages.
    pub(crate) async fn rows(&self) -> Result<Rows, V> {
        let rows = self.metadata.list().await?.into_iter();
        Ok(rows.filter(|row| !is_spent(row)).collect())
    }

    /// Writes steps to the store.
    pub(crate) async fn write(&self, steps: &[(KeyPackageRef, Lifecycle)], now: Timestamp) -> Result<(), V> {
        if !steps.is_empty() {
            self.metadata.update_pool_status(steps, now).await?;
        }
        Ok(())
    }

    /// Writes steps to the store, and takes them in `rows` too.
    async fn step(&self, rows: &mut Rows, steps: &[(KeyPackageRef, Lifecycle)], now: Timestamp) -> Result<(), V> {
        self.write(steps, now).await?;
        Ok(rows.step(steps, now).map_err(Error::from)?)
    }

    async fn create(&self, rows: &mut Rows, new: Vec<KeyPackageMetadata>) -> Result<(), V> {
        if !new.is_empty() {
            self.metadata.create_pool_metadata(&new).await?;
            rows.insert(new);
        }
        Ok(())
    }

    async fn delete(&self, rows: &mut Rows, refs: &[KeyPackageRef]) -> Result<u32, V> {
        if refs.is_empty() {
            return Ok(0);
        }
        let deleted = self.metadata.delete_pool_metadata(refs).await?;
        rows.remove(refs);
        Ok(u32::try_from(deleted).unwrap_or(u32::MAX))
    }

    pub(crate) fn survey<'a>(&self, policy: &'a Policy, rows: &'a Rows, now: Timestamp) -> Result<Survey<'a>, V> {
        let credential = |suite: &Ciphersuite| Ok((*suite, self.vault.credential(*suite)?));
        let credentials = policy
            .plans
            .keys()
            .map(credential)
            .collect::<std::result::Result<_, _>>();
        Ok(Survey {
            policy,
            rows,
            credentials: credentials.map_err(PoolError::Vault)?,
            now,
        })
    }

    /// Deletes what is expired, refused, or past its grace period: the key first (`POOL-4`). Of `all` rows, those are
    /// left that can still change.
    pub(crate) async fn clean_up(&self, all: &mut Rows, now: Timestamp) -> Result<u32, V> {
        let is_due = |row: &&KeyPackageMetadata| {
            row.lifecycle.is_final() || row.not_after <= now || row.lifecycle.delete_at().is_some_and(|at| at <= now)
        };
        let (mut spent, rows): (Vec<_>, Vec<_>) = all.iter().partition(|row| is_spent(row));
        spent.sort_by_key(|row| Reverse(row.spent_at));
        let numbered = spent.iter().enumerate();
        let old = numbered.filter(|(at, row)| *at >= SPENT_ROWS || row.not_after <= now);
        let due = old.map(|(_, row)| *row).chain(rows.into_iter().filter(is_due));
        let due: Vec<_> = due.map(|row| row.key_package_ref.clone()).collect();
        let spent: Vec<_> = spent.into_iter().map(|row| row.key_package_ref.clone()).collect();
        let deleted = self.throw_away(all, &due).await?;
        all.remove(&spent);
        Ok(deleted)
    }

    /// Deletes keys, and then their rows (`POOL-4`).
    async fn throw_away(&self, rows: &mut Rows, refs: &[KeyPackageRef]) -> Result<u32, V> {
        for key_package_ref in refs {
            self.vault.forget(key_package_ref).map_err(PoolError::Vault)?;
        }
        self.delete(rows, refs).await
    }

    /// Puts right what a process left that died, and drops the rows that have no key.
    ///
    /// A join that died has its key again (`POOL-6`), unless neither key nor copy is there: then the join had succeeded.
    pub(crate) async fn recover(&self, rows: &mut Rows, now: Timestamp, report: &mut RefreshReport) -> Result<(), V> {
        let (mut steps, mut lost) = (Vec::new(), Vec::new());
        for row in rows.iter().filter(|row| !is_spent(row)) {
            let joining = matches!(row.lifecycle, Lifecycle::Joining { .. });
            let key_package_ref = row.key_package_ref.clone();
            if joining {
                self.vault.restore(&key_package_ref).map_err(PoolError::Vault)?;
            }
            match (joining, self.package(&key_package_ref)?.is_some()) {
                (true, true) => {
                    report.recovered += 1;
                    steps.push((key_package_ref, Lifecycle::Reserved));
                }
                (true, false) if !row.role.is_last_resort() => steps.push((key_package_ref, Lifecycle::Spent)),
                (_, false) if !row.lifecycle.is_final() => lost.push(key_package_ref),
                (false, _) | (true, false) => {}
            }
        }
        self.step(rows, &steps, now).await?;
        report.lost += self.delete(rows, &lost).await?;
        Ok(())
    }

    pub(crate) fn package(&self, key_package_ref: &KeyPackageRef) -> Result<Option<KeyPackage>, V> {
        self.vault.package(key_package_ref).map_err(PoolError::Vault)
    }

    /// Makes packages, stored and ready to be uploaded (`POOL-3`): all rows in one step, and then the keys.
    pub(crate) async fn generate(
        &self,
        rows: &mut Rows,
        wanted: &[(Ciphersuite, Role)],
        now: Timestamp,
    ) -> Result<u32, V> {
        let mut new = Vec::with_capacity(wanted.len());
        let mut made = Vec::with_capacity(wanted.len());
        for (suite, role) in wanted {
            let generated = self.vault.generate(*suite, *role, now);
            let (info, fresh) = generated.map_err(PoolError::Vault)?;
            new.push(KeyPackageMetadata::created(&info, now));
            made.push(fresh);
        }
        self.create(rows, new).await?;
        for fresh in made {
            self.vault.keep(fresh).map_err(PoolError::Vault)?;
        }
        Ok(u32::try_from(wanted.len()).unwrap_or(u32::MAX))
    }

    /// Returns what is to be uploaded, with its bytes, oldest first.
    pub(crate) fn to_upload(&self, survey: &Survey<'_>) -> Result<Vec<KeyPackage>, V> {
        let packages = survey
            .to_upload()
            .into_iter()
            .map(|row| self.package(&row.key_package_ref));
        packages.filter_map(std::result::Result::transpose).collect()
    }

    /// Writes that an upload of these packages is about to begin, before it does (`META-1`), and returns those that no
    /// upload named before.
    pub(crate) async fn offer(
        &self,
        rows: &Rows,
        packages: &[KeyPackage],
        now: Timestamp,
    ) -> Result<BTreeSet<KeyPackageRef>, V> {
        let refs = packages.iter().map(|package| &package.info.key_package_ref);
        let is_new = |named: &&KeyPackageRef| rows.get(named).is_some_and(was_never_offered);
        let new: BTreeSet<_> = refs.filter(is_new).cloned().collect();
        if !new.is_empty() {
            let offers = MetadataChanges::new().offer(new.iter().cloned(), now);
            self.metadata.apply(&offers).await?;
        }
        Ok(new)
    }

    /// Learns what became of `mine`, and says which packages the server holds that it should not.
    pub(crate) async fn learn(
        &self,
        policy: &Policy,
        mine: &[KeyPackageRef],
        answer: &SyncReport,
        now: Timestamp,
        report: &mut RefreshReport,
    ) -> Result<Vec<KeyPackageRef>, V> {
        let (mut steps, mut strays) = (Vec::new(), Vec::new());
        let mut rows = self.rows().await?;
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
        let unknown = answer.unknown_to_you.iter().map(|held| &held.key_package_ref);
        for unknown in unknown.collect::<BTreeSet<_>>() {
            match self.package(unknown)? {
                Some(_) if rows.get(unknown).is_some() => {}
                Some(package) if self.metadata.get(unknown).await?.is_none() => found.push(KeyPackageMetadata {
                    offered_at: Some(now),
                    ..KeyPackageMetadata::created(&package.info, now)
                }),
                _ => strays.push(unknown.clone()),
            }
        }
        report.recovered += u32::try_from(found.len()).unwrap_or(u32::MAX);
        self.create(&mut rows, found).await?;
        self.write(&steps, now).await?;
        Ok(strays)
    }

    /// Records the outcomes of an upload, the first one for those that are `new`. A last resort that is up supersedes the others of its ciphersuite, since the
    /// server has one slot, and the last one up has it (`LAST-1`).
    pub(crate) async fn settle(
        &self,
        policy: &Policy,
        uploaded: &[(KeyPackageRef, UploadOutcome)],
        new: &BTreeSet<KeyPackageRef>,
        now: Timestamp,
        report: &mut RefreshReport,
    ) -> Result<(), V> {
        let rows = self.rows().await?;
        let mut slots = BTreeMap::new();
        for (key_package_ref, outcome) in uploaded {
            if !outcome.is_held() {
                report.refused.push((key_package_ref.clone(), *outcome));
                continue;
            }
            report.uploaded += 1;
            if let Some(row) = rows.get(key_package_ref).filter(|row| row.role.is_last_resort()) {
                slots.insert(row.ciphersuite, key_package_ref);
            }
        }
        let outcomes: BTreeMap<_, _> = uploaded.iter().map(|(named, outcome)| (named, outcome)).collect();
        let mut steps = Vec::new();
        for row in rows.iter() {
            let key_package_ref = &row.key_package_ref;
            let slot = slots.get(&row.ciphersuite).filter(|_| row.role.is_last_resort());
            let in_use = is_held(row) || row.lifecycle == Lifecycle::Reserved;
            if in_use && slot.is_some_and(|current| *current != key_package_ref) {
                report.superseded += 1;
                steps.push((key_package_ref.clone(), policy.superseded(now)));
            } else if row.lifecycle == Lifecycle::Created
                && let Some(outcome) = outcomes.get(key_package_ref)
            {
                let to = policy.after_upload(row, **outcome, new.contains(key_package_ref), now);
                report.superseded += u32::from(to.delete_at().is_some());
                steps.push((key_package_ref.clone(), to));
            }
        }
        self.write(&steps, now).await
    }

    /// Records that these were taken back from the server. What nobody can have is deleted.
    pub(crate) async fn supersede(
        &self,
        policy: &Policy,
        withdrawn: &[KeyPackageRef],
        now: Timestamp,
        report: &mut RefreshReport,
    ) -> Result<(), V> {
        let mut rows = self.rows().await?;
        let held = withdrawn
            .iter()
            .filter_map(|named| rows.get(named))
            .filter(|row| is_held(row));
        let (unseen, seen): (Vec<_>, Vec<_>) = held.partition(|row| was_never_offered(row));
        let refs =
            |rows: Vec<&KeyPackageMetadata>| rows.iter().map(|row| row.key_package_ref.clone()).collect::<Vec<_>>();
        let (unseen, seen) = (refs(unseen), refs(seen));
        let steps: Vec<_> = seen.into_iter().map(|named| (named, policy.superseded(now))).collect();
        report.superseded += u32::try_from(steps.len()).unwrap_or(u32::MAX);
        self.write(&steps, now).await?;
        report.deleted += self.throw_away(&mut rows, &unseen).await?;
        Ok(())
    }

    /// Marks packages as used, and deletes the keys of the one-time ones (`POOL-5`). As after a join, a key is gone before
    /// its row says `Spent`.
    pub(crate) async fn mark_as_spent(&self, refs: &[KeyPackageRef], now: Timestamp) -> Result<(), V> {
        let mut rows = Vec::with_capacity(refs.len());
        for key_package_ref in refs {
            let row = self.metadata.get(key_package_ref).await?;
            rows.push(row.ok_or(PoolError::UnknownPackage)?);
        }
        rows.retain(|row| !is_spent(row));
        let joining = |row: &&KeyPackageMetadata| !row.role.is_last_resort();
        let one_time = rows.iter().filter(joining).map(|row| row.key_package_ref.clone());
        let begun: Vec<_> = one_time
            .map(|named| (named, Lifecycle::Joining { mark: None }))
            .collect();
        self.write(&begun, now).await?;
        for (key_package_ref, _) in &begun {
            self.vault.forget(key_package_ref).map_err(PoolError::Vault)?;
        }
        let steps: Vec<_> = rows.iter().map(used).collect();
        self.write(&steps, now).await
    }
}
