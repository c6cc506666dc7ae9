use crate::{KeyPackageBytes, KeyPackageInfo, Status, Timestamp};

/// Shows one record of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredKeyPackage {
    /// The facts about the package.
    pub info: KeyPackageInfo,
    /// The status of the package.
    pub status: Status,
    /// The bytes, while the package is unspent ([READ-4](crate::contract::READ_4)).
    pub bytes: Option<KeyPackageBytes>,
}

impl StoredKeyPackage {
    /// Describes a record; `bytes` are there while the KeyPackage is unspent.
    #[must_use]
    pub const fn new(info: KeyPackageInfo, status: Status, bytes: Option<KeyPackageBytes>) -> Self {
        Self { info, status, bytes }
    }
}

/// Shows a package that could be handed out now: an available one-time package, or a last resort in its slot.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadyKeyPackage {
    /// The facts about the package, its role among them.
    pub info: KeyPackageInfo,
    /// When the package was first saved.
    pub saved_at: Timestamp,
}

impl ReadyKeyPackage {
    /// Describes a package that was first saved at this moment.
    #[must_use]
    pub const fn new(info: KeyPackageInfo, saved_at: Timestamp) -> Self {
        Self { info, saved_at }
    }
}
