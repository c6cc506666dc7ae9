//! The contract: every rule that a store, an admission, a directory or a client's pool obeys, with its id and its text.
//!
//! Authors of stores read this module. Users of a store read the methods of
//! [`KeyPackageStore`](crate::server::KeyPackageStore), which link the rules that they follow. An id (`SAVE-1`) names
//! the same rule in docs, tests, checks of the conformance suite, SQL and Lua. A rule is a constant, so that its text
//! is data too: [`SAVE_1`] is the rule `SAVE-1`. A family of rules reads best in one piece: [`SAVE`], for example.
//!
//! # Contract
//!
//! A *package* is a KeyPackage with the facts needed to hand it out ([`KeyPackage`](crate::KeyPackage)). A *record* is
//! what a store remembers of a package.
//!
//! A one-time package moves between these states:
//!
//! - `Available -> Reserved -> Spent`: leased, then spent.
//! - `Reserved -> Available`: released, or the lease lapsed.
//! - `Available -> Spent`: claimed, retired or withdrawn.
//! - any state, then gone: swept past `not_after`.
//!
//! A spent record has a [`Cause`](crate::Cause): used, retired, withdrawn, or (a last-resort package) replaced. Every
//! cause is final and remembered. A package is *free* when it is available or not yet valid. A reserved package is
//! *recalled* when its owner withdrew it, or a restored backup retired it, during the lease.
//!
//! A last-resort package sits in one slot for each (pool, ciphersuite). It is handed out when no one-time package is
//! left, and is never used up.
//!
//! The table in `docs/state-machine.md` shows what each call answers in each state. The rules say why.
//!
//! | family | about |
//! |---|---|
//! | [`LIN`], [`COST`] | atomicity and cost of every call |
//! | [`SAVE`] | [`save_key_packages`](crate::server::KeyPackageStore::save_key_packages) |
//! | [`RES`] | [`reserve_key_packages`](crate::server::KeyPackageStore::reserve_key_packages) |
//! | [`CLAIM`] | [`claim_key_packages`](crate::server::KeyPackageStore::claim_key_packages) |
//! | [`SPEND`] | [`spend_key_packages`](crate::server::KeyPackageStore::spend_key_packages) |
//! | [`REL`] | [`release_key_packages`](crate::server::KeyPackageStore::release_key_packages) |
//! | [`REN`] | [`renew_key_packages`](crate::server::KeyPackageStore::renew_key_packages) |
//! | [`LAST`] | last-resort packages |
//! | [`READ`] | reads and listings |
//! | [`SWEEP`], [`DEL`] | sweeping, deleting, withdrawing |
//! | [`MOVE`] | [`MovePools`](crate::moving::MovePools): a pool moves from one store to another |
//! | [`TX`] | calls in a transaction of the server's own |
//! | [`ADM`] | [`Admission`](crate::server::Admission): from uploaded bytes to facts |
//! | [`DIR`] | the directory, a delivery service's policy |
//! | [`META`] | [`PoolMetadataStore`](crate::client::PoolMetadataStore): a client's rows |
//! | [`POOL`] | the client's pool, a messenger's policy |
//!
//! [`STORE`] lists the rules of a store, [`METADATA`] the rules of a metadata store, [`ALL`] every rule.
//!
//! # Time
//!
//! Time is an argument: no store reads a clock. Every call that depends on time carries `now`. A package *expires* when
//! `now` reaches its `not_after`. A reservation *lapses* when `now` reaches its `expires_at`. The rules are [`TIME`].
//!
//! # Errors
//!
//! A refusal ([`Rejection`](crate::Rejection)) is an answer of the rules. A failure
//! ([`BackendError`](crate::BackendError)) says whether the call was applied. The rules are [`ERR`] and [`PRIV`].
//!
//! # Cancellation
//!
//! Every future may be dropped at any point: [`ERR_2`].
//!
//! # Implementing
//!
//! A backend in Rust keeps [`Record`](crate::rules::Record)s, implements [`PoolRecords`](crate::rules::PoolRecords)
//! over them, and calls [`rules`](crate::rules) inside its atomic step. A backend that decides elsewhere (in SQL, in
//! Lua) restates the rules and cites the id at each line that serves a rule. The crate `kp-conformance` has checks for
//! every rule of a store. `docs/writing-a-backend.md` leads from an empty crate to a green run.

mod admission;
mod client_pool;
mod directory;
mod failures;
mod last_resort;
mod metadata;
mod moving;
mod own_transactions;
mod reading;
mod rule;
mod saving;
mod spending;
mod steps;
mod sweeping;
mod taking;
mod time;
mod withdrawing;

pub use admission::*;
pub use client_pool::*;
pub use directory::*;
pub use failures::*;
pub use last_resort::*;
pub use metadata::*;
pub use moving::*;
pub use own_transactions::*;
pub use reading::*;
pub use rule::Rule;
pub use saving::*;
pub use spending::*;
pub use steps::*;
pub use sweeping::*;
pub use taking::*;
pub use time::*;
pub use withdrawing::*;

use rule::{count, join};

const STORE_FAMILIES: &[&[Rule]] = &[
    TIME, LIN, COST, SAVE, RES, CLAIM, SPEND, REL, REN, LAST, READ, SWEEP, DEL, MOVE, ERR, PRIV,
];

/// Lists every rule of a [`KeyPackageStore`](crate::server::KeyPackageStore), in the order of the contract.
///
/// The conformance suite has checks for each.
pub const STORE: &[Rule] = &join::<{ count(STORE_FAMILIES) }>(STORE_FAMILIES);

/// Lists every rule of a [`PoolMetadataStore`](crate::client::PoolMetadataStore). The conformance suite has checks for
/// each.
pub const METADATA: &[Rule] = META;

const FAMILIES: &[&[Rule]] = &[STORE, TX, ADM, DIR, META, POOL];

/// Lists every rule of the contract.
pub const ALL: &[Rule] = &join::<{ count(FAMILIES) }>(FAMILIES);
