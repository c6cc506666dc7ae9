use crate::{KeyPackageBytes, KeyPackageInfo, Status};

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
