//! The conformance suites: every rule of [`KeyPackageStore`](kp_core::server::KeyPackageStore), and of
//! [`PoolMetadataStore`](kp_core::client::PoolMetadataStore), as checks that run against anybody's backend.
//!
//! The author of a backend writes a [`Factory`] and a test without libtest's harness:
//!
//! ```toml
//! [[test]]
//! name = "conformance"
//! harness = false
//! ```
//!
//! ```
//! use std::process::ExitCode;
//! use std::sync::Arc;
//!
//! use async_trait::async_trait;
//! use kp_conformance::{Facets, Factory, ReferenceStore, Space};
//! use kp_core::server::KeyPackageStore;
//! use kp_core::OpenError;
//!
//! struct Backend;
//!
//! #[async_trait]
//! impl Factory for Backend {
//!     fn name(&self) -> &str {
//!         "reference"
//!     }
//!
//!     fn facets(&self) -> Facets {
//!         Facets::NONE.handles()
//!     }
//!
//!     async fn open(&self, space: &Space) -> Result<Arc<dyn KeyPackageStore>, OpenError> {
//!         Ok(Arc::new(ReferenceStore::of_space(space)))
//!     }
//!
//!     async fn destroy(&self, space: &Space) {
//!         ReferenceStore::forget_space(space);
//!     }
//! }
//!
//! fn main() -> ExitCode {
//! # // A documentation test is no test of a backend, and has other arguments.
//! # if true { return ExitCode::SUCCESS }
//!     kp_conformance::main(Backend)
//! }
//! ```
//!
//! A backend of a client's metadata is a `Factory<dyn PoolMetadataStore>`, and its `main` calls [`metadata_main`].
//!
//! Each check is a line of the output, named by the rules it is about and by a sentence:
//! `RES-2 the_oldest_saved_is_handed_out_first`. What a backend does not claim to do ([`Facets`]) is shown as ignored.
//!
//! [`report`] does the same as a library, and says what became of each check, as text or JSON.
//!
//! When checks fail, the end of a run says where to begin: with a check of the rule most of whose checks have failed,
//! and then what takes that rule for granted ([`Check::relies_on`]).
//!
//! [`FaultyStore`] is a store whose calls fail now and then, for the tests of what is built on one.
//!
//! # Any language
//!
//! With the feature `program` this crate is also a program, `kp-conformance --adapter ./my-adapter`: the suite on a server in
//! any language, through an executable that speaks JSON lines. `docs/adapter-protocol.md` has the protocol.
//!
//! # Levels
//!
//! By default the suite takes half a minute to two minutes on two cores, and half of that where `[profile.dev.package]` of the
//! workspace's manifest has `opt-level = 1` for `kp-core` and for what the backend stands on. With `KP_CONFORMANCE=quick` in
//! the environment it makes a fifth of the random sequences, histories and calls beside each other. With
//! `KP_CONFORMANCE=heavy` in the environment there are hundreds of random sequences and thousands of histories instead of
//! dozens, 200 killed writers instead of 20, and 100,000 calls beside each other instead of 2,500. `KP_CONFORMANCE_SEED` is
//! the first of the seeds: a failure names its own.
//!
//! No check sleeps, but for a store to connect again after an outage: time is an argument. Every check has a [`Space`] of its own;
//! cells of the decision table share some, each with a pool of its own. As most checks wait for their store, twice as many run at
//! once as there are cores, unless `--test-threads` says otherwise.

#[cfg(feature = "program")]
pub mod adapter;
mod asking;
mod at_once;
mod causes;
mod check;
mod checks;
mod context;
pub mod decisions;
mod factory;
mod fault;
mod faulty_store;
mod finding;
mod guide;
mod histories;
mod level;
mod metadata;
mod method;
mod must_be;
mod packages;
mod place;
mod pool;
#[cfg(feature = "program")]
pub mod program;
mod progress;
mod reference;
mod reliance;
mod report;
mod rooms;
mod shrink;
mod suite;
mod worker;

pub use check::Check;
pub use context::Context;
pub use factory::{Facets, Factory, Outage, Space};
pub use fault::{Fault, Faults};
pub use faulty_store::FaultyStore;
pub use finding::{Finding, Verdict};
pub use metadata::{metadata_checks, metadata_main};
pub use method::Method;
pub use reference::ReferenceStore;
pub use report::{Report, Totals, report, report_of};
pub use suite::{checks, main};
