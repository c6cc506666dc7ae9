//! The routes and the client, over real connections on 127.0.0.1.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "what a test stands on may panic, and looks at the clock"
)]

mod calls;
mod hostile;
mod idempotency;
mod limits;
mod notices;
mod openapi;
mod raw;
mod stopping;
mod tls;
mod trying_again;
mod world;
mod wrong;
