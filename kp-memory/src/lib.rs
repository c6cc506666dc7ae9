//! Keeps KeyPackage pools in memory.
//!
//! [`MemoryStore`] is a [`KeyPackageStore`](kp_core::server::KeyPackageStore), and obeys every rule of the
//! [contract](kp_core::contract) but durability:
//!
//! - **Nothing survives the process.** When the process ends, all pools are gone, and so is the memory of spent packages.
//!   If a package was handed out before a restart and is uploaded again, the package is handed out a second time.
//! - The pools belong to one process. Clones of a store share the pools.
//! - No call fails but for what the rules refuse.
//!
//! So the store is for tests, for examples, and for servers whose clients upload afresh after a restart.
//!
//! [`MemoryMetadata`] is a [`PoolMetadataStore`](kp_core::client::PoolMetadataStore): a client's own record of its
//! packages.
//!
//! Each pool has a lock of its own, so that calls on different pools run side by side. Reserving, claiming, spending and
//! releasing take O(log n), also in a pool that is full of expired packages. The crate needs no runtime.

mod metadata;
mod pools;

pub use metadata::store::MemoryMetadata;
pub use pools::store::MemoryStore;
