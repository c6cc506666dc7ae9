use kp_core::rules::Answer;
use kp_core::server::{Lease, ReadyKeyPackage, Receipt, Reservation, SaveOutcome, StoredKeyPackage, WithdrawOutcome};
use kp_core::{KeyPackage, KeyPackageInfo, KeyPackageRef, PoolCounts, PoolId, Status};

/// What a call was answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reply {
    Saved(Vec<SaveOutcome>),
    Reserved(Answer<Reservation>),
    ReservedMany(Vec<Answer<Reservation>>),
    Claimed(Answer<KeyPackage>),
    Spent(Answer<Receipt>),
    Released(Answer<()>),
    Renewed(Answer<Lease>),
    Withdrawn(Vec<(KeyPackageRef, WithdrawOutcome)>),
    Deleted,
    /// How many records a sweep or a retirement dealt with.
    Swept(u64),
    Got(Option<StoredKeyPackage>),
    Statuses(Vec<Option<Status>>),
    Listed(Vec<KeyPackageInfo>),
    Ready(Vec<ReadyKeyPackage>),
    Counted(PoolCounts),
    Pools(Vec<PoolId>),
    /// A page or a step that went beyond its limit: what the rules never answer.
    TooMany,
    /// So many pages or steps, or a cursor given twice, without an end: what the rules never answer.
    Endless {
        steps: u64,
    },
    /// A failure that says that nothing was done (`ERR-1`).
    NotApplied,
}
