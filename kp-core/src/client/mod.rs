//! Holds the client's side: the lifecycle of a client's own KeyPackages, and their private keys.
//!
//! - [`PoolMetadataStore`] keeps a row for each KeyPackage, and never a key.
//! - [`KeyVault`] reaches the private keys, which stay in the MLS library's own storage.

mod changes;
mod join_mark;
mod lease_holder;
mod lifecycle;
mod metadata;
mod metadata_store;
mod pool_record;
mod rejection;
mod storage_lease;
mod vault;

pub use changes::MetadataChanges;
pub use join_mark::JoinMark;
pub use lease_holder::LeaseHolder;
pub use lifecycle::Lifecycle;
pub use metadata::KeyPackageMetadata;
pub use metadata_store::{PoolMetadataStore, PoolMetadataStoreExt};
pub use pool_record::{Alone, Budget, PoolRecord, Wait};
pub use rejection::{MetadataRejection, MetadataResult};
pub use storage_lease::{Fence, LeaseName, StorageLease};
pub use vault::KeyVault;
