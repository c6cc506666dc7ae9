use crate::{KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Timestamp};

/// Where a package stands: the first of `Expired`, `Spent`, `LastResort`, `Reserved`, `NotYetValid` and `Available` that
/// applies (`READ-3`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum Status {
    /// Can be handed out now.
    Available,
    /// Free, and its `not_before` has not come.
    NotYetValid,
    /// Leased, also when it was withdrawn or retired meanwhile: its id may still spend it (`DEL-3`).
    Reserved {
        /// The lease's end.
        until: Timestamp,
    },
    /// Never handed out again.
    Spent {
        /// Since when.
        at: Timestamp,
        /// Why.
        cause: Cause,
    },
    /// Past its `not_after`, and not swept yet.
    Expired,
    /// In the last-resort slot of its ciphersuite.
    LastResort {
        /// Whether it was handed out, or may have been (`LAST-4`, `DEL-2`).
        used: bool,
    },
}

/// Why a package is spent. All are final, and remembered until its `not_after`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum Cause {
    /// Spent by its reservation, or claimed.
    Used,
    /// Its lease lapsed under [`OnLapse::Retire`](crate::OnLapse::Retire), or a backup was restored (`DEL-2`).
    Retired,
    /// Its owner withdrew it, or replaced it by a [`Replace`](crate::SaveMode::Replace) (`DEL-3`, `SAVE-8`).
    Withdrawn,
    /// Another took its last-resort slot (`LAST-1`).
    Replaced,
}

/// One record of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKeyPackage {
    /// The facts about the package.
    pub info: KeyPackageInfo,
    /// Where it stands.
    pub status: Status,
    /// The package itself, while it is unspent (`READ-4`).
    pub bytes: Option<KeyPackageBytes>,
}

/// How many records of one ciphersuite stand where; together they are all its records (`READ-3`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Counts {
    /// Can be handed out now.
    pub available: u32,
    /// Leased.
    pub reserved: u32,
    /// Never handed out again, and remembered.
    pub spent: u32,
    /// Free, and not valid yet.
    pub not_yet_valid: u32,
    /// Past their `not_after`, and not swept yet.
    pub expired: u32,
    /// The last-resort package, if there is one: whether it was used.
    pub last_resort: Option<bool>,
}

impl Counts {
    /// All records.
    #[must_use]
    pub fn total(&self) -> u32 {
        let one_time = [
            self.available,
            self.reserved,
            self.spent,
            self.not_yet_valid,
            self.expired,
        ];
        one_time.iter().sum::<u32>() + u32::from(self.last_resort.is_some())
    }

    /// Counts one more record.
    pub fn add(&mut self, status: Status) {
        match status {
            Status::Available => self.available += 1,
            Status::NotYetValid => self.not_yet_valid += 1,
            Status::Reserved { .. } => self.reserved += 1,
            Status::Spent { .. } => self.spent += 1,
            Status::Expired => self.expired += 1,
            Status::LastResort { used } => self.last_resort = Some(used),
        }
    }
}

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
pub enum WithdrawOutcome {
    /// Nobody gets it any more, except who holds a live lease on it.
    Withdrawn,
    /// Too late.
    AlreadySpent,
    /// Unknown, or past its `not_after`.
    NotFound,
}

/// A part of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; `None` when this is the last.
    pub next: Option<Cursor>,
}

/// A place in a listing: opaque bytes, for the call that gave them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cursor(pub Vec<u8>);
