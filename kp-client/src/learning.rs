use std::collections::BTreeMap;

use kp_core::KeyPackageRef;
use kp_core::client::{KeyPackageMetadata, KeyVault, Lifecycle, MetadataChanges, PoolRecord};
use kp_core::protocol::{HeldKeyPackage, SyncReport, UploadOutcome};

use crate::clock::Clocks;
use crate::error::Result;
use crate::ledger::is_young;
use crate::making::Offer;
use crate::pace;
use crate::policy::{is_handed_out, is_held, was_never_offered};
use crate::report::RefreshReport;
use crate::turn::Turn;

impl<V: KeyVault> Turn<'_, V> {
    /// Learns what became of `mine`, and says which packages the server holds that it should not. `confirmed`: the app says
    /// that there is no other installation.
    pub(crate) async fn learn(
        &self,
        mine: &[KeyPackageRef],
        answer: &SyncReport,
        off: Option<i64>,
        confirmed: bool,
        report: &mut RefreshReport,
    ) -> Result<Vec<KeyPackageRef>, V> {
        let (policy, mut record) = (self.policy(), self.record().await?);
        let clocks = Clocks {
            server: answer.server_time.or(record.server_time),
            ..self.clocks(&record)
        };
        let (mut steps, mut strays) = (Vec::new(), Vec::new());
        let rows = self.rows().await?;
        for (key_package_ref, status) in mine.iter().zip(&answer.yours) {
            let Some(row) = rows.get(key_package_ref) else {
                continue;
            };
            let to = policy.after_sync(row, *status, clocks);
            if to != row.lifecycle {
                report.superseded += u32::from(to.delete_at().is_some());
                steps.push((key_package_ref.clone(), to));
            }
            // Restored from a backup, the server would hand out what it should not. What has no key serves nobody.
            let superseded = matches!(row.lifecycle, Lifecycle::Superseded { .. });
            if is_handed_out(*status) && (superseded || self.is_keyless(row)?) {
                strays.push(key_package_ref.clone());
            }
        }
        // A key that has lost its row gets it back; what has no key is of no use to anyone.
        let (mut found, mut strangers) = (Vec::new(), Vec::new());
        let unknown = answer.unknown_to_you.iter().map(|held| (&held.key_package_ref, held));
        for (unknown, held) in unknown.collect::<BTreeMap<_, _>>() {
            let row = self.metadata().get(unknown).await?;
            match (self.package(unknown)?, row) {
                (Some(package), None) => found.push(KeyPackageMetadata {
                    offered_at: Some(self.now),
                    ..KeyPackageMetadata::created(&package.info, self.now)
                }),
                (None, None) => strangers.push(held),
                (Some(_), Some(row)) if row.lifecycle != Lifecycle::Spent => {}
                (_, Some(_)) => strays.push(unknown.clone()),
            }
        }
        report.recovered += u32::try_from(found.len()).unwrap_or(u32::MAX);
        if note_strangers(&mut record, &strangers, confirmed) {
            report.other_installation = u32::try_from(strangers.len()).unwrap_or(u32::MAX);
        } else {
            strays.extend(strangers.into_iter().map(|held| held.key_package_ref.clone()));
        }
        note_server(&mut record, answer, off, policy.skew);
        let changes = MetadataChanges::new().create(found).step(steps, self.now);
        self.apply(changes.record(record)).await?;
        Ok(strays)
    }

    fn is_keyless(&self, row: &KeyPackageMetadata) -> Result<bool, V> {
        Ok(is_held(row) && is_young(row, self.now) && self.package(&row.key_package_ref)?.is_none())
    }

    /// Records the outcomes of an upload. A package that was taken, made while the clock was off, says that the server's clock is
    /// the wrong one (`POOL-8`). A last resort that is up supersedes the others of its ciphersuite, since the
    /// server has one slot, and the last one up has it (`LAST-1`).
    pub(crate) async fn settle(
        &self,
        uploaded: &[(KeyPackageRef, UploadOutcome)],
        offer: &Offer,
        report: &mut RefreshReport,
    ) -> Result<(), V> {
        let (policy, rows, mut record) = (self.policy(), self.rows().await?, self.record().await?);
        let mut slots = BTreeMap::new();
        for (key_package_ref, outcome) in uploaded {
            if !outcome.is_held() {
                report.refused.push((key_package_ref.clone(), *outcome));
                report.server_full |= *outcome == UploadOutcome::PoolFull;
                continue;
            }
            report.uploaded += 1;
            if let Some(row) = rows.get(key_package_ref).filter(|row| row.role.is_last_resort()) {
                slots.insert(row.ciphersuite, key_package_ref);
            }
        }
        let clocks = self.clocks(&record);
        let outcomes: BTreeMap<_, _> = uploaded.iter().map(|(named, outcome)| (named, outcome)).collect();
        let mut steps = Vec::new();
        for row in rows.iter() {
            let key_package_ref = &row.key_package_ref;
            let slot = slots.get(&row.ciphersuite).filter(|_| row.role.is_last_resort());
            let in_use = is_held(row) || row.lifecycle == Lifecycle::Reserved;
            if in_use && slot.is_some_and(|current| *current != key_package_ref) {
                report.superseded += 1;
                steps.push((key_package_ref.clone(), policy.superseded(row, clocks)));
            } else if row.lifecycle == Lifecycle::Created
                && let Some(outcome) = outcomes.get(key_package_ref)
            {
                let first = offer.new.contains(key_package_ref);
                let to = policy.after_upload(row, **outcome, first, clocks);
                report.superseded += u32::from(to.delete_at().is_some());
                steps.push((key_package_ref.clone(), to));
            }
        }
        let survey = self.survey(&rows, &record)?;
        let mut made: BTreeMap<_, Vec<UploadOutcome>> = BTreeMap::new();
        for (named, outcome) in uploaded.iter().filter(|(named, _)| offer.made.contains(named)) {
            if let Some(row) = rows.get(named) {
                made.entry((row.ciphersuite, row.role)).or_default().push(*outcome);
            }
        }
        for ((suite, role), outcomes) in made {
            let refused = outcomes.iter().filter(|outcome| is_refused(**outcome)).count();
            // What the server refused was drained by nobody.
            if let Some(budget) = record.budgets.get_mut(&suite).filter(|_| !role.is_last_resort()) {
                budget.left = budget.left.saturating_add(u32::try_from(refused).unwrap_or(u32::MAX));
            }
            if refused < outcomes.len() {
                record.waits.remove(&(suite, role));
                record.clock_trusted = record.clock_off.is_some();
            } else if let Some(plan) = policy.plans.get(&suite) {
                let before = record.waits.get(&(suite, role));
                let wait = pace::next_wait(before, survey.basis(plan), self.now);
                record.waits.insert((suite, role), wait);
            }
        }
        let changes = MetadataChanges::new().step(steps, self.now);
        self.apply(changes.record(record)).await.map(drop)
    }

    /// Records that these were withdrawn from the server. What nobody can have is deleted.
    pub(crate) async fn supersede(&self, withdrawn: &[KeyPackageRef], report: &mut RefreshReport) -> Result<(), V> {
        let (mut rows, clocks) = (self.rows().await?, self.clocks(&self.record().await?));
        let held = withdrawn
            .iter()
            .filter_map(|named| rows.get(named))
            .filter(|row| is_held(row));
        let (unseen, seen): (Vec<_>, Vec<_>) = held.partition(|row| was_never_offered(row));
        let unseen: Vec<_> = unseen.into_iter().map(|row| row.key_package_ref.clone()).collect();
        let superseded =
            |row: &KeyPackageMetadata| (row.key_package_ref.clone(), self.policy().superseded(row, clocks));
        let steps: Vec<_> = seen.into_iter().map(superseded).collect();
        report.superseded += u32::try_from(steps.len()).unwrap_or(u32::MAX);
        self.write(steps).await?;
        report.deleted += self.throw_away(&mut rows, &unseen).await?;
        Ok(())
    }
}

