use std::collections::BTreeMap;

use crate::{Ciphersuite, Timestamp};

/// Says where a package stands: the first of `Expired`, `Spent`, `LastResort`, `Reserved`, `NotYetValid` and
/// `Available` that applies ([READ-3](crate::contract::READ_3)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Status {
    /// One-time, and can be handed out now.
    Available,
    /// One-time and free, but the `not_before` has not come.
    NotYetValid,
    /// Leased. Also a package that was withdrawn or retired during the lease: the lease's id may still spend the
    /// package ([DEL-3](crate::contract::DEL_3)).
    Reserved {
        /// When the lease ends.
        until: Timestamp,
    },
    /// Never handed out again.
    Spent {
        /// When the package was spent.
        at: Timestamp,
        /// Why the package is spent.
        cause: Cause,
    },
    /// Past its `not_after`, and not swept yet.
    Expired,
    /// In the last-resort slot of its ciphersuite.
    LastResort {
        /// Whether the package was handed out, or may have been ([LAST-4](crate::contract::LAST_4),
        /// [DEL-2](crate::contract::DEL_2)).
        used: bool,
    },
}

/// Says why a package is spent. Every cause is final, and remembered until the package's `not_after`.
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
    /// The lease lapsed under [`OnLapse::Retire`](crate::server::OnLapse::Retire), or a backup was restored
    /// ([DEL-2](crate::contract::DEL_2)).
    Retired,
    /// The owner withdrew the package ([DEL-3](crate::contract::DEL_3)), or replaced the package by a
    /// [`Replace`](crate::server::SaveMode::Replace) ([SAVE-8](crate::contract::SAVE_8)).
    Withdrawn,
    /// Another package took the last-resort slot ([LAST-1](crate::contract::LAST_1)).
    Replaced,
}

/// Shows the last-resort slot of one ciphersuite to the owner ([LAST-4](crate::contract::LAST_4)).
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
    /// The last-resort package was handed out, or may have been ([DEL-2](crate::contract::DEL_2)).
    Used,
}

impl Slot {
    /// Returns the slot of a last-resort package that was used or not.
    #[must_use]
    pub const fn of(used: bool) -> Self {
        if used { Self::Used } else { Self::Unused }
    }
}

/// Counts the records of one ciphersuite by status. The counts add up to all records of the ciphersuite
/// ([READ-3](crate::contract::READ_3)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
pub struct Counts {
    /// One-time packages that can be handed out now.
    pub available: u32,
    /// Packages that are leased, recalled ones included.
    pub reserved: u32,
    /// How many of the reserved packages are recalled: they never return to the pool.
    pub recalled: u32,
    /// Packages that are never handed out again, and remembered.
    pub spent: u32,
    /// How many of the spent packages were last-resort packages.
    pub spent_last_resorts: u32,
    /// One-time packages that are free, and not valid yet.
    pub not_yet_valid: u32,
    /// Packages past their `not_after`, and not swept yet.
    pub expired: u32,
    /// The last-resort slot of the ciphersuite.
    pub last_resort: Slot,
}

impl Counts {
    /// Returns the number of all records.
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

    /// Returns the number of one-time packages that the pool remembers, in any state
    /// ([SAVE-6](crate::contract::SAVE_6)). An expired package is no longer remembered.
    #[must_use]
    pub fn remembered_one_time(&self) -> u32 {
        self.available + self.not_yet_valid + self.reserved + (self.spent.saturating_sub(self.spent_last_resorts))
    }
}

/// Counts the records of a pool, in one snapshot ([READ-3](crate::contract::READ_3)).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
pub struct PoolCounts {
    /// The counts of every ciphersuite of which the pool has a record.
    pub ciphersuites: BTreeMap<Ciphersuite, Counts>,
    /// How many one-time packages the pool's memory still takes, whatever their ciphersuite
    /// ([SAVE-6](crate::contract::SAVE_6)).
    pub room: u32,
}

impl PoolCounts {
    /// Joins the counts of a pool whose memory takes `max_records` one-time packages.
    #[must_use]
    pub fn new(ciphersuites: BTreeMap<Ciphersuite, Counts>, max_records: u32) -> Self {
        let remembered: u32 = ciphersuites.values().map(Counts::remembered_one_time).sum();
        Self {
            ciphersuites,
            room: max_records.saturating_sub(remembered),
        }
    }

    /// Returns the counts of one ciphersuite; all 0 when the pool has no record of it.
    #[must_use]
    pub fn of(&self, ciphersuite: Ciphersuite) -> Counts {
        self.ciphersuites.get(&ciphersuite).copied().unwrap_or_default()
    }
}
