//! Reads KeyPackages: a view of the bytes, and what RFC 9420 demands of a KeyPackage without any cryptography.
//!
//! An [`Admission`](crate::server::Admission) starts here, whatever its MLS library. [`UnverifiedKeyPackage::read`] borrows
//! the uploaded bytes, allocates nothing and never panics. A view shows every field, the two signed parts and the input of
//! the ref's hash. [`UnverifiedKeyPackage::check`] compares the leaf with the demands of RFC 9420.
//!
//! What is left to the MLS library is cryptography: the two signatures, whether each public key is a key of its scheme, and
//! the hash. `docs/admission.md` of the repository lists every demand, and who checks the demand.
//!
//! ```
//! use kp_core::key_package::{UnreadableKeyPackage, UnverifiedKeyPackage};
//!
//! # fn main() -> Result<(), UnreadableKeyPackage> {
//! # let uploaded = [
//! #     &[0, 1, 0, 1][..], &[1, 0xAA], &[1, 0xBB], &[1, 0xCC], &[0, 1, 3], b"bob", &[2, 0, 1, 2, 0, 1, 0, 0, 2, 0, 1],
//! #     &[1, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 9], &[0], &[1, 0xDD], &[0], &[1, 0xEE],
//! # ].concat();
//! let package = UnverifiedKeyPackage::read(&uploaded)?;
//! let leaf = package.leaf_node();
//! assert_eq!(leaf.credential().identity(), Some(b"bob".as_slice()));
//! assert!(leaf.capabilities().ciphersuites().contains(package.ciphersuite()));
//! assert!(!package.is_last_resort());
//! assert_eq!(package.check(), Ok(()));
//! # Ok(())
//! # }
//! ```

mod algorithms;
mod certificate;
mod code_point;
mod demands;
mod extensions;
mod leaf_node;
mod reader;
mod signed;
mod unverified;

pub use algorithms::KeyAlgorithms;
pub use code_point::{CodePoints, CredentialType, ExtensionType, ProposalType, ProtocolVersion};
pub use extensions::{Extension, Extensions};
pub use leaf_node::{UnverifiedCapabilities, UnverifiedCredential, UnverifiedLeafNode};
pub use reader::UnreadableKeyPackage;
pub use signed::Signed;
pub use unverified::UnverifiedKeyPackage;
