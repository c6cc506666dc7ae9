//! KeyPackage pools in memory.
//!
//! [`MemoryStore`] obeys every rule of [`KeyPackageStore`](kp_core::server::KeyPackageStore), through [`kp_core::rules`]; only
//! durability it has none:
//!
//! - **Nothing survives.** When the process ends, all pools are gone, the memory of spent packages too. A package that
//!   was handed out before and is uploaded again after a restart is handed out a second time.
//! - One process: clones share the pools, other processes do not.
//! - It never fails: all answers are the rules'.
//!
//! So it is for tests, for examples, and for servers whose clients upload afresh after a restart.
//!
//! [`MemoryMetadata`] is the same for a client's record of its own packages.
//!
//! Pools are locked apart from each other, and no call waits for anything but the lock of its pool. Reserving, claiming,
//! spending and releasing take O(log n), also in a pool that is full of expired packages which nobody swept.

mod agenda;
mod entry;
mod metadata;
mod pool;
mod pool_records;
mod pools;
mod queue;
mod slab;
mod store;

pub use metadata::MemoryMetadata;
pub use store::MemoryStore;
