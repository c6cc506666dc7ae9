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
    /// By how many seconds the client's clock is ahead of the server's, or behind if negative, where that is more than the
    /// [`skew`](crate::PoolBuilder::skew). Nothing was made, rotated or deleted on account of time then, unless the server took
    /// a package as a probe: its clock is the wrong one. Ask the person to set the clock.
    pub clock_off: Option<i64>,
    /// The server refused KeyPackages just made, and others would fare no better: none is made before then. The wait doubles
    /// up to a day. A changed plan or credential ends it, and
    /// [`generate_and_update_pool`](crate::KeyPackagePool::generate_and_update_pool) does.
    pub making_waits_until: Option<Timestamp>,
    /// The budget of one-time KeyPackages of a ciphersuite is spent, and regrows its next one then: somebody drains the pool.
    pub budget_spent_until: Option<Timestamp>,
    /// The server was restored from a backup, and takes nothing that is made before then.
    pub restore_point_until: Option<Timestamp>,
    /// Whether the server takes no more one-time KeyPackages for now: the pool or its memory is full.
    pub server_full: bool,
    /// How many KeyPackages have no key here, and were left on the server: another installation puts them up, which has
    /// the same pool. Ask the person, and if this device is the only one, call
    /// [`take_over`](crate::KeyPackagePool::take_over).
    pub other_installation: u32,
    /// Another process of this client runs a round, which ends by then at the latest. This call did nothing.
    pub other_round: Option<Timestamp>,
    /// When the next refresh is due, if nothing happens until then: something expires, or is to be rotated or deleted.
    pub next_at: Option<Timestamp>,
}
