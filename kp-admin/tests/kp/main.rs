//! The command `kp`, as an operator runs it.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

mod arguments;
mod checking;
mod commands;
mod copying;
mod damaged;
mod legs;
mod scene;
