use std::collections::BTreeMap;

use kp_core::client::{Alone, KeyPackageMetadata, Lifecycle};
use kp_core::protocol::{Refusal, UploadOutcome};
use kp_core::{Cause, Ciphersuite, Status, Timestamp};

use crate::clock::Clocks;
use crate::plan::CiphersuitePlan;

/// A key is kept for at most a year after its package was offered (`POOL-9`).
const YEAR: u64 = 365 * 86_400;

/// What a pool should be, and what follows from it: decisions only, nothing is done here.
pub(crate) struct Policy {
    pub(crate) plans: BTreeMap<Ciphersuite, CiphersuitePlan>,
    pub(crate) rotate_every: u64,
    pub(crate) keep_old: u64,
    pub(crate) skew: u64,
}

/// What time makes of a row (`POOL-8`).
pub(crate) enum Fate {
    Stays,
    /// The key goes, then the row.
    Goes,
    /// The client's own clock alone says that the package is over.
    Waits,
}

/// When a package ends: at its `not_after`, or a year after it was offered.
pub(crate) fn end(row: &KeyPackageMetadata) -> Timestamp {
    let a_year_on = row.offered_at.map(|at| at.plus(YEAR));
    a_year_on.map_or(row.not_after, |at| at.min(row.not_after))
}

/// Returns what time makes of a row.
pub(crate) fn fate(row: &KeyPackageMetadata, clocks: Clocks) -> Fate {
    let end = end(row);
    match row.lifecycle {
        Lifecycle::Joining { .. } => Fate::Stays,
        Lifecycle::Failed | Lifecycle::Expired => Fate::Goes,
        _ if clocks.both_passed(end) => Fate::Goes,
        Lifecycle::Superseded { delete_at } if clocks.passed(delete_at) => Fate::Goes,
        // Rows of used packages have no key.
        Lifecycle::Spent => Fate::Stays,
        _ if clocks.own < end => Fate::Stays,
        _ => Fate::Waits,
    }
}

impl Policy {
    /// A grace period begins, which ends with the package at the latest. A clock that is behind does not shorten it.
    pub(crate) fn superseded(&self, row: &KeyPackageMetadata, clocks: Clocks) -> Lifecycle {
        let delete_at = clocks.latest().plus(self.keep_old).min(end(row));
        Lifecycle::Superseded { delete_at }
    }

    /// Goes on with a time in which the client's clock alone says that packages are over. One that was not looked at for a
    /// whole grace period begins anew, since the clock may have been set.
    pub(crate) fn goes_on(&self, alone: Option<Alone>, now: Timestamp) -> Alone {
        let awake = |alone: &Alone| alone.seen.minus(self.skew) <= now && now <= alone.seen.plus(self.keep_old);
        Alone::new(alone.filter(awake).map_or(now, |alone| alone.since), now)
    }

    /// When the key of a package goes that the client's clock alone has passed: one grace period after it did.
    pub(crate) fn gone_at(&self, row: &KeyPackageMetadata, alone: Alone) -> Timestamp {
        alone.since.max(end(row)).plus(self.keep_old)
    }

    /// Where a row stands, now that the server said where its package does.
    ///
    /// What was handed out keeps its key until its `not_after`: a Welcome may be under way.
    pub(crate) fn after_sync(&self, row: &KeyPackageMetadata, status: Option<Status>, clocks: Clocks) -> Lifecycle {
        use Lifecycle::{Available, Created, Reserved};
        match (row.lifecycle, status) {
            (Created | Available | Reserved, Some(status)) => match status {
                // A last resort that was used stays so: it is to be replaced.
                Status::LastResort { used: false } if row.lifecycle == Reserved => Reserved,
                Status::Available | Status::NotYetValid | Status::LastResort { used: false } => Available,
                Status::Reserved { .. } | Status::LastResort { used: true } | Status::Expired => Reserved,
                Status::Spent { cause, .. } => match cause {
                    Cause::Used | Cause::Retired => Reserved,
                    Cause::Withdrawn | Cause::Replaced => self.superseded(row, clocks),
                    // Somebody may have it.
                    _ => Reserved,
                },
                // Of a later release: it may have been handed out.
                _ => row.lifecycle,
            },
            // A last resort that was used, and that the server lost, is missing: it is replaced at once (`POOL-10`).
            (_, None) if row.role.is_last_resort() && row.lifecycle == Reserved => self.superseded(row, clocks),
            // What was handed out never goes up again (`POOL-9`).
            (Created | Available, None) if row.reserved_at.is_some() => Reserved,
            // The server lost it: the same package goes up again (`POOL-3`).
            (Available, None) => Created,
            (unchanged, _) => unchanged,
        }
    }

