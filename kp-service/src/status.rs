use std::collections::BTreeMap;

use kp_core::{Ciphersuite, Counts, KeyPackageRef, Status};

/// How a pool is doing, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum Health {
    /// More one-time packages are available than the low-water mark.
    Good,
    /// As many as the low-water mark, or fewer: upload soon.
    Low,
    /// None: who asks gets the last resort, or nothing. Upload now.
    Exhausted,
    /// The last-resort package was handed out, whatever is available now: upload, and replace it by a new one.
    LastResortUsed,
}

/// How one ciphersuite of a pool is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CiphersuiteStatus {
    /// In a word.
    pub health: Health,
    /// Where the packages stand.
    pub counts: Counts,
    /// How many one-time packages the owner may upload until the cap is reached.
    pub upload: u32,
    /// How many of those available expire within the directory's `expiring_soon`.
    pub expiring_soon: u32,
}

impl CiphersuiteStatus {
    pub(crate) fn new(counts: Counts, expiring_soon: u32, cap: u32, low_below: u8) -> Self {
        let health = if counts.last_resort == Some(true) {
            Health::LastResortUsed
        } else if counts.available == 0 {
            Health::Exhausted
        } else if u64::from(counts.available) * 100 <= u64::from(cap) * u64::from(low_below) {
            Health::Low
        } else {
            Health::Good
        };
        let held = counts.available + counts.reserved + counts.not_yet_valid;
        Self {
            health,
            counts,
            upload: cap.saturating_sub(held),
            expiring_soon,
        }
    }
}

/// How a pool is doing, by ciphersuite. A pool never seen has no ciphersuites.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct PoolStatus {
    /// Every ciphersuite of which the pool has a record.
    pub suites: BTreeMap<Ciphersuite, CiphersuiteStatus>,
}

impl PoolStatus {
    /// That of the ciphersuite that is worst off; an empty pool is exhausted.
    #[must_use]
    pub fn health(&self) -> Health {
        let worst = self.suites.values().map(|suite| suite.health).max();
        worst.unwrap_or(Health::Exhausted)
    }
}

/// What client and server tell each other about a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SyncReport {
    /// What became of the packages that the client named, in order; `None` where the server has no record: never
    /// uploaded, or expired and swept.
    pub yours: Vec<Option<Status>>,
    /// The available packages that the client did not name. Where it has no key for them, it should remove them: whoever
    /// gets one cannot add the client.
    pub unknown_to_you: Vec<KeyPackageRef>,
    /// How the pool is doing.
    pub status: PoolStatus,
}