/// Returns whether the server would refuse another package made like this one.
fn is_refused(outcome: UploadOutcome) -> bool {
    let later = matches!(outcome, UploadOutcome::PoolFull | UploadOutcome::NotTried);
    !outcome.is_held() && !later
}

/// Notes what a sync told of the server and its clock. Waits that a wrong clock brought about end with it. A clock that moved
/// since the server took a package is no longer trusted.
fn note_server(record: &mut PoolRecord, answer: &SyncReport, off: Option<i64>, skew: u64) {
    let stayed = record
        .clock_off
        .zip(off)
        .is_some_and(|(before, now)| before.abs_diff(now) <= skew);
    record.clock_trusted &= stayed;
    if off.is_none() && record.clock_off.is_some() {
        record.waits.clear();
    }
    record.clock_off = off;
    record.server_time = answer.server_time.or(record.server_time);
    record.health = Some(answer.status.health());
}

/// Notes whether a sync found new packages without a key, and returns whether another installation is behind them
/// (`POOL-10`): they came since the sync before, in its second at the earliest, and twice in a row. Once noted, only the
/// app's word ends it.
fn note_strangers(record: &mut PoolRecord, found: &[&HeldKeyPackage], confirmed: bool) -> bool {
    let is_new = |held: &&HeldKeyPackage| record.server_time.is_some_and(|last| last <= held.saved_at);
    if confirmed {
        record.strangers = 0;
    } else if record.strangers < pace::STRANGERS {
        record.strangers = if found.iter().any(is_new) {
            record.strangers + 1
        } else {
            0
        };
    }
    record.strangers >= pace::STRANGERS
}
