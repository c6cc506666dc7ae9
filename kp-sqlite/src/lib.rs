//! Stores KeyPackage pools in an SQLite file: durable, for several processes, without a database server.
//!
//! [`SqliteStore`] is a [`KeyPackageStore`](kp_core::server::KeyPackageStore), and obeys every rule of the
//! [contract](kp_core::contract). An answered call survives a killed process and, by default, a power cut.
//!
//! ```
//! use kp_core::server::*;
//! use kp_core::*;
//! use kp_sqlite::SqliteStore;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("pools.db");
//! let store = SqliteStore::open(path).await?;
//! let pool = PoolId::try_from("bob/phone")?;
//! let now = Timestamp::try_from(1_700_000_000)?;
//! let lifetime = Lifetime::new(now, now.plus(86_400))?;
//! let info = KeyPackageInfo::new("the hash of it".try_into()?, Ciphersuite(1), lifetime, CredentialHash([0; 32]));
//! let package = KeyPackage::new(info, b"a KeyPackage".as_slice().try_into()?);
//! assert_eq!(store.save_key_package(&pool, package, now).await?, SaveOutcome::Saved);
//!
//! let minute = Ttl::try_from(60)?;
//! let take = TakeRequest::new(pool, ReservationId::from_bytes([7; 16]), minute);
//! let handed_out = store.claim_key_package(&take, None, now).await?;
//! assert_eq!(handed_out.bytes.as_ref(), b"a KeyPackage");
//! store.close().await?;
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! [`SqliteStore::within`] runs a closure in a transaction of the store, for calls on the pools and rows of the server's own
//! in the same file: all of it is there, or nothing.
//!
//! [`SqliteMetadata`] is a [`PoolMetadataStore`](kp_core::client::PoolMetadataStore): a client's own record of its
//! KeyPackages. Its file may also hold the storage of the MLS library.
//!
//! [`SqliteStore::import_server_table`] and [`import_client_table`] import the older tables `keypackages`.
//!
//! # How it works
//!
//! One thread writes. It runs all waiting calls in one transaction:
//!
//! 1. The writer runs the [rules](kp_core::rules) of each call over the rows of the pool.
//! 2. Calls that arrive meanwhile join the transaction.
//! 3. When no call waits, the writer commits: one sync of the disk for all calls.
//! 4. After the commit, the writer answers the calls.
//!
//! If a call fails, the writer rolls back, and runs each call in a transaction of its own.
//!
//! A closure of the server ([`SqliteStore::within`]) shares the transaction too, in a savepoint: if the closure fails, the
//! writer rolls back to the savepoint. A closure runs once, so the calls behind it get savepoints as well, and one that fails
//! is undone alone. With 64 callers, that is about eight times as many claims with a row a second as with a commit for each.
//!
//! Other threads read beside the writer, each in a snapshot. Other stores and processes on the file wait at the beginning
//! of a transaction, never inside one.
//!
//! The cost of a commit is the number of pages that it changes. Leases are short rows in a table of their own, and share
//! pages. The row of a KeyPackage, with its bytes, is written when the KeyPackage is saved and when it is spent.
//!
//! A store notices that its file, the log or the log's index is moved, deleted or replaced, and fails every call from then on.
//! At opening, it refuses a log that belongs to another file.
//!
//! The tables are `STRICT`, and their names begin with `keypackage_pool`. They have a table of migrations of their own, so
//! the file may hold other tables.
//!
//! The crate needs no async runtime.
//!
//! # The version of rusqlite
//!
//! [`Within::connection`] is a connection of [`rusqlite`], which this crate re-exports. The crate works with rusqlite 0.37 to
//! 0.41, and cargo chooses one for the whole program. Name the types as `kp_sqlite::rusqlite`, and they are always the right
//! ones. To take a newer rusqlite into the range changes nothing for who does not ask for it; to drop an old one is a breaking
//! change of this crate.
//!
//! # Features
//!
//! - `bundled`: builds SQLite itself, rather than link the system's. Default: on.
//! - `metrics`: calls that wait, batches, commits, retries and the size of the log, by the `metrics` crate. Default: off.

mod file;
mod import;
mod metadata;
mod pools;
mod sql;
#[cfg(test)]
mod tests;

pub use file::builder::SqliteBuilder;
pub use file::connection::Survives;
pub use import::{BadRow, ImportError, Imported, RowError, import_client_table};
pub use metadata::store::SqliteMetadata;
pub use pools::store::SqliteStore;
pub use pools::within::Within;
pub use rusqlite;
