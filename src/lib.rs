//! KeyPackage pools for MLS (RFC 9420): each single-use KeyPackage handed out exactly once.
//!
//! To add an offline client to a group, one of the client's KeyPackages is needed, published beforehand. A delivery
//! service keeps a pool of them for each client. This crate is that pool: under concurrency, crashes, retries, expiry and
//! exhaustion, no one-time KeyPackage is handed out twice, and none is called missing while one is left.
//!
//! # A delivery service
//!
//! ```toml
//! [dependencies]
//! keypackage-pool = { version = "0.1", features = ["sqlite", "openmls"] }
//! ```
//!
#![cfg_attr(all(feature = "server", feature = "sqlite", feature = "openmls"), doc = "```no_run")]
#![cfg_attr(
    not(all(feature = "server", feature = "sqlite", feature = "openmls")),
    doc = "```ignore"
)]
//! use keypackage_pool::PoolId;
//! use keypackage_pool::openmls::OpenMlsAdmission;
//! use keypackage_pool::server::{KeyPackageDirectory, Upload, Uploader};
//! use keypackage_pool::sqlite::SqliteStore;
//!
//! # async fn serve(packages: Vec<Vec<u8>>) -> Result<(), Box<dyn std::error::Error>> {
//! let directory = KeyPackageDirectory::new(SqliteStore::open("pools.db").await?, OpenMlsAdmission::default());
//! let bob = PoolId::try_from("bob/phone")?;
//!
//! // Bob's phone publishes: bytes in, one outcome each.
//! for outcome in directory.upload(Upload::new(bob.clone(), Uploader::identity("bob"), packages)).await? {
//!     println!("{}", outcome.code());
//! }
//!
//! // Somebody adds Bob: one KeyPackage, for good. With an id of the request, a retry gets the same KeyPackage.
//! let package = directory.claim(&bob, &Default::default()).await?;
//!
//! // Or on loan, until the Commit is accepted. A last-resort package has no lease.
//! if let Some(lease) = directory.reserve(&bob, &Default::default()).await?.lease {
//!     let receipt = directory.spend_one(&lease, &Default::default()).await?;
//!     println!("spent at {:?}: only now deliver the Commit", receipt.spent_at);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`KeyPackageDirectory`](server::KeyPackageDirectory) is what the server's handlers call. One id for each client (a
//! device, in MLS): a user has several pools, and [`claim_many`](server::KeyPackageDirectory::claim_many) takes one
//! KeyPackage of each.
//!
//! # A messenger
//!
//! ```toml
//! [dependencies]
//! keypackage-pool = { version = "0.1", default-features = false, features = ["client", "openmls", "sqlite", "sqlite-bundled"] }
//! ```
//!
//! [`KeyPackagePool`](client::KeyPackagePool) keeps the client's KeyPackages on the delivery service, and their private
//! keys safe in the MLS library's own storage. A messenger calls [`refresh`](client::KeyPackagePool::refresh) now and
//! then, and [`join`](client::KeyPackagePool::join) when a Welcome comes.
//!
//! # Which backend
//!
//! | module | feature | for | one-time KeyPackages survive | several processes |
//! |---|---|---|---|---|
//! | [`memory`] | `memory` | tests; servers that may lose them | nothing | no |
//! | [`sqlite`] | `sqlite` | one machine; every messenger | a killed process and a power cut | yes, on one file |
//! | [`postgres`] | `postgres` | a fleet: PostgreSQL 13 or later, beside your own tables | a killed server; a power cut | yes, anywhere |
//! | [`redis`] | `redis` | a fleet: Redis 7 or Valkey | what the server is told to keep | yes, anywhere |
//!
//! A store of one's own implements [`KeyPackageStore`](server::KeyPackageStore) over [`rules`], and is tested by the crate
//! `kp-conformance`.
//!
//! # Features
//!
//! | feature | adds | default |
//! |---|---|---|
//! | `server` | the delivery service: [`server::KeyPackageDirectory`] | yes |
//! | `client` | the messenger: [`client::KeyPackagePool`] | |
//! | `http-server`, `http-client` | the pools over HTTP: an axum router, and a client: [`http`] | |
//! | `memory`, `sqlite`, `postgres`, `redis` | a backend, for both sides | |
//! | `sqlite-bundled` | builds SQLite itself, rather than link the system's | yes, with `sqlite` |
//! | `postgres-tls`, `postgres-sqlx` | TLS; calls in a transaction of sqlx | |
//! | `redis-tls`, `redis-cluster`, `redis-sentinel` | TLS; a cluster; a master found by Sentinel | |
//! | `openmls` | OpenMLS plugged in, on both sides | |
//! | `openmls-rust-crypto` | OpenMLS's Rust crypto provider | yes, with `openmls` |
//! | `pq` | post-quantum ciphersuites of a draft, with `openmls` | |
//! | `mls-rs` | mls-rs plugged in, on both sides | |
//! | `mls-rs-rust-crypto` | mls-rs's Rust crypto provider | yes, with `mls-rs` |
//! | `serde` | `Serialize` and `Deserialize` for what goes over the wire | |
//! | `metrics` | metrics of the directory and the stores, by the `metrics` crate | |
//! | `full` | all of it | |
//!
//! # Where to read on
//!
//! - [`server`] and [`client`]: what each side calls, time, errors and instruments.
//! - [`contract`]: every rule that a store obeys.
//! - [`protocol`]: what travels between the two sides.

#![cfg_attr(docsrs, feature(doc_cfg))]
// The front page links what each feature adds.
#![cfg_attr(not(feature = "full"), allow(rustdoc::broken_intra_doc_links))]

#[doc(inline)]
pub use kp_core::*;

/// The delivery service's side.
///
/// [`KeyPackageStore`](kp_core::server::KeyPackageStore) and the types of its calls; with the feature `server`,
/// `KeyPackageDirectory` over any store.
pub mod server {
    #[doc(inline)]
    pub use kp_core::server::*;
    #[cfg(feature = "server")]
    #[doc(inline)]
    pub use kp_server::*;
}

/// The client's side.
///
/// [`PoolMetadataStore`](kp_core::client::PoolMetadataStore), [`KeyVault`](kp_core::client::KeyVault) and their types; with
/// the feature `client`, `KeyPackagePool` over any of them.
pub mod client {
    #[cfg(feature = "client")]
    #[doc(inline)]
    pub use kp_client::*;
    #[doc(inline)]
    pub use kp_core::client::*;
}

#[cfg(any(feature = "http-client", feature = "http-server"))]
#[doc(inline)]
pub use kp_http as http;
#[cfg(feature = "memory")]
#[doc(inline)]
pub use kp_memory as memory;
// Whoever writes `use keypackage_pool::*` beside the crate `openmls` or `mls_rs` names one of the two in full.
#[cfg(feature = "mls-rs")]
#[doc(inline)]
pub use kp_mls_rs as mls_rs;
#[cfg(feature = "openmls")]
#[doc(inline)]
pub use kp_openmls as openmls;
#[cfg(feature = "postgres")]
#[doc(inline)]
pub use kp_postgres as postgres;
#[cfg(feature = "redis")]
#[doc(inline)]
pub use kp_redis as redis;
#[cfg(feature = "sqlite")]
#[doc(inline)]
pub use kp_sqlite as sqlite;

/// The examples of the README compile.
#[cfg(all(doctest, feature = "server", feature = "sqlite", feature = "openmls"))]
#[doc = include_str!("../README.md")]
struct Readme;
