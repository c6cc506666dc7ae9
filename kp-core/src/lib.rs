//! The contract of an MLS KeyPackage pool.
//!
//! To add an offline client to an MLS group (RFC 9420), one of its pre-published, single-use KeyPackages is needed. A
//! delivery service keeps a pool of them for each client, and must hand each one out *exactly once*: under concurrency,
//! crashes, retries, expiry and exhaustion. This crate says what that means, in types, and does nothing else: no I/O, no
//! runtime, no clock, no randomness, no MLS library.
//!
//! - [`KeyPackageStore`] is the contract that every backend obeys, rule by rule; [`KeyPackageStoreExt`] adds the calls
//!   for one package.
//! - [`Admission`] turns uploaded bytes into a [`KeyPackage`]: the MLS library's part.
//! - [`PoolMetadataStore`] and [`KeyVault`] are the client's side: the lifecycle of its own packages, and the keys of
//!   them, which stay in the MLS library's storage.
//! - [`rules`] is the state machine itself, for those who write a backend.
//!
//! ```
//! use kp_core::rules::Model;
//! use kp_core::*;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pool = PoolId::try_from("bob/phone")?;
//! let now = Timestamp::try_from(1_700_000_000)?;
//! let package = KeyPackage {
//!     info: KeyPackageInfo {
//!         key_package_ref: KeyPackageRef::try_from("the hash of it")?,
//!         ciphersuite: Ciphersuite(1),
//!         lifetime: Lifetime::new(now, now.plus(86_400))?,
//!         last_resort: false,
//!         credential: CredentialHash([0; 32]),
//!     },
//!     bytes: KeyPackageBytes::try_from(b"a KeyPackage".as_slice())?,
//! };
//!
//! // The model is the reference store: the same calls, without a backend.
//! let mut store = Model::default();
//! assert_eq!(store.save(&Save::new(pool.clone(), vec![package])?, now), [SaveOutcome::Saved]);
//!
//! let minute = Ttl::try_from(60)?;
//! let first = TakeRequest::new(pool.clone(), ReservationId::from_bytes([1; 16]), minute);
//! let second = TakeRequest::new(pool.clone(), ReservationId::from_bytes([2; 16]), minute);
//! let token = store.reserve(&first, OnLapse::Return, now)?.lease.ok_or("a one-time package")?.token;
//! assert_eq!(store.claim(&second, None, now), Err(Rejection::PoolExhausted));
//! store.spend(&token, &Spend::default(), now)?;
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! `serde`: `Serialize` and `Deserialize` for ids, tokens, statuses and times; opaque bytes as lowercase hexadecimal.

pub mod client;
pub mod protocol;
pub mod rules;
pub mod server;
mod types;

pub(crate) use types::hex;
pub use types::{
    BackendError, BoxError, Cause, Ciphersuite, Clock, Counts, CredentialHash, Effect, Error, GroupId, InvalidId,
    InvalidKeyPackageBytes, InvalidLifetime, InvalidTimestamp, InvalidTtl, KeyPackage, KeyPackageBytes, KeyPackageInfo,
    KeyPackageRef, Lifetime, ManualClock, OpenError, Party, PoolId, Rejection, ReservationId, Result, Role, Slot,
    Status, Timestamp, Ttl,
};
