//! Holds the client's side: the lifecycle of a client's own KeyPackages, and their private keys.
//!
//! - [`PoolMetadataStore`] keeps a row for each KeyPackage, and never a key.
//! - [`KeyVault`] reaches the private keys, which stay in the MLS library's own storage.

mod lifecycle;
mod metadata;
mod metadata_store;
mod rejection;
mod vault;

pub use lifecycle::Lifecycle;
pub use metadata::KeyPackageMetadata;
pub use metadata_store::{PoolMetadataStore, PoolMetadataStoreExt};
pub use rejection::{MetadataRejection, MetadataResult};
pub use vault::KeyVault;
