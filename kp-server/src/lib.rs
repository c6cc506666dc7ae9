//! The delivery service's side of a KeyPackage pool: what a server's handlers call.
//!
//! [`KeyPackageDirectory`] works over any [`KeyPackageStore`](kp_core::server::KeyPackageStore) and any
//! [`Admission`](kp_core::server::Admission). It adds what a store leaves open: a clock, leases and replay windows, caps
//! and limits, the judging of uploads, the health of pools, sweeping, spans and metrics.
//!
//! ```
//! use kp_core::server::{Spend, TakeOptions, Uploader};
//! use kp_core::{Party, PoolId};
//! use kp_server::{KeyPackageDirectory, Take, Upload};
//!
//! async fn serve(directory: KeyPackageDirectory, from_bob: Vec<Vec<u8>>) -> Result<(), Box<dyn std::error::Error>> {
//!     // Bob publishes: bytes in, one outcome each.
//!     let bob = PoolId::try_from("bob/phone")?;
//!     for outcome in directory.upload(Upload::new(bob.clone(), Uploader::identity("bob"), from_bob)).await? {
//!         println!("{}", outcome.code());
//!     }
//!
//!     // A delivery service hands a KeyPackage out for good ...
//!     let package = directory.claim(&bob, &Take::new()).await?;
//!     println!("{:?}: {:?}", package.info.role, package.bytes);
//!
//!     // ... or lends it until the Commit is accepted. A last-resort package carries no lease.
//!     let alice = Take::from(TakeOptions::new().by(Party::try_from("a keyed hash of alice")?));
//!     if let Some(lease) = directory.reserve(&bob, &alice).await?.lease {
//!         let receipt = directory.spend_one(&lease, &Spend::new()).await?;
//!         println!("spent at {:?}: only now deliver the Commit", receipt.spent_at);
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # All devices of a user
//!
//! MLS adds clients, and each device is a client with a pool of its own.
//! [`claim_many`](KeyPackageDirectory::claim_many) hands out a KeyPackage of each; one [`Take::id`] serves all pools, so
//! that a retry gets the same KeyPackages.
//!
//! ```
//! use kp_core::server::Answers;
//! use kp_core::{KeyPackage, PoolId, ReservationId};
//! use kp_server::{KeyPackageDirectory, Take};
//!
//! /// Claims for all devices of a user; a device whose pool is exhausted is left out of the group.
//! async fn claim_for_user(
//!     directory: &KeyPackageDirectory,
//!     devices: &[PoolId],
//!     idempotency_key: [u8; 16],
//! ) -> Vec<(PoolId, Result<KeyPackage, kp_core::Error>)> {
//!     let take = Take::new().id(ReservationId::from_bytes(idempotency_key));
//!     let answers: Answers<KeyPackage> = directory.claim_many(devices, &take).await;
//!     devices.iter().cloned().zip(answers).collect()
//! }
//! ```
//!
//! # Time
//!
//! A directory reads its [`Clock`](kp_core::Clock) once a call and passes the moment on. A [`Sweeper`] compares that clock
//! with tokio's, which is monotonic. The default clock is the
//! system's. With a [`ManualClock`](kp_core::ManualClock), what lapses and expires is tested without sleeping.
//!
//! # Runtime
//!
//! [`upload`](KeyPackageDirectory::upload) and [`start_sweeper`](KeyPackageDirectory::start_sweeper) need a tokio runtime;
//! all else runs on any.
//!
//! # Instruments
//!
//! Every operation runs in a [`tracing`] span `keypackage_directory` with the fields `operation`, `answers` (how many)
//! and `outcome` (`mixed` where a batch has several). A failure is logged as a warning within the span. With the feature
//! `metrics`, every operation is also counted:
//!
//! | metric | labels | |
//! |---|---|---|
//! | `keypackage_directory_answers_total` | `operation`, `outcome`, `source` | a counter: one for each item answered |
//! | `keypackage_directory_seconds` | `operation` | a histogram: how long each call took |
//! | `keypackage_directory_swept_total` | `what`: `expired`, `lapsed` | a counter: what sweeps removed |
//! | `keypackage_directory_swept_timestamp_seconds` | `what`: `expired`, `lapsed` | a gauge: the Unix time up to which the last whole sweep has swept |
//! | `keypackage_store_failures_total` | `backend`, `operation`, `effect`: `not_applied`, `unknown` | a counter: failures of the store, by the store's own operation |
//! | `keypackage_directory_notices_total` | `kind` | a counter: notices received |
//! | `keypackage_directory_notices_dropped_total` | | a counter: pools that the queue of notices had no place for |
//! | `keypackage_directory_clock_leaps_total` | | a counter: how often a sweeper's clock leapt |
//!
//! - `operation` is the method's name.
//! - `outcome` is `ok`, the code of a [`Rejection`](kp_core::Rejection::code) or of an
//!   [`UploadOutcome`](kp_core::protocol::UploadOutcome::code), `too_many_packages`, `admission_failed`, or, of a failure,
//!   `not_applied` or `outcome_unknown`.
//! - `source` is `one_time` or `last_resort` where a KeyPackage was handed out, else `none`.
//!
//! The stores have metrics of their own, with the same feature: `keypackage_store_calls` and others. `docs/operating.md` of the
//! repository lists all, and says what to watch.
//!
//! No pool, party, KeyPackage, reservation id or token is in any of them.
//!
//! # Notices
//!
//! A server that wakes its devices subscribes to [`notices`]: a pool runs low or is exhausted, its last resort was used, its
//! memory is full. At most one an hour for a pool, ciphersuite and kind, after a call of this node.
//!
//! # Features
//!
//! `metrics`: the counters and histograms above, by the `metrics` crate.

mod admit;
mod amend;
mod builder;
mod clock_check;
mod config;
mod directory;
mod leases;
mod listing;
mod notice;
mod notices;
mod noting;
mod observe;
mod outlook;
mod owner;
mod status;
mod sweeper;
mod take;
mod transport;
mod upload;

pub use builder::DirectoryBuilder;
pub use config::ConfigError;
pub use directory::KeyPackageDirectory;
pub use notice::{Notice, NoticeKind};
pub use notices::{Notices, Subscriber, notices};
pub use sweeper::{Sweeper, Swept};
pub use take::Take;
pub use upload::{Upload, UploadError};
