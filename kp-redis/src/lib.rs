//! KeyPackage pools on Redis or Valkey: one store for a whole fleet of delivery services.
//!
//! [`RedisStore`] obeys every rule of [`KeyPackageStore`](kp_core::KeyPackageStore). Each call on a pool is *one* Lua
//! script, so it is atomic (`LIN-1`), and one round trip. All keys of a pool lie in one hash slot, so the same code runs on
//! one server, behind Sentinel, and on a cluster.
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
//! [`RedisMetadata`] is the other side, a client's record of its own packages
//! ([`PoolMetadataStore`](kp_core::PoolMetadataStore)), for clients that are services themselves.
//!
//! # Addresses
//!
//! | URL | Server | Feature |
//! |---|---|---|
//! | `redis://[user:password@]host[:port][/db]` | one server | |
//! | `redis-cluster://[user:password@]host[:port],host[:port]` | a cluster, by some of its nodes | `cluster` |
//! | `redis-sentinel://[user:password@]host[:port],host[:port]/service` | the master of a service, by its Sentinels | `sentinel` |
//!
//! The default port is 6379, that of a Sentinel 26379. `rediss`, `rediss-cluster` and `rediss-sentinel` connect over TLS;
//! they need the feature `tls`. No feature is on by default. If an address needs a feature that the build has not, opening
//! fails with a [`MissingFeature`] as the source.
//!
//! # What survives
//!
//! Redis answers before it is durable, unless it is told not to: with `appendfsync always` what was answered survives a
//! killed server and a power cut, with [`RedisBuilder::replicas`] the loss of a master. [`RedisStore::server`] says what
//! the server does. A server that may evict keys is refused, since it would forget which packages are spent.
//!
//! # Failures
//!
//! A lost reply, or a time-out after sending, is [`Effect::Unknown`](kp_core::Effect::Unknown), and nothing is sent twice:
//! the caller asks again with the same id (`ERR-1`). What a server refuses for now (it loads, a slot moves, a replica was
//! promoted) is sent again until the time-out, since that is certainly not applied. While a slot of a cluster moves, its
//! pools may have to wait for the end of it: a node that imports a slot runs no script that names a key it does not have.

mod keys;
mod link;
mod metadata;
mod pools;

pub use link::builder::RedisBuilder;
pub use link::error::MissingFeature;
pub use link::server::Server;
pub use metadata::store::RedisMetadata;
pub use pools::store::RedisStore;
