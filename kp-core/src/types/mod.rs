//! Holds the types that server and client share. The crate's root re-exports all of them.

mod clock;
mod error;
pub(crate) mod hex;
mod id_bytes;
mod ids;
mod key_package;
mod status;
mod time;

pub use clock::{Clock, ManualClock};
pub use error::{BackendError, BoxError, Effect, Error, OpenError, Rejection, Result};
pub use ids::{GroupId, InvalidId, KeyPackageRef, Party, PoolId, ReservationId};
pub use key_package::{
    Ciphersuite, CredentialHash, InvalidKeyPackageBytes, KeyPackage, KeyPackageBytes, KeyPackageInfo, Role,
};
pub use status::{Cause, Counts, PoolCounts, Slot, Status};
pub use time::{InvalidLifetime, InvalidTimestamp, InvalidTtl, Lifetime, Timestamp, Ttl};
