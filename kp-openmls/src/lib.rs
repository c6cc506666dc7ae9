//! OpenMLS plugged into the KeyPackage pool.
//!
//! [`OpenMlsAdmission`] is the [`Admission`](kp_core::server::Admission) of a delivery service whose clients speak RFC 9420: it
//! reads an uploaded KeyPackage, verifies it with OpenMLS, and says what a store needs to know of it. It needs the
//! cryptography only, no storage and no keys. [`credential_hash`] is how both sides name a credential.
//!
//! [`OpenMlsVault`] is the [`KeyVault`](kp_core::client::KeyVault) of a client: its private keys, in OpenMLS's own storage.
//!
//! ```
//! use kp_core::Timestamp;
//! use kp_core::protocol::Refusal;
//! use kp_core::server::{Admission, Uploader};
//! use kp_openmls::OpenMlsAdmission;
//!
//! let admission = OpenMlsAdmission::new();
//! let now = Timestamp::try_from(1_700_000_000)?;
//! let answer = admission.admit(b"no KeyPackage", &Uploader::identity("bob"), now);
//! assert_eq!(answer, Err(Refusal::Malformed));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod admission;
mod credential;
mod keys;
mod vault;

pub use admission::OpenMlsAdmission;
pub use credential::credential_hash;
pub use vault::{FreshPackage, Identity, LockedProvider, OpenMlsVault, ProviderAccess, VaultError};
