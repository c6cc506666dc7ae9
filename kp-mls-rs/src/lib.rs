//! mls-rs plugged into the KeyPackage pool.
//!
//! [`MlsRsAdmission`] is the [`Admission`](kp_core::server::Admission) of a delivery service whose clients speak RFC 9420: it
//! reads an uploaded KeyPackage, verifies it with a crypto provider of mls-rs, and says what a store needs to know of it. It
//! needs no storage and no keys. [`credential_hash`] is how both sides name a credential.
//!
//! [`MlsRsVault`] is the [`KeyVault`](kp_core::client::KeyVault) of a client: its private keys, in the app's own
//! [`KeyPackageStorage`](mls_rs::KeyPackageStorage).
//!
//! mls-rs is built in its synchronous form. The `cfg` `mls_build_async` is not supported.
//!
//! ```
//! use kp_core::Timestamp;
//! use kp_core::protocol::Refusal;
//! use kp_core::server::{Admission, Uploader};
//! use kp_mls_rs::MlsRsAdmission;
//!
//! let admission = MlsRsAdmission::new();
//! let now = Timestamp::try_from(1_700_000_000)?;
//! let answer = admission.admit(b"no KeyPackage", &Uploader::identity("bob"), now);
//! assert_eq!(answer, Err(Refusal::Malformed));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod admission;
mod credential;
mod keys;
mod package;
mod vault;

pub use admission::MlsRsAdmission;
pub use credential::credential_hash;
pub use vault::{FreshPackage, MlsRsVault, VaultError};
