//! The two services of a KeyPackage pool: the directory of a delivery service, and the pool of a client.
//!
//! # The server
//!
//! [`KeyPackageDirectory`] is what the server's handlers call, over any [`KeyPackageStore`](kp_core::server::KeyPackageStore) and
//! any [`Admission`](kp_core::server::Admission). It adds what a store leaves open: a clock, leases and windows, caps and limits,
//! judging uploads, telling owners how their pools are doing, sweeping, and instruments.
//!
//! ```
//! use kp_core::server::{Uploader, Spend};
//! use kp_core::{Party, PoolId};
//! use kp_server::{Take, KeyPackageDirectory, Upload};
//!
//! async fn serve(directory: KeyPackageDirectory, from_bob: Vec<Vec<u8>>) -> Result<(), Box<dyn std::error::Error>> {
//!     // Bob publishes: bytes in, one verdict each.
//!     let bob = PoolId::try_from("bob/phone")?;
//!     for verdict in directory.upload(Upload::new(bob.clone(), Uploader::identity("bob"), from_bob)).await? {
//!         println!("{}", verdict.code());
//!     }
//!     // A delivery service hands a package out for good ...
//!     let package = directory.claim(&bob, &Take::new()).await?;
//!     println!("{:?}, last resort: {}", package.bytes, package.info.last_resort);
//!     // ... or lends it until the Commit is accepted. A last-resort package carries no lease.
//!     let reserved = directory.reserve(&bob, &Take::new().by(Party::try_from("alice")?)).await?;
//!     let tokens: Vec<_> = reserved.lease.into_iter().map(|lease| lease.token).collect();
//!     for receipt in directory.spend(&tokens, &Spend::default()).await {
//!         println!("spent at {:?}", receipt?.spent_at);
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # The client
//!
//! [`KeyPackagePool`] keeps a client's KeyPackages on the server and their keys safe, over any
//! [`KeyVault`](kp_core::client::KeyVault), any [`PoolMetadataStore`](kp_core::client::PoolMetadataStore) and any
//! [`KeyPackageTransport`]. Two calls are all that a messenger needs.
//!
//! ```
//! use std::sync::Arc;
//! use kp_core::client::{KeyVault, PoolMetadataStore};
//! use kp_core::{Ciphersuite, KeyPackageRef};
//! use kp_client::{KeyPackagePool, CiphersuitePlan};
//! use kp_core::protocol::KeyPackageTransport;
//!
//! async fn run<V: KeyVault>(
//!     vault: V,
//!     metadata: Arc<dyn PoolMetadataStore>,
//!     server: Arc<dyn KeyPackageTransport>,
//!     named_in_the_welcome: &[KeyPackageRef],
//!     join: impl FnOnce() -> Result<(), std::io::Error> + Send,
//! ) -> Result<(), Box<dyn std::error::Error>> {
//!     let plan = CiphersuitePlan::pool(Ciphersuite(0x0001));
//!     let pool = KeyPackagePool::builder(vault, metadata, server).suite(plan).build()?;
//!
//!     // At the start, now and then, and after each Welcome.
//!     let report = pool.refresh().await?;
//!     println!("{} uploaded, due again at {:?}", report.uploaded, report.next_at);
//!
//!     // A Welcome came. Whatever becomes of it, no key is lost.
//!     pool.join(named_in_the_welcome, join).await??;
//!     Ok(())
//! }
//! ```
//!
//! # Time
//!
//! A service reads its [`Clock`] once a call and passes the moment on. [`SystemClock`] is the only place that reads the
//! system's; with a [`ManualClock`], what lapses and expires is tested without sleeping.
//!
//! # Instruments
//!
//! Every operation runs in a [`tracing`] span `keypackage_directory` with the fields `operation`, `answers` (how many)
//! and `outcome` (`mixed` where a batch has several); failures are logged as warnings within it. And it is counted by
//! [`metrics`]:
//!
//! | metric | labels | |
//! |---|---|---|
//! | `keypackage_directory_answers_total` | `operation`, `outcome`, `source` | a counter: one for each item answered |
//! | `keypackage_directory_seconds` | `operation` | a histogram: how long each call took |
//! | `keypackage_directory_swept_total` | `what`: `expired`, `lapsed` | a counter: what sweeps removed |
//!
//! `operation` is the method's name. `outcome` is `ok`, the code of a [`Rejection`](kp_core::Rejection::code) or, of an
//! upload, of a [`UploadOutcome`](UploadOutcome::code); `too_many_packages`, `admission_failed`; or, of a failure, `not_applied` or
//! `outcome_unknown`. `source` is `one_time` or `last_resort` where a package was handed out, else `none`. No pool,
//! party, package, reservation id or token is in any of them (`DIR-3`, `ERR-4`).
//!
//! # Features
//!
//! `serde`: `Serialize` and `Deserialize` for [`Health`], [`PoolStatus`] and [`SyncReport`].

mod admit;
mod builder;
mod config;
mod directory;
mod observe;
mod status;
mod sweeper;
mod take;
mod transport;
mod upload;

pub use builder::DirectoryBuilder;
pub use config::ConfigError;
pub use directory::KeyPackageDirectory;
pub use sweeper::{Sweeper, Swept};
pub use take::Take;
pub use upload::{Upload, UploadError};
