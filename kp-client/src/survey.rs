use std::collections::BTreeMap;

use kp_core::client::{KeyPackageMetadata, Lifecycle};
use kp_core::{Ciphersuite, CredentialHash, KeyPackageRef, Role, Timestamp};

use crate::plan::{CiphersuitePlan, Sizes};
use crate::policy::{Policy, is_held};
use crate::rows::Rows;

/// A look at the rows of a pool at one moment, and at the credentials that packages should have.
pub(crate) struct Survey<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) rows: &'a Rows,
    pub(crate) credentials: BTreeMap<Ciphersuite, CredentialHash>,
    pub(crate) now: Timestamp,
}

fn count<'a>(rows: impl Iterator<Item = &'a KeyPackageMetadata>) -> u32 {
    u32::try_from(rows.count()).unwrap_or(u32::MAX)
}

impl Survey<'_> {
    fn plan(&self, row: &KeyPackageMetadata) -> Option<&CiphersuitePlan> {
        let plan = self.policy.plans.get(&row.ciphersuite)?;
        let planned = if row.role.is_last_resort() {
            plan.last_resort
        } else {
            plan.one_time.is_some()
        };
        planned.then_some(plan)
    }

    fn has_current_credential(&self, row: &KeyPackageMetadata) -> bool {
        self.credentials.get(&row.ciphersuite) == Some(&row.credential)
    }

    fn is_wanted(&self, row: &KeyPackageMetadata) -> bool {
        self.plan(row).is_some() && self.has_current_credential(row)
    }

    fn is_fresh(&self, row: &KeyPackageMetadata) -> bool {
        is_held(row) && self.is_wanted(row) && self.now < self.policy.stale_at(row)
    }

    fn fresh(&self, suite: Ciphersuite, role: Role) -> u32 {
        let of_role = |row: &&KeyPackageMetadata| row.ciphersuite == suite && row.role == role;
        count(self.rows.iter().filter(of_role).filter(|row| self.is_fresh(row)))
    }

    /// How many more one-time packages the cap allows (`POOL-1`).
    pub(crate) fn room(&self, plan: &CiphersuitePlan) -> u32 {
        let one_time = |row: &&KeyPackageMetadata| row.ciphersuite == plan.ciphersuite && row.role == Role::OneTime;
        let held = self
            .rows
            .iter()
            .filter(one_time)
            .filter(|row| is_held(row) && self.now < row.not_after);
        plan.one_time.map_or(0, |sizes| sizes.cap.saturating_sub(count(held)))
    }

    /// How many one-time packages are missing up to the target, as far as the cap allows (`POOL-2`).
    pub(crate) fn shortage(&self, plan: &CiphersuitePlan) -> u32 {
        let missing = |sizes: Sizes| sizes.target.saturating_sub(self.fresh(plan.ciphersuite, Role::OneTime));
        plan.one_time.map_or(0, missing).min(self.room(plan))
    }

    /// Whether there are fewer one-time packages than the low-water mark (`POOL-2`).
    pub(crate) fn is_low(&self, plan: &CiphersuitePlan) -> bool {
        plan.one_time
            .is_some_and(|sizes| self.fresh(plan.ciphersuite, Role::OneTime) < sizes.low)
    }

    /// Whether a last-resort package is missing, used, or due for rotation.
    pub(crate) fn lacks_last_resort(&self, plan: &CiphersuitePlan) -> bool {
        plan.last_resort && self.fresh(plan.ciphersuite, Role::LastResort) == 0
    }

    /// Returns what is not known to be on the server and should be, oldest first.
    pub(crate) fn to_upload(&self) -> Vec<&KeyPackageMetadata> {
        let is_due = |row: &&KeyPackageMetadata| {
            row.lifecycle == Lifecycle::Created && self.is_wanted(row) && self.now < row.not_after
        };
        let mut rows: Vec<_> = self.rows.iter().filter(is_due).collect();
        rows.sort_by_key(|row| row.created_at);
        rows
    }

    /// Whether one-time packages of this ciphersuite wait to be uploaded.
    pub(crate) fn has_to_upload(&self, suite: Ciphersuite) -> bool {
        let mut rows = self.to_upload().into_iter();
        rows.any(|row| row.ciphersuite == suite && row.role == Role::OneTime)
    }

    /// What is on the server, or may be, and should not be. What still has a use is left there until its successors are
    /// up, so that the client can be added throughout.
    pub(crate) fn to_withdraw(&self) -> Vec<KeyPackageRef> {
        let has_successor = |old: &KeyPackageMetadata| {
            self.rows.iter().any(|row| {
                let serves = row.lifecycle == Lifecycle::Available && self.is_wanted(row) && self.now < row.not_after;
                serves && row.ciphersuite == old.ciphersuite && row.role == old.role
            })
        };
        self.rows
            .iter()
            .filter(|row| is_held(row) && !self.is_wanted(row))
            .filter(|row| self.plan(row).is_none() || has_successor(row))
            .map(|row| row.key_package_ref.clone())
            .collect()
    }

    /// When something is due again that time alone brings about.
    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        let due = |row: &KeyPackageMetadata| {
            let stale_at = is_held(row).then(|| self.policy.stale_at(row));
            [Some(row.not_after), row.lifecycle.delete_at(), stale_at]
        };
        let all = self.rows.iter().flat_map(due).flatten();
        all.filter(|at| self.now < *at).min()
    }
}
