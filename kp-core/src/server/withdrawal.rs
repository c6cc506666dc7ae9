use crate::KeyPackageRef;

/// Says which packages an owner withdraws ([DEL-3](crate::contract::DEL_3)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Withdrawal {
    /// Withdraws the packages of these refs.
    Refs(Vec<KeyPackageRef>),
    /// Withdraws all unspent packages, last-resort packages included.
    All,
}

/// Says what a withdrawal did to one package ([DEL-3](crate::contract::DEL_3)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum WithdrawOutcome {
    /// Withdrawn: nobody gets the package any more, except the holder of a live lease.
    Withdrawn,
    /// Too late: the package was used, retired or replaced before.
    AlreadySpent,
    /// Not found: the pool has no record of the package, or the package is past its `not_after`.
    NotFound,
}

impl WithdrawOutcome {
    /// Names the outcome, for protocols and logs. A name never changes once released.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Withdrawn => "withdrawn",
            Self::AlreadySpent => "already_spent",
            Self::NotFound => "not_found",
        }
    }
}
