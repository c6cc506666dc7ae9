use crate::Timestamp;
use crate::client::LeaseHolder;

/// Says whose a join is, so that the other processes over the storage leave its packages alone
/// ([POOL-7](crate::contract::POOL_7)).
///
/// The type is not `non_exhaustive`: a store has to notice a new field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct JoinMark {
    /// The process that joins.
    pub holder: LeaseHolder,
    /// When the join has ended or died.
    pub until: Timestamp,
}
