//! What the tests of several crates stand on. Not published.

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

#[cfg(feature = "messenger")]
pub mod messenger;
#[cfg(feature = "servers")]
pub mod servers;
#[cfg(feature = "sqlite-provider")]
pub mod sqlite_provider;
