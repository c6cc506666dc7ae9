use crate::{GroupId, KeyPackageRef, Party, Timestamp};

/// Says what the record of a used KeyPackage may remember. Default: nothing ([PRIV-1](crate::contract::PRIV_1)).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct Spend {
    /// The group that the KeyPackage was used for.
    pub group: Option<GroupId>,
    /// The party that spends.
    pub by: Option<Party>,
}

impl Spend {
    /// Lets the record remember nothing but that the KeyPackage is used.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the group that the KeyPackage was used for.
    #[must_use]
    pub fn group(self, group: GroupId) -> Self {
        Self {
            group: Some(group),
            ..self
        }
    }

    /// Sets the party that spends.
    #[must_use]
    pub fn by(self, party: Party) -> Self {
        Self {
            by: Some(party),
            ..self
        }
    }
}

/// Proves that a KeyPackage is spent. The same spend again gets the same receipt ([SPEND-3](crate::contract::SPEND_3)).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Receipt {
    /// The KeyPackage.
    pub key_package_ref: KeyPackageRef,
    /// When the KeyPackage was spent.
    pub spent_at: Timestamp,
}

impl Receipt {
    /// Says that this KeyPackage was spent at this moment.
    #[must_use]
    pub const fn new(key_package_ref: KeyPackageRef, spent_at: Timestamp) -> Self {
        Self {
            key_package_ref,
            spent_at,
        }
    }
}
