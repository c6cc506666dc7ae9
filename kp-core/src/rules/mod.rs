//! Decides every call of a store: the rules of the [`contract`](crate::contract), as a state machine without I/O.
//!
//! A backend in Rust keeps [`Record`]s, finds them by the look-ups of [`PoolRecords`], and calls the functions of this
//! module inside its atomic step: one transaction, or one lock, of one pool. Each function does a whole call. It
//! settles the pool ([TIME-2](crate::contract::TIME_2)), decides, and writes the decision through the same trait. No
//! function reads a clock, waits, or keeps anything.
//!
//! | call of the trait | here |
//! |---|---|
//! | `save_key_packages` | [`save`] |
//! | `reserve_key_packages`, `claim_key_packages` | [`reserve`], [`claim`] |
//! | `spend_key_packages`, `release_key_packages`, `renew_key_packages` | [`spend`], [`release`], [`renew`] |
//! | `withdraw_key_packages`, `retire_unspent` | [`withdraw`], [`retire`] |
//! | `release_expired_reservations` | [`settle`] |
//! | `cleanup_expired` | [`Record::is_expired`] |
//! | `count_by_status`, `list_ready` | [`count`], [`ready`] |
//! | other reads | [`Record::settled`], then [`Record::status`], [`Record::is_available`], [`State::shows_bytes`] |
//!
//! A list in a call is bounded: [`bounded`], [`bounded_takes`] and [`bounded_withdrawal`] come before the step.
//!
//! The functions return two results, one in the other:
//!
//! - The outer error is the backend's: the step failed. Roll back, and answer with a failure.
//! - The inner error is a [`Rejection`](crate::Rejection), which is an answer. Commit all the same, since the pool may
//!   have been settled.
//!
//! A backend that keeps a record in a row, and its lease in another, has their columns from [`RecordColumns`] and
//! [`LeaseColumns`], and the state back by [`ReadColumns`].
//!
//! A backend whose look-ups are asynchronous loads records into a [`LoadedPool`], and runs the rules over that.
//!
//! [`Model`] is a whole store over the plainest [`PoolRecords`] there is, a list. The conformance suite compares other
//! stores with the model.

mod answer;
mod bounds;
mod columns;
mod loaded;
mod model;
mod pool_records;
mod read;
mod record;
mod save;
mod settle;
mod spend;
mod take;
mod withdraw;

pub use crate::contract::{METADATA as CLIENT_CATALOGUE, Rule, STORE as CATALOGUE};
pub use answer::Answer;
pub use bounds::{MAX_CIPHERSUITES, MAX_ITEMS, bounded, bounded_takes, bounded_withdrawal};
pub use columns::{Column, LeaseColumns, ReadColumns, RecordColumns};
pub use loaded::{Change, Extent, Interrupted, LoadedPool, LookUp};
pub use model::{Model, ModelPool};
pub use pool_records::PoolRecords;
pub use read::{count, ready};
pub use record::{Kept, LeaseRecord, Recall, Record, Spent, State, Window};
pub use save::{Limits, MAX_LAST_RESORT_SLOTS, save};
pub use settle::settle;
pub use spend::{release, renew, spend};
pub use take::{claim, fits, reserve};
pub use withdraw::{retire, withdraw};
