use std::borrow::Cow;

use kp_core::server::{Cursor, InvalidCursor};
use kp_core::{KeyPackageRef, Party, PoolId};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::codes::WithdrawOutcome;
use super::hex::Hex;

/// The facts about a package. A store compares them, keeps them, and gives them back as they were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Info {
    /// Its name within its pool: 1 to 64 bytes.
    #[serde(rename = "ref")]
    pub key_package_ref: Hex<KeyPackageRef>,
    /// The number of its ciphersuite.
    pub ciphersuite: u16,
    /// The first second of its lifetime.
    pub not_before: i64,
    /// The first second after its lifetime.
    pub not_after: i64,
    /// Whether it is handed out once.
    pub role: Role,
    /// The hash of its credential: 32 bytes.
    pub credential: Hex<[u8; 32]>,
}

/// Whether a package is handed out once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Handed out once.
    OneTime,
    /// Handed out when no one-time package is left, and shared.
    LastResort,
}

/// A package: its facts and its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// The facts.
    pub info: Info,
    /// 1 to 65,535 bytes.
    pub bytes: Hex<Vec<u8>>,
}

/// A package to save, with what a store keeps beside it and shows in no read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// The package.
    pub package: Package,
    /// The fingerprint of its init key: 8 bytes. Null equals nothing.
    pub fingerprint: Option<Hex<[u8; 8]>>,
    /// The types that its owner supports, without those that every client does. Null meets what the empty list meets.
    pub support: Option<Vec<Type>>,
}

/// A type of extension, proposal or credential: 3 bytes, only ever compared. The first names the kind.
pub type Type = Hex<[u8; 3]>;

/// One request for a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Take {
    /// The pool.
    pub pool: Hex<PoolId>,
    /// The retry key: 16 bytes.
    pub id: Hex<[u8; 16]>,
    /// How many seconds the lease or the replay window lasts: 1 to 2^31 - 1.
    pub ttl: u32,
    /// The ciphersuites accepted; none means any.
    pub ciphersuites: Vec<u16>,
    /// How many seconds of its lifetime the package must have left at least.
    pub remaining: u32,
    /// The types that the package's owner must support. A package fits if each is among its `support`.
    pub requirements: Vec<Type>,
    /// The one package wanted, and no other.
    pub only: Option<Hex<KeyPackageRef>>,
    /// Whether a last-resort package will do.
    pub last_resort: LastResort,
    /// Who asks: 1 to 64 bytes, only ever compared.
    pub by: Option<Hex<Party>>,
    /// How many live or used packages of the pool `by` may have. Ignored without `by`.
    pub limit: Option<u32>,
}

/// Whether a last-resort package will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LastResort {
    /// One-time packages only.
    Never,
    /// A last-resort package when no one-time package fits.
    Fallback,
    /// A last-resort package only.
    Only,
}

/// What spends, releases or renews a reservation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The pool.
    pub pool: Hex<PoolId>,
    /// The package.
    #[serde(rename = "ref")]
    pub key_package_ref: Hex<KeyPackageRef>,
    /// The id of the reservation: 16 bytes.
    pub id: Hex<[u8; 16]>,
}

/// The right to spend one package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// What spends it.
    pub token: Token,
    /// The first second at which it no longer holds.
    pub expires_at: i64,
}

/// A package on loan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reservation {
    /// The package.
    pub package: Package,
    /// Null for a last-resort package.
    pub lease: Option<Lease>,
}

/// Proof that a package is spent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The package.
    #[serde(rename = "ref")]
    pub key_package_ref: Hex<KeyPackageRef>,
    /// When it was spent.
    pub spent_at: i64,
}

/// Where a package stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "is", rename_all = "snake_case", deny_unknown_fields)]
pub enum Status {
    /// One-time, and can be handed out now.
    Available {},
    /// One-time and free, before its `not_before`.
    NotYetValid {},
    /// Leased, recalled or not.
    Reserved {
        /// When the lease ends.
        until: i64,
    },
    /// Never handed out again.
    Spent {
        /// Since when.
        at: i64,
        /// Why.
        cause: Cause,
    },
    /// Past its `not_after`, and not swept yet.
    Expired {},
    /// In the last-resort slot of its ciphersuite.
    LastResort {
        /// Whether it was handed out.
        used: bool,
    },
}

/// Why a package is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Spent by its reservation, or claimed.
    Used,
    /// Its lease lapsed under `retire`, or a backup was restored.
    Retired,
    /// Its owner withdrew it, or replaced it by a save.
    Withdrawn,
    /// Another package took its last-resort slot.
    Replaced,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stored {
    /// The facts.
    pub info: Info,
    /// Where it stands.
    pub status: Status,
    /// The bytes, while it is unspent; else null.
    pub bytes: Option<Hex<Vec<u8>>>,
}

/// A package that could be handed out now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ready {
    /// The facts.
    pub info: Info,
    /// When it was first saved.
    pub saved_at: i64,
}

/// What is counted of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Counted {
    /// An entry for each ciphersuite of which the pool has a record, in any order.
    pub ciphersuites: Vec<CountedSuite>,
    /// How many one-time packages the pool's memory still takes.
    pub room: u32,
}

/// What is counted of one ciphersuite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CountedSuite {
    /// The ciphersuite.
    pub ciphersuite: u16,
    /// One-time packages that can be handed out now.
    pub available: u32,
    /// Packages that are leased, recalled ones included.
    pub reserved: u32,
    /// Of the reserved, how many are recalled.
    pub recalled: u32,
    /// Packages that are spent, and remembered.
    pub spent: u32,
    /// Of the spent, how many were last-resort packages.
    pub spent_last_resorts: u32,
    /// One-time packages that are free, and not valid yet.
    pub not_yet_valid: u32,
    /// Packages past their `not_after`, and not swept yet.
    pub expired: u32,
    /// The last-resort slot.
    pub last_resort: Slot,
}

/// A last-resort slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Slot {
    /// There is no such package.
    Empty,
    /// It was never handed out.
    Unused,
    /// It was handed out, or may have been.
    Used,
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; null when this is the last.
    pub next: Option<Place>,
}

/// A place in a listing: `s` and the number of a package's place in its pool's queue, in decimal, or `p` and a pool's id,
/// in hexadecimal. The next page begins behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Place(
    /// The place, as the contract has it.
    pub Cursor,
);

impl JsonSchema for Place {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Place".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^(s(0|[1-9][0-9]*)|p([0-9a-f]{2})+)$"})
    }
}

impl TryFrom<String> for Place {
    type Error = InvalidCursor;

    fn try_from(text: String) -> Result<Self, InvalidCursor> {
        text.parse().map(Self)
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.0.to_string()
    }
}

/// How far `retire_unspent` came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retired {
    /// How many were retired, newly recalled or newly marked.
    pub retired: u64,
    /// Where to go on; null when all pools were walked.
    pub next: Option<Place>,
}

/// What became of one ref of a withdrawal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Withdrawn {
    /// The package.
    #[serde(rename = "ref")]
    pub key_package_ref: Hex<KeyPackageRef>,
    /// What became of it.
    pub outcome: WithdrawOutcome,
}
