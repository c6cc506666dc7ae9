use crate::KeyPackageRef;

/// What an owner withdraws (`DEL-3`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Withdrawal {
    /// These.
    Refs(Vec<KeyPackageRef>),
    /// All unspent ones, last resort included.
    All,
}

/// What a withdrawal did to one package (`DEL-3`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum WithdrawOutcome {
    /// Nobody gets it any more, except who holds a live lease on it.
    Withdrawn,
    /// Too late.
    AlreadySpent,
    /// Unknown, or past its `not_after`.
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
