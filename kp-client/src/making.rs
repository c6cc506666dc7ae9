use std::collections::{BTreeMap, BTreeSet};
use std::iter::repeat_n;

use kp_core::client::{KeyPackageMetadata, KeyVault, MetadataChanges, PoolRecord};
use kp_core::{Ciphersuite, KeyPackage, KeyPackageRef, Role, Timestamp};

use crate::error::{PoolError, Result};
use crate::heard::Heard;
use crate::pace;
use crate::plan::CiphersuitePlan;
use crate::policy::was_never_offered;
use crate::report::RefreshReport;
use crate::rows::Rows;
use crate::survey::Survey;
use crate::turn::Turn;

/// How many one-time packages a round makes.
#[derive(Clone, Copy)]
pub(crate) enum Demand {
    /// What is missing up to the target, where there are fewer than the low-water mark of the client or of the server.
    Refill,
    /// So many of one ciphersuite.
    More(Ciphersuite, u32),
}

/// An upload that is about to begin.
#[derive(Default)]
pub(crate) struct Offer {
    /// Oldest first.
    pub(crate) packages: Vec<KeyPackage>,
    /// Those that no upload named before.
    pub(crate) new: BTreeSet<KeyPackageRef>,
    /// Those that were made for this upload.
    pub(crate) made: BTreeSet<KeyPackageRef>,
}

