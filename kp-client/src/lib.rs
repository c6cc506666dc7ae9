//! The client's side of a KeyPackage pool: what a messenger calls.
//!
//! [`KeyPackagePool`] keeps a client's KeyPackages on the delivery service and their keys safe, over any
//! [`KeyVault`](kp_core::client::KeyVault), any [`PoolMetadataStore`](kp_core::client::PoolMetadataStore) and any
//! [`KeyPackageTransport`](kp_core::protocol::KeyPackageTransport). A messenger needs two calls:
//! [`refresh`](KeyPackagePool::refresh) and [`join`](KeyPackagePool::join).
//!
//! ```
//! use kp_client::{CiphersuitePlan, KeyPackagePool};
//! use kp_core::client::{KeyVault, PoolMetadataStore};
//! use kp_core::protocol::KeyPackageTransport;
//! use kp_core::{Ciphersuite, KeyPackageRef};
//!
//! async fn run<V: KeyVault>(
//!     vault: V,
//!     metadata: impl PoolMetadataStore + 'static,
//!     server: impl KeyPackageTransport,
//!     named_in_the_welcome: &[KeyPackageRef],
//!     join: impl FnOnce() -> Result<(), std::io::Error> + Send,
//! ) -> Result<(), Box<dyn std::error::Error>> {
//!     let plan = CiphersuitePlan::pool(Ciphersuite(0x0001));
//!     let pool = KeyPackagePool::builder(vault, metadata, server).ciphersuite(plan).build()?;
//!
//!     // At the start, now and then, and after each Welcome.
//!     let report = pool.refresh().await?;
//!     println!("{} uploaded, due again at {:?}", report.uploaded, report.next_at);
//!
//!     // A Welcome came. Whatever becomes of the join, no key is lost.
//!     pool.join(named_in_the_welcome, join).await??;
//!     Ok(())
//! }
//! ```
//!
//! # Time
//!
//! A pool goes by its [`Clock`](kp_core::Clock), and by the time that the server tells. While the two differ by more than the
//! [`skew`](PoolBuilder::skew), nothing is made or deleted on account of time: see [`RefreshReport::clock_off`]. With a
//! [`ManualClock`](kp_core::ManualClock), what expires is tested without sleeping.
//!
//! # Processes
//!
//! Several processes of one client may share a storage: an app and its notification extension, each with a pool of its own. They
//! take turns by leases in the metadata store. A second pool in one process counts as another process.
//!
//! # Runtime
//!
//! [`start_refresher`](KeyPackagePool::start_refresher) needs a tokio runtime; all else runs on any.

mod builder;
mod clock;
mod error;
mod heard;
mod join;
mod learning;
mod ledger;
mod making;
mod mark;
mod pace;
mod plan;
mod policy;
mod pool;
mod recovery;
mod refresher;
mod report;
mod round;
mod rows;
mod survey;
mod turn;

pub use builder::PoolBuilder;
pub use error::PoolError;
pub use plan::{CiphersuitePlan, PoolConfigError, Sizes};
pub use pool::KeyPackagePool;
pub use refresher::{RefreshEvery, Refresher};
pub use report::RefreshReport;
