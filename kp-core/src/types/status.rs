use crate::Timestamp;

/// Where a package stands: the first of `Expired`, `Spent`, `LastResort`, `Reserved`, `NotYetValid` and `Available` that
/// applies (`READ-3`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
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
#[non_exhaustive]
pub enum Cause {
    /// Spent by its reservation, or claimed.
    Used,
    /// Its lease lapsed under [`OnLapse::Retire`](crate::server::OnLapse::Retire), or a backup was restored (`DEL-2`).
    Retired,
    /// Its owner withdrew it, or replaced it by a [`Replace`](crate::server::SaveMode::Replace) (`DEL-3`, `SAVE-8`).
    Withdrawn,
    /// Another took its last-resort slot (`LAST-1`).
    Replaced,
}

/// The last-resort slot of one ciphersuite, as its owner sees it (`LAST-4`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum Slot {
    /// The pool has no last-resort package of the ciphersuite.
    #[default]
    Empty,
    /// The last-resort package was never handed out.
    Unused,
    /// The last-resort package was handed out, or may have been (`DEL-2`).
    Used,
}

impl Slot {
    /// Returns the slot of a last-resort package that was used or not.
    #[must_use]
    pub const fn of(used: bool) -> Self {
        if used { Self::Used } else { Self::Unused }
    }
}

/// How many records of one ciphersuite stand where; together they are all its records (`READ-3`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
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
    /// The last-resort slot of the ciphersuite.
    pub last_resort: Slot,
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
        one_time.iter().sum::<u32>() + u32::from(self.last_resort != Slot::Empty)
    }

    /// Counts one more record.
    pub fn add(&mut self, status: Status) {
        match status {
            Status::Available => self.available += 1,
            Status::NotYetValid => self.not_yet_valid += 1,
            Status::Reserved { .. } => self.reserved += 1,
            Status::Spent { .. } => self.spent += 1,
            Status::Expired => self.expired += 1,
            Status::LastResort { used } => self.last_resort = Slot::of(used),
        }
    }
}
