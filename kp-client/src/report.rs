use kp_core::protocol::UploadOutcome;
use kp_core::{KeyPackageRef, Timestamp};

/// What a [`refresh`](crate::KeyPackagePool::refresh) did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RefreshReport {
    /// Packages made.
    pub generated: u32,
    /// Packages that the server took, those of an earlier upload whose answer was lost included.
    pub uploaded: u32,
    /// Packages that it did not take, and why. Those that may be taken later go out again, the others are deleted.
    pub refused: Vec<(KeyPackageRef, UploadOutcome)>,
    /// Packages that are no longer handed out, and whose keys are kept for the grace period (`POOL-5`).
    pub superseded: u32,
    /// Packages that were taken back from the server: no key, an old credential, a ciphersuite no longer planned.
    pub withdrawn: u32,
    /// Packages whose key and row were deleted: spent, expired, past their grace period, refused.
    pub deleted: u32,
    /// Joins that had died, whose keys are there again, and packages that had lost their row (`POOL-3`, `POOL-6`).
    pub recovered: u32,
    /// Rows whose key was gone, and were deleted: a process died before it stored the key, or the keys were lost.
    pub lost: u32,
    /// When a refresh is due, if nothing happens until then: something expires, or is to be rotated or deleted.
    pub next_at: Option<Timestamp>,
}
