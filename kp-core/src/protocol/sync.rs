use crate::protocol::PoolStatus;
use crate::{KeyPackageRef, Status};

/// Answers a client that names its KeyPackages.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct SyncReport {
    /// The status of each KeyPackage that the client named, in order; `None` where the server has no record: never
    /// uploaded, or expired and swept.
    pub yours: Vec<Option<Status>>,
    /// The available KeyPackages that the client did not name. A client withdraws those without a key: whoever gets one
    /// cannot add the client.
    pub unknown_to_you: Vec<KeyPackageRef>,
    /// The status of the pool.
    pub status: PoolStatus,
}

impl SyncReport {
    /// Joins what a delivery service tells a client.
    #[must_use]
    pub const fn new(yours: Vec<Option<Status>>, unknown_to_you: Vec<KeyPackageRef>, status: PoolStatus) -> Self {
        Self {
            yours,
            unknown_to_you,
            status,
        }
    }
}
