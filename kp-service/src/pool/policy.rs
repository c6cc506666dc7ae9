use std::collections::BTreeMap;

use kp_core::{
    Cause, Ciphersuite, CredentialHash, KeyPackageMetadata, KeyPackageRef, Lifecycle, Refusal, SaveOutcome, Status,
    Timestamp,
};

use crate::{CiphersuitePlan, UploadOutcome};

/// What a pool should be, and what follows from it: decisions only, nothing is done here.
pub(super) struct Policy {
    pub(super) plans: BTreeMap<Ciphersuite, CiphersuitePlan>,
    pub(super) rotate_every: u64,
    pub(super) keep_old: u64,
}

/// The rows of a pool at one moment, and the credentials that packages should have.
pub(super) struct Survey<'a> {
    pub(super) policy: &'a Policy,
    pub(super) rows: Vec<KeyPackageMetadata>,
    pub(super) credentials: BTreeMap<Ciphersuite, CredentialHash>,
    pub(super) now: Timestamp,
}

impl Policy {
    pub(super) fn superseded(&self, now: Timestamp) -> Lifecycle {
        let delete_at = now.plus(self.keep_old);
        Lifecycle::Superseded { delete_at }
    }

    /// Where a row stands, now that the server said where its package does.
    ///
    /// What was handed out keeps its key until its `not_after`: a Welcome may be under way.
    pub(super) fn after_sync(&self, row: &KeyPackageMetadata, status: Option<Status>, now: Timestamp) -> Lifecycle {
        use Lifecycle::{Available, Created, Reserved};
        match (row.lifecycle, status) {
            (Created | Available | Reserved, Some(status)) => match status {
                // A last resort that was used stays so: it is to be replaced.
                Status::LastResort { used: false } if row.lifecycle == Reserved => Reserved,
                Status::Available | Status::NotYetValid | Status::LastResort { used: false } => Available,
                Status::Reserved { .. } | Status::LastResort { used: true } | Status::Expired => Reserved,
                Status::Spent { cause, .. } => match cause {
                    Cause::Used | Cause::Retired => Reserved,
                    Cause::Withdrawn | Cause::Replaced => self.superseded(now),
                },
            },
            // The server lost it: the same package goes up again (`POOL-3`).
            (Available, None) => Created,
            (unchanged, _) => unchanged,
        }
    }

    /// Whether the server would hand out what is no longer to be handed out: it was restored from a backup.
    pub(super) fn is_stray(row: &KeyPackageMetadata, status: Option<Status>) -> bool {
        let superseded = matches!(row.lifecycle, Lifecycle::Superseded { .. });
        superseded
            && matches!(
                status,
                Some(Status::Available | Status::NotYetValid | Status::LastResort { .. })
            )
    }

    /// Where a package that was uploaded stands, now that the server gave its verdict.
    pub(super) fn after_verdict(&self, row: &KeyPackageMetadata, verdict: UploadOutcome, now: Timestamp) -> Lifecycle {
        match verdict {
            UploadOutcome::Store(SaveOutcome::Saved | SaveOutcome::AlreadyStored) => Lifecycle::Available,
            // An earlier upload arrived, and somebody has the package; a last resort was replaced since.
            UploadOutcome::Store(SaveOutcome::AlreadySpent) if row.last_resort => self.superseded(now),
            UploadOutcome::Store(SaveOutcome::AlreadySpent) => Lifecycle::Reserved,
            UploadOutcome::Store(SaveOutcome::Expired) | UploadOutcome::Refused(Refusal::Expired) => Lifecycle::Expired,
            UploadOutcome::Store(SaveOutcome::RefConflict) => Lifecycle::Failed,
            // Later, it may be taken.
            UploadOutcome::Store(SaveOutcome::PoolFull | SaveOutcome::NotYetValid)
            | UploadOutcome::Refused(Refusal::NotYetValid)
            | UploadOutcome::NotTried => Lifecycle::Created,
            UploadOutcome::Refused(_) => Lifecycle::Failed,
        }
    }

