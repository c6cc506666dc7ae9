use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use kp_core::client::{KeyPackageMetadata, Lifecycle};
use kp_core::{Ciphersuite, CredentialHash, KeyPackageRef, Role, Timestamp};

use crate::mark;
use crate::pace;
use crate::plan::{CiphersuitePlan, Sizes};
use crate::policy::{Policy, end, is_held, was_never_offered};
use crate::rows::Rows;

/// A look at the rows of a pool at one moment, and at the credentials that packages should have.
pub(crate) struct Survey<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) rows: &'a Rows,
    pub(crate) credentials: BTreeMap<Ciphersuite, CredentialHash>,
    /// Young rows that have no key: another process stores it in a moment, or died.
    pub(crate) keyless: BTreeSet<&'a KeyPackageRef>,
    /// The ciphersuites of which a one-time package waits for its `not_before`.
    pub(crate) waiting: BTreeSet<Ciphersuite>,
    /// Whether another installation uses the pool too.
    pub(crate) has_strangers: bool,
    /// What the server told last.
    pub(crate) server: Option<Timestamp>,
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

    /// Whether the server holds the package, or may hold it, and there is a key.
    fn is_held(&self, row: &KeyPackageMetadata) -> bool {
        is_held(row) && !self.keyless.contains(&row.key_package_ref)
    }

    fn is_wanted(&self, row: &KeyPackageMetadata) -> bool {
        self.plan(row).is_some() && self.has_current_credential(row)
    }

    fn is_fresh(&self, row: &KeyPackageMetadata) -> bool {
        self.is_held(row) && self.is_wanted(row) && self.now < self.policy.stale_at(row)
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
            .filter(|row| self.is_held(row) && self.now < row.not_after);
        plan.one_time.map_or(0, |sizes| sizes.cap.saturating_sub(count(held)))
    }

    /// How many one-time packages are missing up to the target, as far as the cap allows (`POOL-2`).
    pub(crate) fn shortage(&self, plan: &CiphersuitePlan) -> u32 {
        let missing = |sizes: Sizes| sizes.target.saturating_sub(self.fresh(plan.ciphersuite, Role::OneTime));
        if self.waiting.contains(&plan.ciphersuite) {
            return 0;
        }
        plan.one_time.map_or(0, missing).min(self.room(plan))
    }

    /// Whether there are fewer one-time packages than the low-water mark (`POOL-2`).
    pub(crate) fn is_low(&self, plan: &CiphersuitePlan) -> bool {
        plan.one_time
            .is_some_and(|sizes| self.fresh(plan.ciphersuite, Role::OneTime) < sizes.low)
    }

    /// Whether a last-resort package is missing, or due for rotation. One that was used is due when the pace allows
    /// (`POOL-10`).
    pub(crate) fn lacks_last_resort(&self, plan: &CiphersuitePlan) -> bool {
        let suite = plan.ciphersuite;
        let paced = self.paced(suite).any(|at| self.now < at);
        plan.last_resort && self.fresh(suite, Role::LastResort) == 0 && !paced
    }

    /// When the last resorts of a ciphersuite that were used, and would still do, may have a successor. Where another
    /// installation replaces them too, each one counts.
    fn paced(&self, suite: Ciphersuite) -> impl Iterator<Item = Timestamp> {
        let is_paced = move |row: &&KeyPackageMetadata| {
            let in_use = matches!(row.lifecycle, Lifecycle::Reserved | Lifecycle::Joining { .. })
                && self.now < self.policy.stale_at(row)
                && !self.keyless.contains(&row.key_package_ref);
            row.ciphersuite == suite
                && row.role.is_last_resort()
                && self.is_wanted(row)
                && (in_use || self.has_strangers)
        };
        self.rows.iter().filter(is_paced).map(pace::rotation_at)
    }

    /// A short hash of what packages of this ciphersuite are made by.
    pub(crate) fn basis(&self, plan: &CiphersuitePlan) -> u32 {
        // It may differ in the next release of Rust: then a wait ends early.
        let mut hasher = DefaultHasher::new();
        plan.hash(&mut hasher);
        self.credentials.get(&plan.ciphersuite).hash(&mut hasher);
        hasher.finish() as u32
    }

    /// Returns what is not known to be on the server and should be, oldest first, as far as the cap allows (`POOL-1`).
    pub(crate) fn to_upload(&self, now: Option<Timestamp>) -> Vec<&KeyPackageMetadata> {
        let is_due = |row: &&KeyPackageMetadata| {
            row.lifecycle == Lifecycle::Created && self.is_wanted(row) && now.is_none_or(|now| now < row.not_after)
        };
        let mut rows: Vec<_> = self.rows.iter().filter(is_due).collect();
        rows.sort_by_key(|row| row.created_at);
        let mut room = BTreeMap::new();
        rows.retain(|row| {
            if row.role.is_last_resort() || !was_never_offered(row) {
                return true;
            }
            let left = room
                .entry(row.ciphersuite)
                .or_insert_with(|| self.room_for_new(row.ciphersuite));
            let fits = *left > 0;
            *left = left.saturating_sub(1);
            fits
        });
        rows
    }

    /// How many one-time packages that were never offered the cap lets up.
    fn room_for_new(&self, suite: Ciphersuite) -> u32 {
        let may_be_up = |row: &&KeyPackageMetadata| {
            row.ciphersuite == suite && row.role == Role::OneTime && self.is_held(row) && !was_never_offered(row)
        };
        let cap = self.policy.plans.get(&suite).and_then(|plan| plan.one_time);
        cap.map_or(0, |sizes| {
            sizes.cap.saturating_sub(count(self.rows.iter().filter(may_be_up)))
        })
    }

    /// Whether one-time packages of this ciphersuite wait to be uploaded.
    pub(crate) fn has_to_upload(&self, suite: Ciphersuite) -> bool {
        let mut rows = self.to_upload(None).into_iter();
        rows.any(|row| row.ciphersuite == suite && row.role == Role::OneTime)
    }

    /// What is on the server, or may be, and should not be. What still has a use is left there until its successors are
    /// up, so that the client can be added throughout.
    pub(crate) fn to_withdraw(&self) -> Vec<KeyPackageRef> {
        let has_successor = |old: &KeyPackageMetadata| {
            self.rows.iter().any(|row| {
                let serves = row.lifecycle == Lifecycle::Available && self.is_held(row) && self.is_wanted(row);
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
            let mark = row.lifecycle.mark();
            let join = [mark.map(mark::alive_until), mark.map(|mark| mark.until)];
            [Some(end(row)), row.lifecycle.delete_at(), stale_at]
                .into_iter()
                .chain(join)
        };
        let rows = self.rows.iter().flat_map(due).flatten();
        let last_resorts = self.policy.plans.values().filter(|plan| plan.last_resort);
        let paced = last_resorts.flat_map(|plan| self.paced(plan.ciphersuite));
        // What the client's clock has passed waits for the server's.
        let until = |at: Timestamp| {
            let ahead = self.server.map_or(0, |server| at.get().saturating_sub(server.get()));
            if self.now < at {
                at
            } else {
                self.now.plus(ahead.max(0).unsigned_abs())
            }
        };
        rows.chain(paced).map(until).filter(|at| self.now < *at).min()
    }
}
