use crate::protocol::PoolStatus;
use crate::{KeyPackageRef, Role, Status, Timestamp};

/// Answers a client that names its KeyPackages ([DIR-6](crate::contract::DIR_6)).
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct SyncReport {
    /// The status of each KeyPackage that the client named, in order; `None` where the server has no record: never
    /// uploaded, or expired and swept.
    pub yours: Vec<Option<Status>>,
    /// The KeyPackages that the server would hand out and the client did not name: available one-time packages, and last
    /// resorts in their slots. A client withdraws those without a key: whoever gets one cannot add the client.
    pub unknown_to_you: Vec<HeldKeyPackage>,
    /// The status of the pool.
    pub status: PoolStatus,
    /// The server's time when it answered. `None` if the server does not say.
    #[cfg_attr(feature = "serde", serde(default))]
    pub server_time: Option<Timestamp>,
    /// The server refuses KeyPackages whose lifetime began before this moment, since it was restored from a backup.
    /// `None`: it refuses none for that.
    #[cfg_attr(feature = "serde", serde(default))]
    pub restore_point: Option<Timestamp>,
}

impl SyncReport {
    /// Joins what a delivery service tells a client, without the server's time and without a restore point.
    #[must_use]
    pub const fn new(yours: Vec<Option<Status>>, unknown_to_you: Vec<HeldKeyPackage>, status: PoolStatus) -> Self {
        Self {
            yours,
            unknown_to_you,
            status,
            server_time: None,
            restore_point: None,
        }
    }

    /// Sets the server's time. Default: not said.
    #[must_use]
    pub fn server_time(self, now: Timestamp) -> Self {
        Self {
            server_time: Some(now),
            ..self
        }
    }

    /// Sets the restore point. Default: none.
    #[must_use]
    pub fn restore_point(self, at: Option<Timestamp>) -> Self {
        Self {
            restore_point: at,
            ..self
        }
    }
}

/// Names a KeyPackage that a server would hand out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct HeldKeyPackage {
    /// The KeyPackage's name within its pool.
    pub key_package_ref: KeyPackageRef,
    /// Whether the KeyPackage is the last resort.
    pub role: Role,
    /// When the KeyPackage was first saved, by the server's clock.
    pub saved_at: Timestamp,
}

impl HeldKeyPackage {
    /// Names a KeyPackage that was first saved at this moment.
    #[must_use]
    pub const fn new(key_package_ref: KeyPackageRef, role: Role, saved_at: Timestamp) -> Self {
        Self {
            key_package_ref,
            role,
            saved_at,
        }
    }
}
