//! Stores KeyPackage pools in PostgreSQL 13 or later: durable, for a whole fleet of delivery services, beside a server's own
//! tables.
//!
//! [`PostgresStore`] is a [`KeyPackageStore`](kp_core::server::KeyPackageStore), and obeys every rule of the
//! [contract](kp_core::contract). An answered call survives a killed server and, if the disks keep their promises, a power
//! cut.
//!
//! ```no_run
//! use kp_postgres::PostgresStore;
//!
//! # async fn connect() -> Result<(), kp_core::OpenError> {
//! let store = PostgresStore::builder("postgres://messenger:secret@10.0.0.1/messenger")
//!     .schema("key_packages")
//!     .connect()
//!     .await?;
//! println!("{:?}", store.server());
//! # Ok(())
//! # }
//! ```
//!
//! [`PostgresMetadata`] is a [`PoolMetadataStore`](kp_core::client::PoolMetadataStore): a client's record of its own
//! KeyPackages. It serves clients that are services themselves, such as bots.
//!
//! Calls need the tokio runtime that the store was opened on, with time and I/O enabled.
//!
//! # How it works
//!
//! A store has a few connections that write. Each runs all calls that wait for it in one transaction:
//!
//! 1. It locks the rows of the pools, always in the order of their keys, and loads what the calls need. This is one round trip.
//! 2. The [rules](kp_core::rules) run over what was loaded.
//! 3. It writes what they changed, and commits: another round trip, and one sync for all calls.
//! 4. It answers the calls.
//!
//! No two stores wait for each other in a circle, whatever pools their calls name. If a call fails, the others of its
//! transaction run again. Reads are single statements on other connections.
//!
//! # Beside a server's own tables
//!
//! [`PostgresStore::within`] makes a call in a transaction of the server's own: a KeyPackage is claimed and the server's row
//! is written, or neither. The transaction is one of tokio-postgres, or of sqlx by its feature. Commit by [`Within::commit`].
//!
//! # Addresses
//!
//! `postgres://[user[:password]@]host[:port][,host[:port]]/database[?parameters]`, as libpq has it. With several hosts, name
//! `target_session_attrs=read-write`. `sslmode` is `disable`, `prefer` (the default) or `require`; the feature `tls` is what
//! makes TLS possible, by rustls. Without the feature, `require` is refused. With it, each certificate is verified, also under
//! `prefer`, by what the system trusts or by `PostgresBuilder::root_certificates`.
//!
//! `docs/postgres.md` of the repository has what a server needs beside: rights, poolers, drivers, fail-over, backups,
//! transactions that hang.
//!
//! # Poolers
//!
//! An address may be that of a pooler, such as PgBouncer, in session or transaction mode and of any version. The store notices
//! a pooler when it connects ([`Server::is_pooled`]): no statement is prepared then, and each transaction, each read too, sets
//! what it needs for itself alone. So nothing that others left in a session counts. Since each statement is planned anew, the
//! server works more for a call; connect to the server itself where you can: a store has few connections.
//!
//! # Durability
//!
//! Refused at opening, and whenever a connection is made anew:
//!
//! - a standby or read-only server, and one older than version 13
//! - `fsync = off`
//! - `synchronous_commit = off`, unless [allowed](PostgresBuilder::allow_asynchronous_commit)
//! - a role that lacks a right, which is named
//!
//! [`PostgresStore::server`] returns what a commit waits for. If a standby takes over that a commit does not wait for, spends
//! that were answered last may be lost: call `retire_unspent` then.
//!
//! # Failures
//!
//! - If a connection is lost before the commit was sent, nothing was applied. The store connects again, until the time-out.
//! - If the reply to a commit is lost, the call fails with [`Effect::Unknown`](kp_core::Effect::Unknown). The store sends no
//!   commit twice. Repeat the call with the same id.
//! - If a wait for a standby is cancelled, the commit took effect on the primary alone: the effect is unknown, too.
//! - A call waits for the lock of its pool until its time-out, and then fails: not applied, and transient. A server's own
//!   transaction that stands still holds its pools for the whole fleet: set `idle_in_transaction_session_timeout`.
//!
//! # Features
//!
//! - `tls`: connections over TLS. Default: off.
//! - `sqlx`: calls in a transaction of sqlx 0.8, and the address of a pool of sqlx (`PostgresBuilder::of_sqlx`). Default: off.
//! - `metrics`: calls that wait, batches, commits, retries and connections, by the `metrics` crate. Default: off.

mod link;
mod metadata;
mod pools;
mod sql;

pub use link::builder::PostgresBuilder;
pub use link::server::Server;
pub use metadata::store::PostgresMetadata;
pub use pools::server_transaction::ServerTransaction;
pub use pools::store::PostgresStore;
pub use pools::within::Within;