    /// Returns where a row stands, now that the server told the outcome of its upload. `first`: nothing named the package
    /// before this upload.
    pub(crate) fn after_upload(
        &self,
        row: &KeyPackageMetadata,
        outcome: UploadOutcome,
        first: bool,
        clocks: Clocks,
    ) -> Lifecycle {
        match outcome {
            UploadOutcome::Saved | UploadOutcome::AlreadyStored => Lifecycle::Available,
            // An earlier upload arrived, and somebody has the package; a last resort was replaced since.
            UploadOutcome::AlreadySpent if row.role.is_last_resort() => self.superseded(row, clocks),
            UploadOutcome::AlreadySpent => Lifecycle::Reserved,
            // Later, the server may take it.
            UploadOutcome::PoolFull | UploadOutcome::NotTried => Lifecycle::Created,
            UploadOutcome::Refused(Refusal::NotYetValid) if !clocks.is_ahead(row, self.skew) => Lifecycle::Created,
            // An outcome that this release does not know counts as refused.
            refused if first && row.uploaded_at.is_none() => match refused {
                UploadOutcome::Refused(Refusal::Expired) => Lifecycle::Expired,
                _ => Lifecycle::Failed,
            },
            // It was up, or may have been, and the server lost it since: a Welcome may be under way (`POOL-9`).
            _ => self.superseded(row, clocks),
        }
    }

    /// When a package should have a successor: in the last tenth of its lifetime, so that a pool made in one batch does
    /// not expire in one moment; a last resort also when its rotation is due.
    pub(crate) fn stale_at(&self, row: &KeyPackageMetadata) -> Timestamp {
        let lifetime = row.not_after.get().saturating_sub(row.created_at.get()).max(0);
        let stale_at = row.not_after.minus(lifetime.unsigned_abs() / 10);
        if row.role.is_last_resort() {
            stale_at.min(row.created_at.plus(self.rotate_every))
        } else {
            stale_at
        }
    }
}

/// Returns whether the server holds the package, or may hold it: such packages count towards the cap (`POOL-1`).
pub(crate) fn is_held(row: &KeyPackageMetadata) -> bool {
    matches!(row.lifecycle, Lifecycle::Created | Lifecycle::Available)
}

/// Returns whether the server would hand the package out.
pub(crate) fn is_handed_out(status: Option<Status>) -> bool {
    matches!(
        status,
        Some(Status::Available | Status::NotYetValid | Status::LastResort { .. })
    )
}

/// Returns whether no upload ever named the package, so that nobody can have it (`POOL-9`).
pub(crate) fn was_never_offered(row: &KeyPackageMetadata) -> bool {
    row.offered_at.is_none() && row.uploaded_at.is_none()
}

/// Returns whether a Welcome was processed with the package, so that its key is over.
pub(crate) fn is_used(row: &KeyPackageMetadata) -> bool {
    row.lifecycle == Lifecycle::Spent && !row.role.is_last_resort()
}

/// A package as it stands when a Welcome was processed with it. A last resort keeps its key, and is to be replaced.
pub(crate) fn used(row: &KeyPackageMetadata) -> Lifecycle {
    match row.lifecycle {
        superseded @ Lifecycle::Superseded { .. } if row.role.is_last_resort() => superseded,
        _ if row.role.is_last_resort() => Lifecycle::Reserved,
        _ => Lifecycle::Spent,
    }
}

/// A package as it stands when a join with it failed. It was handed out, also where the answer to its upload was lost or
/// an earlier join died.
pub(crate) fn unused(row: &KeyPackageMetadata) -> Lifecycle {
    match row.lifecycle {
        Lifecycle::Created | Lifecycle::Joining { .. } => Lifecycle::Reserved,
        before => before,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// POOL-8: what a clock said before it was set counts for nothing. Within the skew it was not set.
    #[test]
    fn a_clock_that_was_set_begins_anew() {
        let policy = Policy {
            plans: BTreeMap::new(),
            rotate_every: 1_000,
            keep_old: 100,
            skew: 10,
        };
        let [begin, seen] = [1_000, 1_050].map(|at| Timestamp::MIN.plus(at));
        let since = |now| policy.goes_on(Some(Alone::new(begin, seen)), now).since;
        for now in [seen.minus(10), seen, seen.plus(100)] {
            assert_eq!(since(now), begin);
        }
        for now in [seen.minus(11), begin.plus(1), seen.plus(101)] {
            assert_eq!(since(now), now);
        }
    }
}