impl<V: KeyVault> Turn<'_, V> {
    /// Makes what is missing, and returns what the server does not have. `probe`: one package a ciphersuite at most.
    pub(crate) async fn prepare(
        &self,
        demand: Demand,
        heard: &Heard,
        probe: bool,
        report: &mut RefreshReport,
    ) -> Result<Offer, V> {
        let (mut rows, mut record) = (self.rows().await?, self.record().await?);
        let mut wanted = Vec::new();
        let survey = self.survey(&rows, &record)?;
        for plan in self.policy().plans.values() {
            let mut of_suite = self.wanted(plan, demand, heard, probe, &survey, &mut record);
            let of_budget = of_suite.iter().filter(|role| !role.is_last_resort()).count();
            let allowed = self.take_from_budget(plan, of_budget, &mut record, report);
            of_suite.retain({
                let mut left = allowed;
                move |role| {
                    let fits = role.is_last_resort() || left > 0;
                    left = if role.is_last_resort() {
                        left
                    } else {
                        left.saturating_sub(1)
                    };
                    fits
                }
            });
            wanted.extend(of_suite.into_iter().map(|role| (plan.ciphersuite, role)));
        }
        let made = self.generate(&mut rows, &wanted, record.clone(), heard, report).await?;
        let packages = self.to_upload(&self.survey(&rows, &record)?, heard)?;
        let new = self.offer(&rows, &packages).await?;
        Ok(Offer { packages, new, made })
    }

    /// The roles of which packages of a ciphersuite are missing, and may be made now.
    fn wanted(
        &self,
        plan: &CiphersuitePlan,
        demand: Demand,
        heard: &Heard,
        probe: bool,
        survey: &Survey<'_>,
        record: &mut PoolRecord,
    ) -> Vec<Role> {
        let suite = plan.ciphersuite;
        let one_time = match demand {
            Demand::More(named, count) if named == suite => {
                record.waits.retain(|(waiting, _), _| *waiting != suite);
                count.min(survey.room(plan))
            }
            Demand::More(..) => 0,
            // DIR-5: the server's mark may be the higher one. What it does not have yet may be all that it misses.
            Demand::Refill if survey.is_low(plan) || heard.low.contains(&suite) && !survey.has_to_upload(suite) => {
                survey.shortage(plan)
            }
            Demand::Refill => 0,
        };
        let one_time = one_time.min(heard.room());
        let last_resort = survey.lacks_last_resort(plan);
        let basis = survey.basis(plan);
        let waits = |role| {
            let wait = record.waits.get(&(suite, role));
            wait.is_some_and(|wait| pace::holds(wait, basis, self.now))
        };
        let roles = repeat_n(Role::OneTime, one_time as usize).chain(last_resort.then_some(Role::LastResort));
        if probe {
            let any_waits = waits(Role::OneTime) || waits(Role::LastResort);
            return roles.take(usize::from(!any_waits)).collect();
        }
        roles.filter(|role| !waits(*role)).collect()
    }

    /// Takes one-time packages from the budget of a ciphersuite, and returns how many there were (`POOL-10`).
    fn take_from_budget(
        &self,
        plan: &CiphersuitePlan,
        wanted: usize,
        record: &mut PoolRecord,
        report: &mut RefreshReport,
    ) -> usize {
        let Some(sizes) = plan.one_time.filter(|_| wanted > 0) else {
            return 0;
        };
        let before = record.budgets.get(&plan.ciphersuite).copied();
        let mut budget = pace::grown(before, sizes.cap, self.now);
        let taken = u32::try_from(wanted).unwrap_or(u32::MAX).min(budget.left);
        budget.left -= taken;
        record.budgets.insert(plan.ciphersuite, budget);
        if (taken as usize) < wanted {
            let until = pace::regrown_at(budget);
            report.budget_spent_until = Some(report.budget_spent_until.map_or(until, |at| at.min(until)));
        }
        taken as usize
    }

    /// Makes packages, stored and ready to be uploaded (`POOL-3`): all rows in one step, and then the keys.
    async fn generate(
        &self,
        rows: &mut Rows,
        wanted: &[(Ciphersuite, Role)],
        record: PoolRecord,
        heard: &Heard,
        report: &mut RefreshReport,
    ) -> Result<BTreeSet<KeyPackageRef>, V> {
        let (mut new, mut fresh) = (Vec::with_capacity(wanted.len()), Vec::with_capacity(wanted.len()));
        for (suite, role) in wanted {
            let generated = self.vault().generate(*suite, *role, self.now);
            let (info, key) = generated.map_err(PoolError::Vault)?;
            // Only the vault knows by how much it dates lifetimes back.
            if let Some(until) = heard.restore_point_until(info.lifetime.not_before(), self.now) {
                report.restore_point_until = Some(until);
                return Ok(BTreeSet::new());
            }
            new.push(KeyPackageMetadata::created(&info, self.now));
            fresh.push((info.key_package_ref, key));
        }
        if new.is_empty() {
            return Ok(BTreeSet::new());
        }
        let changes = MetadataChanges::new().create(new.iter().cloned()).record(record);
        self.apply(changes).await?;
        let made: BTreeSet<_> = new.iter().map(|row| row.key_package_ref.clone()).collect();
        rows.insert(new);
        for (key_package_ref, key) in fresh {
            self.keep(&key_package_ref, key)?;
        }
        // Another process may have dropped rows that had no key yet.
        self.check().await?;
        report.generated += u32::try_from(made.len()).unwrap_or(u32::MAX);
        Ok(made)
    }

    /// Returns what is to be uploaded, with its bytes.
    fn to_upload(&self, survey: &Survey<'_>, heard: &Heard) -> Result<Vec<KeyPackage>, V> {
        // A clock that is off does not say what has expired.
        let now = heard.off.is_none().then_some(self.now);
        let rows = survey.to_upload(now).into_iter();
        let packages = rows.map(|row| self.package(&row.key_package_ref));
        packages.filter_map(std::result::Result::transpose).collect()
    }

    /// Writes that an upload of these packages is about to begin, before it does (`META-1`), and returns those that no
    /// upload named before.
    async fn offer(&self, rows: &Rows, packages: &[KeyPackage]) -> Result<BTreeSet<KeyPackageRef>, V> {
        let refs = packages.iter().map(|package| &package.info.key_package_ref);
        let is_new = |named: &&KeyPackageRef| rows.get(named).is_some_and(was_never_offered);
        let new: BTreeSet<_> = refs.filter(is_new).cloned().collect();
        self.apply(MetadataChanges::new().offer(new.iter().cloned(), self.now))
            .await?;
        Ok(new)
    }

    /// Returns when making is due again that a wait or a spent budget keeps back, and notes the wait in the report.
    pub(crate) fn making_due(
        &self,
        survey: &Survey<'_>,
        record: &PoolRecord,
        report: &mut RefreshReport,
    ) -> Option<Timestamp> {
        let planned: BTreeMap<_, _> = self
            .policy()
            .plans
            .values()
            .map(|plan| (plan.ciphersuite, plan))
            .collect();
        let holding = record.waits.iter().filter_map(|((suite, _), wait)| {
            let plan = planned.get(suite)?;
            pace::holds(wait, survey.basis(plan), self.now).then_some(wait.until)
        });
        report.making_waits_until = holding.min();
        let until = [
            report.making_waits_until,
            report.budget_spent_until,
            report.restore_point_until,
        ];
        until.into_iter().flatten().min()
    }
}
