//! The client's side: the lifecycle of its own KeyPackages, and their private keys.
//!
//! [`PoolMetadataStore`] keeps a row for each KeyPackage, and never a key. [`KeyVault`] is where the keys are: in the MLS
//! library's own storage.

mod lifecycle;
mod metadata;
mod metadata_store;
mod vault;

pub use lifecycle::Lifecycle;
pub use metadata::{KeyPackageMetadata, MetadataRejection, MetadataResult};
pub use metadata_store::{PoolMetadataStore, PoolMetadataStoreExt};
pub use vault::KeyVault;
