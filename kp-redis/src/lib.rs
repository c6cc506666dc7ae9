//! Stores KeyPackage pools in Redis or Valkey: one store for a whole fleet of delivery services.
//!
//! [`RedisStore`] is a [`KeyPackageStore`](kp_core::server::KeyPackageStore). Each call on a pool is *one* Lua script: one
//! atomic step, and one round trip. All keys of a pool lie in one hash slot, so the same code runs on one server,
//! behind Sentinel, and on a cluster.
//!
//! ```no_run
//! use kp_redis::RedisStore;
//!
//! # async fn open() -> Result<(), kp_core::OpenError> {
//! let store = RedisStore::builder("redis-sentinel://:secret@10.0.0.1,10.0.0.2/main")
//!     .prefix("messenger:")
//!     .replicas(1)
//!     .open()
//!     .await?;
//! println!("{:?}", store.server());
//! # Ok(())
//! # }
//! ```
//!
//! [`RedisMetadata`] is a [`PoolMetadataStore`](kp_core::client::PoolMetadataStore): a client's record of its own KeyPackages.
//! It serves clients that are services themselves, such as bots.
//!
//! Calls need a running tokio runtime, with time and I/O enabled.
//!
//! # Addresses
//!
//! | URL | Server | Feature |
//! |---|---|---|
//! | `redis://[user:password@]host[:port][/db]` | one server | |
//! | `redis-cluster://[user:password@]host[:port],host[:port]` | a cluster, by some of its nodes | `cluster` |
//! | `redis-sentinel://[user:password@]host[:port],host[:port]/service` | the master of a service, by its Sentinels | `sentinel` |
//!
//! The default port is 6379, that of a Sentinel 26379. `rediss`, `rediss-cluster` and `rediss-sentinel` connect over
//! TLS, and need the feature `tls`. No feature is on by default. If an address needs a feature that the build has not,
//! opening fails with a [`MissingFeature`] as the source.
//!
//! The feature `metrics` records calls under way, retries and connections, by the `metrics` crate.
//!
//! # Scripts
//!
//! The scripts are one library of functions (`FUNCTION LOAD`, `FCALL`), which every master is given when a store is opened. A
//! server that has lost them (`FUNCTION FLUSH`, a node that joined a cluster) is given them again by the call that misses them.
//! The library's name carries this crate's release, so releases may share a server; an old library goes by `FUNCTION DELETE`.
//! Where the user may not load functions, the same scripts are sent by their hash, which costs the server more:
//! [`Server::functions`] tells.
//!
//! # Durability
//!
//! By default Redis answers before a change is durable. [`RedisStore::server`] returns what the server is set to do.
//!
//! - With `appendfsync always`, every answered change survives a killed server and a power cut.
//! - With [`RedisBuilder::replicas`], every answered change survives the loss of the master.
//! - A server that may evict keys is refused: it could forget that a KeyPackage is spent. A cache may allow it with
//!   [`RedisBuilder::allow_eviction`].
//! - A server that denies its user a command that the store needs is refused: see `docs/redis-user.md` for the list.
//!
//! # Failures
//!
//! - If the reply to a change is lost, or does not come in time, the call fails with
//!   [`Effect::Unknown`](kp_core::Effect::Unknown). The store sends no change twice. Repeat the call with the same id.
//! - If the server refuses a command for now (it loads its data, a slot moves, a replica was promoted), the command was
//!   not applied. The store sends the command again until the time-out.
//! - If nothing comes within the time-out, the server is left: the next call has a new connection, and so has a call
//!   whose server proves to be no master any more. No call is answered by a replica.
//! - If the server takes no changes (`OOM`, `MISCONF`, `NOREPLICAS`), the call was not applied and fails at once, as
//!   transient. Reads go on.
//! - If a script fails at a command that its user may not run, or that the server does not have, the call fails with
//!   [`Effect::Unknown`](kp_core::Effect::Unknown).
//! - While a slot of a cluster moves, calls on its pools may wait for the end of the move. The importing node runs no
//!   script that names a key which has not arrived.

mod keys;
mod link;
mod metadata;
mod pools;

pub use link::builder::RedisBuilder;
pub use link::error::MissingFeature;
pub use link::server::Server;
pub use metadata::store::RedisMetadata;
pub use pools::store::RedisStore;
