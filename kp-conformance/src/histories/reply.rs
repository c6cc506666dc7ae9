use std::collections::BTreeMap;

use kp_core::rules::Answer;
use kp_core::{
    Ciphersuite, Counts, KeyPackageRef, Package, PackageInfo, PoolId, Receipt, Removed, Reserved, SaveOutcome, Status,
    Stored,
};

/// What a call was answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reply {
    Saved(Vec<SaveOutcome>),
    Reserved(Answer<Reserved>),
    ReservedMany(Vec<Answer<Reserved>>),
    Claimed(Answer<Package>),
    Spent(Answer<Receipt>),
    Released(Answer<()>),
    Withdrawn(Vec<(KeyPackageRef, Removed)>),
    Deleted,
    /// How many records a sweep or a retirement dealt with.
    Swept(u64),
    Got(Option<Stored>),
    Statuses(Vec<Option<Status>>),
    Listed(Vec<PackageInfo>),
    Counted(BTreeMap<Ciphersuite, Counts>),
    Pools(Vec<PoolId>),
    /// A page or a step that went beyond its limit: what the rules never answer.
    TooMany,
    /// A failure that says that nothing was done (`ERR-1`).
    NotApplied,
}
