//! The rules, as a state machine without I/O: what every backend in Rust calls inside its atomic step.
//!
//! A backend keeps [`Record`]s, finds them by the look-ups of [`PoolRecords`], and calls the functions of this module
//! within one transaction (or under one lock) of one pool. Each does a whole call: it settles the pool (`TIME-2`),
//! decides, and writes what it decided through the same trait. Nothing here reads a clock, waits, or keeps anything.
//!
//! | call of the trait | here |
//! |---|---|
//! | `save_key_packages` | [`save`] |
//! | `reserve_key_packages`, `claim_key_packages` | [`reserve`], [`claim`] |
//! | `spend_key_packages`, `release_key_packages` | [`spend`], [`release`] |
//! | `withdraw_key_packages`, `retire_unspent` | [`withdraw`], [`retire`] |
//! | `release_expired_reservations` | [`settle`] |
//! | `cleanup_expired` | [`Record::is_expired`] |
//! | reads | [`Record::settled`], then [`Record::status`], [`Record::is_available`], [`State::shows_bytes`] |
//!
//! The functions return two results, one in the other: the outer one is the backend's (the step failed: roll back, and
//! answer with a failure), the inner one the rules' (a [`Rejection`](crate::Rejection) is an answer: commit, since the
//! pool may have been settled).
//!
//! [`Model`] is a whole store over the plainest [`PoolRecords`] there is, a list: what the others are compared with.
//! The text of every rule stands in [`contract`](crate::contract).

mod model;
mod pool_records;
mod record;
mod save;
mod settle;
mod spend;
mod take;
mod withdraw;

pub use crate::contract::{METADATA as CLIENT_CATALOGUE, Rule, STORE as CATALOGUE};
pub use model::{Model, ModelPool};
pub use pool_records::PoolRecords;
pub use record::{LeaseRecord, Recall, Record, Spent, State, Window};
pub use save::{Limits, MAX_LAST_RESORT_SLOTS, save};
pub use settle::settle;
pub use spend::{release, spend};
pub use take::{claim, fits, reserve};
pub use withdraw::{retire, withdraw};

/// What the rules answer, or why not.
pub type Answer<T> = Result<T, crate::Rejection>;