    /// When a package should have a successor: in the last tenth of its lifetime, so that a pool made in one batch does
    /// not expire in one moment; a last resort also when its rotation is due.
    fn stale_at(&self, row: &KeyPackageMetadata) -> Timestamp {
        let lifetime = row.not_after.get().saturating_sub(row.created_at.get()).max(0);
        let stale_at = row.not_after.minus(lifetime.unsigned_abs() / 10);
        if row.last_resort {
            stale_at.min(row.created_at.plus(self.rotate_every))
        } else {
            stale_at
        }
    }
}

fn count<'a>(rows: impl Iterator<Item = &'a KeyPackageMetadata>) -> u32 {
    u32::try_from(rows.count()).unwrap_or(u32::MAX)
}

/// Whether the server holds it, or may hold it: what counts towards the cap (`POOL-1`).
pub(super) fn is_held(row: &KeyPackageMetadata) -> bool {
    matches!(row.lifecycle, Lifecycle::Created | Lifecycle::Available)
}

impl Survey<'_> {
    fn plan(&self, row: &KeyPackageMetadata) -> Option<&CiphersuitePlan> {
        let plan = self.policy.plans.get(&row.ciphersuite)?;
        let planned = if row.last_resort {
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

    fn fresh(&self, suite: Ciphersuite, last_resort: bool) -> u32 {
        let of_role = |row: &&KeyPackageMetadata| row.ciphersuite == suite && row.last_resort == last_resort;
        count(self.rows.iter().filter(of_role).filter(|row| self.is_fresh(row)))
    }

    /// How many more one-time packages the cap allows (`POOL-1`).
    pub(super) fn room(&self, plan: &CiphersuitePlan) -> u32 {
        let one_time = |row: &&KeyPackageMetadata| row.ciphersuite == plan.suite && !row.last_resort;
        let held = self
            .rows
            .iter()
            .filter(one_time)
            .filter(|row| is_held(row) && self.now < row.not_after);
        plan.one_time.map_or(0, |sizes| sizes.cap.saturating_sub(count(held)))
    }

    /// How many one-time packages are missing up to the target, as far as the cap allows (`POOL-2`).
    pub(super) fn shortage(&self, plan: &CiphersuitePlan) -> u32 {
        let missing = |sizes: crate::Sizes| sizes.target.saturating_sub(self.fresh(plan.suite, false));
        plan.one_time.map_or(0, missing).min(self.room(plan))
    }

    /// Whether there are fewer one-time packages than the low-water mark (`POOL-2`).
    pub(super) fn is_low(&self, plan: &CiphersuitePlan) -> bool {
        plan.one_time
            .is_some_and(|sizes| self.fresh(plan.suite, false) < sizes.low)
    }

    /// Whether a last-resort package is missing, used, or due for rotation.
    pub(super) fn lacks_last_resort(&self, plan: &CiphersuitePlan) -> bool {
        plan.last_resort && self.fresh(plan.suite, true) == 0
    }

    /// What is not known to be on the server and should be, oldest first.
    pub(super) fn to_upload(&self) -> impl Iterator<Item = &KeyPackageMetadata> {
        self.rows
            .iter()
            .filter(|row| row.lifecycle == Lifecycle::Created && self.is_wanted(row) && self.now < row.not_after)
    }

    /// What is on the server, or may be, and should not be. What still has a use is left there until its successors are
    /// up, so that the client can be added throughout.
    pub(super) fn to_withdraw(&self) -> Vec<KeyPackageRef> {
        let has_successor = |old: &KeyPackageMetadata| {
            self.rows.iter().any(|row| {
                let serves = row.lifecycle == Lifecycle::Available && self.is_wanted(row) && self.now < row.not_after;
                serves && row.ciphersuite == old.ciphersuite && row.last_resort == old.last_resort
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
    pub(super) fn next_at(&self) -> Option<Timestamp> {
        let due = |row: &KeyPackageMetadata| {
            let stale_at = is_held(row).then(|| self.policy.stale_at(row));
            [Some(row.not_after), row.lifecycle.delete_at(), stale_at]
        };
        let all = self.rows.iter().flat_map(due).flatten();
        all.filter(|at| self.now < *at).min()
    }
}
