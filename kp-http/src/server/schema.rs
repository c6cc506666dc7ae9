//! Describes, for the OpenAPI document, the types of `kp-core` that travel as they are, and the answers to batches. The tests hold
//! every answer against these descriptions.
//!
//! An object inside another is described by a name of its own: programs that generate clients make a type of it, and cannot name
//! one that has none.

#![allow(dead_code, reason = "read by the document alone")]

use std::collections::BTreeMap;

use utoipa::ToSchema;

use crate::wire::{HandedOut, LeaseReleased, LeaseRenewed};

/// How a pool, or a ciphersuite of it, is doing, from best to worst. A later release may know more.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Health {
    Good,
    /// The last resort was never handed out, and there never was a one-time package.
    LastResortOnly,
    /// Upload soon.
    Low,
    /// Upload now.
    Exhausted,
    /// Upload, and replace the last resort.
    LastResortUsed,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Slot {
    Empty,
    Unused,
    Used,
}

/// How many KeyPackages of a ciphersuite have which status.
#[derive(ToSchema)]
pub(crate) struct Counts {
    available: u32,
    reserved: u32,
    recalled: u32,
    spent: u32,
    spent_last_resorts: u32,
    not_yet_valid: u32,
    expired: u32,
    last_resort: Slot,
}

#[derive(ToSchema)]
pub(crate) struct CiphersuiteStatus {
    health: Health,
    counts: Counts,
    /// How many one-time packages may be uploaded.
    upload: u32,
    /// How many of the available packages expire soon.
    expiring_soon: u32,
}

#[derive(ToSchema)]
pub(crate) struct PoolStatus {
    /// By the number of the ciphersuite.
    ciphersuites: BTreeMap<String, CiphersuiteStatus>,
    /// How many one-time packages the pool's memory still takes.
    room: u32,
}

/// How the caller's own pool is doing.
#[derive(ToSchema)]
pub(crate) struct StatusAnswer {
    /// That of the ciphersuite that is worst off.
    health: Health,
    /// Whether the pool remembers as many one-time packages as it can.
    memory_full: bool,
    /// By the number of the ciphersuite.
    ciphersuites: BTreeMap<String, CiphersuiteStatus>,
    /// How many one-time packages the pool's memory still takes.
    room: u32,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Cause {
    Used,
    Retired,
    Withdrawn,
    Replaced,
}

/// What became of a KeyPackage.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Status {
    Available,
    NotYetValid,
    Reserved(Reserved),
    Spent(Spent),
    Expired,
    LastResort(LastResort),
}

/// Leased, until this Unix time.
#[derive(ToSchema)]
pub(crate) struct Reserved {
    until: i64,
}

/// Gone, since this Unix time.
#[derive(ToSchema)]
pub(crate) struct Spent {
    at: i64,
    cause: Cause,
}

/// Whether the last resort was handed out.
#[derive(ToSchema)]
pub(crate) struct LastResort {
    used: bool,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Role {
    OneTime,
    LastResort,
}

/// A KeyPackage that would be handed out.
#[derive(ToSchema)]
pub(crate) struct HeldKeyPackage {
    /// The ref, in hexadecimal.
    key_package_ref: String,
    role: Role,
    /// In Unix time.
    saved_at: i64,
}

/// What a server knows of a pool.
#[derive(ToSchema)]
pub(crate) struct SyncReport {
    /// The status of each KeyPackage that was named, in order; null where there is no record.
    yours: Vec<Option<Status>>,
    /// What else would be handed out.
    unknown_to_you: Vec<HeldKeyPackage>,
    status: PoolStatus,
    /// The server's Unix time.
    #[schema(required = true)]
    server_time: Option<i64>,
    /// KeyPackages whose lifetime began before this Unix time are refused.
    #[schema(required = true)]
    restore_point: Option<i64>,
}

/// Proves that a KeyPackage is spent.
#[derive(ToSchema)]
pub(crate) struct Receipt {
    /// The ref, in hexadecimal.
    key_package_ref: String,
    /// In Unix time.
    spent_at: i64,
}

/// Describes `Answer<T>` for one `T`.
macro_rules! answer {
    ($name:ident, $done:ident) => {
        /// The answer to one item of a batch: it was done, or the rules refuse it.
        #[derive(ToSchema)]
        #[schema(rename_all = "snake_case")]
        pub(crate) enum $name {
            /// The item was done.
            Ok($done),
            /// The rules refuse the item, for the reason of this code.
            Refused(String),
        }
    };
}

/// Describes `TokensAnswer<T>` for one `T`.
macro_rules! tokens_answer {
    ($name:ident, $answer:ident, $done:ident) => {
        answer!($answer, $done);

        /// One answer for each token, in order.
        #[derive(ToSchema)]
        pub(crate) struct $name {
            answers: Vec<$answer>,
        }
    };
}

tokens_answer!(SpendAnswer, SpendOneAnswer, Receipt);
tokens_answer!(RenewAnswer, RenewOneAnswer, LeaseRenewed);
tokens_answer!(ReleaseAnswer, ReleaseOneAnswer, LeaseReleased);
answer!(HandOutAnswer, HandedOut);

/// One answer for each device of a user.
#[derive(ToSchema)]
pub(crate) struct DevicesAnswer {
    /// The devices, in the server's order.
    devices: Vec<DeviceAnswer>,
}

/// The answer for one device of a user.
#[derive(ToSchema)]
pub(crate) struct DeviceAnswer {
    /// The device, as the server names it.
    device: String,
    /// A KeyPackage of the device, or why there is none.
    answer: HandOutAnswer,
}
