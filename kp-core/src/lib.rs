//! Defines what an MLS KeyPackage pool is: the traits, the types and the rules that every backend obeys.
//!
//! Whoever adds an offline client to an MLS group (RFC 9420) needs one of the client's KeyPackages, published
//! beforehand and meant to be used once. A delivery service keeps a pool of KeyPackages for each client, and must hand
//! out each KeyPackage *exactly once*: under concurrency, crashes, retries, expiry and exhaustion.
//!
//! This crate has no I/O, no runtime, no clock, no randomness and no MLS library. A server or a messenger depends on
//! `keypackage-pool`, which re-exports these types beside a backend. The author of a backend depends on this crate and
//! on `kp-conformance`.
//!
//! - [`server`]: [`KeyPackageStore`](server::KeyPackageStore) keeps the pools, and [`Admission`](server::Admission)
//!   turns uploaded bytes into a [`KeyPackage`].
//! - [`key_package`]: reads KeyPackages, and checks what needs no cryptography, for authors of an admission.
//! - [`client`]: [`PoolMetadataStore`](client::PoolMetadataStore) keeps the lifecycle of a client's own KeyPackages,
//!   and [`KeyVault`](client::KeyVault) reaches their private keys.
//! - [`protocol`]: what travels between client and server.
//! - [`moving`]: a pool whole, on its way from one store to another.
//! - [`audit`]: what a store keeps, held against the rules.
//! - [`contract`]: every rule, with its id and its text, for authors of backends.
//! - [`rules`]: the rules as a state machine, for backends in Rust.
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
//! // The model is the reference store: the same calls, in memory and synchronous.
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
//! - `serde`: implements `Serialize` and `Deserialize` for ids, tokens, statuses, times and the protocol. Opaque bytes
//!   are lowercase hexadecimal. Default: off.

pub mod audit;
pub mod client;
pub mod contract;
pub mod key_package;
pub mod moving;
pub mod protocol;
pub mod rules;
pub mod server;
mod types;

pub(crate) use types::hex;
pub use types::{
    BackendError, BoxError, Cause, Ciphersuite, Clock, Counts, CredentialHash, Effect, Error, GroupId, InvalidId,
    InvalidKeyPackageBytes, InvalidLifetime, InvalidTimestamp, InvalidTtl, KeyPackage, KeyPackageBytes, KeyPackageInfo,
    KeyPackageRef, Lifetime, ManualClock, OpenError, Party, PoolCounts, PoolId, Rejection, ReservationId, Result, Role,
    Slot, Status, Timestamp, Ttl,
};
