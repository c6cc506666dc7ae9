//! Holds test support that several crates of the workspace need. It is never published.
//!
//! Each module is a feature of its own, so that a crate which only starts servers builds no OpenMLS. A crate names this
//! package as a dev-dependency by path, without a version: `cargo package` then drops the dependency. Support that one
//! crate alone needs stays with the tests of that crate.

#![allow(
    missing_docs,
    missing_debug_implementations,
    clippy::new_without_default,
    reason = "read by tests alone"
)]
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "what a test stands on may panic, and looks at the clock"
)]

#[cfg(feature = "audits")]
pub mod audits;
#[cfg(feature = "drafts")]
pub mod demands;
#[cfg(feature = "drafts")]
pub mod draft;
#[cfg(feature = "drafts")]
pub mod judged;
#[cfg(feature = "messenger")]
pub mod messenger;
#[cfg(feature = "drafts")]
pub mod mutations;
#[cfg(feature = "opening")]
pub mod opening;
#[cfg(feature = "postgres")]
pub mod pgbouncer;
#[cfg(any(feature = "postgres", feature = "servers"))]
mod port;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "servers")]
pub mod servers;
#[cfg(feature = "sqlite-provider")]
pub mod sqlite_provider;
