use std::collections::BTreeMap;

use kp_core::client::{KeyPackageMetadata, Lifecycle};
use kp_core::protocol::{Refusal, UploadOutcome};
use kp_core::{Cause, Ciphersuite, KeyPackageRef, Status, Timestamp};

use crate::plan::CiphersuitePlan;

/// What a pool should be, and what follows from it: decisions only, nothing is done here.
pub(crate) struct Policy {
    pub(crate) plans: BTreeMap<Ciphersuite, CiphersuitePlan>,
    pub(crate) rotate_every: u64,
    pub(crate) keep_old: u64,
}

impl Policy {
    pub(crate) fn superseded(&self, now: Timestamp) -> Lifecycle {
        let delete_at = now.plus(self.keep_old);
        Lifecycle::Superseded { delete_at }
    }

    /// Where a row stands, now that the server said where its package does.
    ///
    /// What was handed out keeps its key until its `not_after`: a Welcome may be under way.
    pub(crate) fn after_sync(&self, row: &KeyPackageMetadata, status: Option<Status>, now: Timestamp) -> Lifecycle {
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
                    // Somebody may have it.
                    _ => Reserved,
                },
                // Of a later release: it may have been handed out.
                _ => row.lifecycle,
            },
            // What was handed out never goes up again (`POOL-9`).
            (Created | Available, None) if row.reserved_at.is_some() => Reserved,
            // The server lost it: the same package goes up again (`POOL-3`).
            (Available, None) => Created,
            (unchanged, _) => unchanged,
        }
    }

    /// Whether the server would hand out what is no longer to be handed out: it was restored from a backup.
    pub(crate) fn is_stray(row: &KeyPackageMetadata, status: Option<Status>) -> bool {
        let superseded = matches!(row.lifecycle, Lifecycle::Superseded { .. });
        superseded
            && matches!(
                status,
                Some(Status::Available | Status::NotYetValid | Status::LastResort { .. })
            )
    }

    /// Returns where a row stands, now that the server told the outcome of its upload. `first`: nothing named the package
    /// before this upload.
    pub(crate) fn after_upload(
        &self,
        row: &KeyPackageMetadata,
        outcome: UploadOutcome,
        first: bool,
        now: Timestamp,
    ) -> Lifecycle {
        match outcome {
            UploadOutcome::Saved | UploadOutcome::AlreadyStored => Lifecycle::Available,
            // An earlier upload arrived, and somebody has the package; a last resort was replaced since.
            UploadOutcome::AlreadySpent if row.role.is_last_resort() => self.superseded(now),
            UploadOutcome::AlreadySpent => Lifecycle::Reserved,
            // Later, the server may take it.
            UploadOutcome::PoolFull | UploadOutcome::NotTried | UploadOutcome::Refused(Refusal::NotYetValid) => {
                Lifecycle::Created
            }
            // An outcome that this release does not know counts as refused.
            refused if first && row.uploaded_at.is_none() => match refused {
                UploadOutcome::Refused(Refusal::Expired) => Lifecycle::Expired,
                _ => Lifecycle::Failed,
            },
            // It was up, or may have been, and the server lost it since: a Welcome may be under way (`POOL-9`).
            _ => self.superseded(now),
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

/// Returns whether no upload ever named the package, so that nobody can have it (`POOL-9`).
pub(crate) fn was_never_offered(row: &KeyPackageMetadata) -> bool {
    row.offered_at.is_none() && row.uploaded_at.is_none()
}

/// A package as it stands when a Welcome was processed with it. A last resort keeps its key, and is to be replaced.
pub(crate) fn used(row: &KeyPackageMetadata) -> (KeyPackageRef, Lifecycle) {
    let to = match row.lifecycle {
        superseded @ Lifecycle::Superseded { .. } if row.role.is_last_resort() => superseded,
        _ if row.role.is_last_resort() => Lifecycle::Reserved,
        _ => Lifecycle::Spent,
    };
    (row.key_package_ref.clone(), to)
}

/// A package as it stands when a join with it failed. It was handed out, also where the answer to its upload was lost or
/// an earlier join died.
pub(crate) fn unused(row: &KeyPackageMetadata) -> (KeyPackageRef, Lifecycle) {
    let to = match row.lifecycle {
        Lifecycle::Created | Lifecycle::Joining { .. } => Lifecycle::Reserved,
        before => before,
    };
    (row.key_package_ref.clone(), to)
}
