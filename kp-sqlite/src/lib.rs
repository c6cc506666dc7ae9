//! KeyPackage pools in an SQLite file: durable, for several processes, without a server.
//!
//! [`SqliteStore`] is a [`KeyPackageStore`](kp_core::server::KeyPackageStore). It obeys every rule of that contract, and keeps
//! what it answered through the end of the process and, by default, a power cut.
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
//! [`SqliteMetadata`] is a client's [`PoolMetadataStore`](kp_core::client::PoolMetadataStore), for a file that may be the one of
//! the MLS library's own storage. [`import_client_table`] and [`SqliteStore::import_server_table`] bring over the tables
//! of this project's origin.
//!
//! # How it works
//!
//! One thread writes. It takes all calls that wait, and those that come while it works, into one transaction, runs the
//! [rules](kp_core::rules) over its rows, commits once when nobody waits any more, and only then answers: a sync of the
//! disk serves many calls. When one of them fails, each is run again in a transaction of its own. Other threads read,
//! each in a snapshot, beside the writer. Other stores and processes on the file wait for each other at the beginning
//! of a transaction, never within.
//!
//! What a commit costs is the pages that it changes. Leases are short rows of a table of their own, which share pages; the
//! row of a package, with its bytes, is written when it is saved and when it is spent.
//!
//! The tables are `STRICT`, begin with `keypackage_pool`, and have a table of migrations of their own, so the file may
//! hold anything else besides.

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
