use std::collections::BTreeMap;

use crate::{Ciphersuite, Counts};

/// Grades a pool or one of its ciphersuites, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Health {
    /// At least as many one-time packages are available as the low-water mark.
    Good,
    /// The last-resort package was never handed out, and there never was a one-time package that could still be used.
    /// Whether one-time packages are missing depends on the client's plan.
    LastResortOnly,
    /// Fewer one-time packages are available than the low-water mark: upload soon.
    Low,
    /// No one-time package is available: whoever asks gets the last resort, or nothing. Upload now.
    Exhausted,
    /// The last-resort package was handed out, whatever is available now: upload, and replace the last resort.
    LastResortUsed,
    /// A health that this release does not know.
    #[cfg_attr(feature = "serde", serde(other))]
    Unknown,
}

/// Tells an owner how one ciphersuite of a pool is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct CiphersuiteStatus {
    /// The health in a word.
    pub health: Health,
    /// How many packages have which status.
    pub counts: Counts,
    /// How many one-time packages the owner may upload: what the ciphersuite's cap leaves, and at most the pool's
    /// [`room`](PoolStatus::room), which all ciphersuites share.
    pub upload: u32,
    /// How many of the available packages expire within the directory's `expiring_soon`.
    pub expiring_soon: u32,
}

impl CiphersuiteStatus {
    /// Joins what a delivery service tells of one ciphersuite.
    #[must_use]
    pub const fn new(health: Health, counts: Counts, upload: u32, expiring_soon: u32) -> Self {
        Self {
            health,
            counts,
            upload,
            expiring_soon,
        }
    }
}

/// Tells an owner how a pool is doing. A pool that was never seen has no ciphersuites.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct PoolStatus {
    /// Every ciphersuite of which the pool has a record.
    pub ciphersuites: BTreeMap<Ciphersuite, CiphersuiteStatus>,
    /// How many one-time packages the pool's memory still takes, whatever their ciphersuite
    /// ([SAVE-6](crate::contract::SAVE_6)). A peer that does not say counts as one with room.
    #[cfg_attr(feature = "serde", serde(default = "unlimited"))]
    pub room: u32,
}

#[cfg(feature = "serde")]
const fn unlimited() -> u32 {
    u32::MAX
}

impl PoolStatus {
    /// Joins the status of each ciphersuite and the room that they share.
    #[must_use]
    pub const fn new(ciphersuites: BTreeMap<Ciphersuite, CiphersuiteStatus>, room: u32) -> Self {
        Self { ciphersuites, room }
    }

    /// Returns the health of the ciphersuite that is worst off; an empty pool is exhausted.
    #[must_use]
    pub fn health(&self) -> Health {
        let worst = self.ciphersuites.values().map(|status| status.health).max();
        worst.unwrap_or(Health::Exhausted)
    }

    /// Returns whether the pool remembers as many one-time packages as it can, used ones included. No upload of a
    /// one-time package is taken until a remembered package expires. The last resort can still be replaced.
    #[must_use]
    pub const fn is_memory_full(&self) -> bool {
        self.room == 0
    }
}
