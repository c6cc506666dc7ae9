//! Keeps all pools in memory, and is the only intricate part of this crate.
//!
//! The rest of the crate enters by [`Table`], which finds a pool and locks the pool for one step. The step gets the
//! [`Pool`], which finds the records of one client; an [`Entry`] is a record and its bytes.
//!
//! # Guarantees
//!
//! - Each step on a pool is atomic (`LIN-1`). Steps on different pools run side by side. Only adding or removing a pool
//!   waits for steps on other pools: the pools of the same shard, one pool in 256.
//! - The look-ups and changes of one record take O(log n) in the records of its pool, however many of them have expired
//!   (`COST-1`). Scans go through all records of a pool, and skip 64 expired records at a time.
//! - No index depends on the time at which it was last used: `now` may step back (`TIME-3`).
//! - A listing or sweep goes through the pools that it returns or changes, never through all pools. Between batches it
//!   releases the lock.
//! - The memory of records and pools that are gone is given back.
//!
//! # Why it is intricate
//!
//! A cycle of reserve and spend takes one to two microseconds, and in a large store most of that time is spent on
//! fetching memory. So whatever a call needs is laid side by side, in few allocations. `docs/decisions/memory-layout.md`
//! has the measurements, and what was tried and not kept.
//!
//! | file | holds |
//! |---|---|
//! | `shards` | [`Table`]: all pools, in shards by the hash of their ids |
//! | `schedule` | the ids of all pools in order, and the date at which each pool is due for a sweep |
//! | `pool` | [`Pool`]: the records of one client, and the indexes over them |
//! | `slab` | the records of a pool, in the order in which they were saved |
//! | `entry` | one record and its bytes, in little room |
//! | `standing` | the state of a record, in little room |
//! | `lapses` | the dates at which the leases of a pool lapse |
//! | `queue` | the free packages of one ciphersuite, in the order in which they are handed out |

mod entry;
mod lapses;
mod pool;
mod queue;
mod schedule;
mod shards;
mod slab;
mod standing;

pub(crate) use entry::Entry;
pub(crate) use pool::Pool;
pub(crate) use shards::Table;
