//! The contract of an MLS KeyPackage pool.
//!
//! To add an offline client to an MLS group (RFC 9420), one of its pre-published, single-use KeyPackages is needed. A
//! delivery service keeps a pool of them for each client, and must hand each one out *exactly once*: under concurrency,
//! crashes, retries, expiry and exhaustion. This crate says what that means, in types, and does nothing else: no I/O, no
//! runtime, no clock, no randomness, no MLS library.
//!
//! - [`server`]: [`KeyPackageStore`](server::KeyPackageStore) is the contract that every backend obeys, and
//!   [`Admission`](server::Admission) turns uploaded bytes into a [`KeyPackage`]: the MLS library's part.
//! - [`client`]: [`PoolMetadataStore`](client::PoolMetadataStore) keeps the lifecycle of a client's own KeyPackages, and
//!   [`KeyVault`](client::KeyVault) their private keys, in the MLS library's storage.
//! - [`protocol`]: what travels between the two.
//! - [`rules`]: the state machine, for those who write a backend.
//!
//! ```
//! use kp_core::rules::Model;
//! use kp_core::server::{OnLapse, Save, SaveOutcome, Spend, TakeRequest};
//! use kp_core::{
//!     Ciphersuite, CredentialHash, KeyPackage, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Lifetime, PoolId,
//!     Rejection, ReservationId, Timestamp, Ttl,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pool = PoolId::try_from("bob/phone")?;
//! let now = Timestamp::try_from(1_700_000_000)?;
//! let package = KeyPackage::new(
//!     KeyPackageInfo::new(
//!         KeyPackageRef::try_from("the hash of it")?,
//!         Ciphersuite(1),
//!         Lifetime::new(now, now.plus(86_400))?,
//!         CredentialHash([0; 32]),
//!     ),
//!     KeyPackageBytes::try_from(b"a KeyPackage".as_slice())?,
//! );
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
pub mod contract;
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
