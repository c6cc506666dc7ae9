use kp_core::protocol::UploadOutcome;
use kp_core::{KeyPackageRef, Timestamp};

/// Reports what a [`refresh`](crate::KeyPackagePool::refresh) did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RefreshReport {
    /// How many KeyPackages were made.
    pub generated: u32,
    /// How many KeyPackages the server took, those of an earlier upload whose answer was lost included.
    pub uploaded: u32,
    /// The KeyPackages that the server did not take, and why. What the server may take later goes out again. Of the rest,
    /// what was up before, or may have been, keeps its key for the grace period, and what certainly was not is deleted.
    pub refused: Vec<(KeyPackageRef, UploadOutcome)>,
    /// How many KeyPackages are no longer handed out, and keep their keys for the grace period.
    pub superseded: u32,
    /// How many KeyPackages were withdrawn from the server: no key, an old credential, a ciphersuite no longer planned.
    pub withdrawn: u32,
    /// How many KeyPackages lost their row, and their key before it: expired, past their grace period, refused, or never offered and of no more use.
    pub deleted: u32,
    /// How many joins had died, whose keys are there again, and how many KeyPackages had lost their row.
    pub recovered: u32,
    /// How many rows had no key, and were deleted: a process died before it stored the key, or the keys were lost.
    pub lost: u32,
    /// When the next refresh is due, if nothing happens until then: something expires, or is to be rotated or deleted.
    pub next_at: Option<Timestamp>,
}
