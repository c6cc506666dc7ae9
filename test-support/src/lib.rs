//! What the tests of several crates stand on. Not published.

#![allow(missing_docs, missing_debug_implementations, reason = "read by tests alone")]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "what a test stands on may panic, and wait"
)]
#![allow(
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "what a test stands on may panic"
)]

#[cfg(feature = "messenger")]
pub mod messenger;
#[cfg(feature = "servers")]
pub mod servers;
#[cfg(feature = "sqlite-provider")]
pub mod sqlite_provider;
