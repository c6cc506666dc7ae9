use std::path::PathBuf;

use kp_core::{GroupId, KeyPackageRef, Party, PoolId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::codes::Rejection;
use super::hex::Hex;
use super::values::{Item, Place, Take, Token};
use crate::Method;

/// The version of the protocol.
pub const VERSION: u32 = 1;

/// One line that the adapter reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Request {
    /// The answer to this request has the same number.
    pub id: u64,
    /// The store that is called, by the number of its `open`. Absent for calls of the adapter itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<u64>,
    /// The call, and its arguments.
    #[serde(flatten)]
    pub call: Call,
}

/// A call: its name and its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "call", content = "args", rename_all = "snake_case")]
pub enum Call {
    /// The first request of a process. Answered by `Hello`.
    Hello(Greeting),
    /// Opens a store. Answered by null.
    Open(Open),
    /// Closes a store. Answered by null.
    Close {
        /// The store's number.
        store: u64,
    },
    /// Removes what is left of a space, all of whose stores are closed. Answered by null.
    Destroy(Space),
    /// Answered by a list of outcomes, one for each package.
    SaveKeyPackages {
        /// The pool.
        pool: Hex<PoolId>,
        /// The packages, in the order in which they are handed out.
        packages: Vec<Item>,
        /// Whether the packages that the pool holds stay.
        mode: SaveMode,
        /// The most one-time packages of a ciphersuite that are free or reserved; 2^32 - 1 when there is no cap.
        cap_per_ciphersuite: u32,
        /// The time.
        now: i64,
    },
    /// Answered by a list, one item for each request: `ok` with a reservation.
    ReserveKeyPackages {
        /// The requests.
        takes: Vec<Take>,
        /// What becomes of a package whose lease lapses.
        on_lapse: OnLapse,
        /// The time.
        now: i64,
    },
    /// Answered by a list, one item for each request: `ok` with a package.
    ClaimKeyPackages {
        /// The requests.
        takes: Vec<Take>,
        /// What the packages are claimed for: 1 to 255 bytes, only ever compared.
        group: Option<Hex<GroupId>>,
        /// The time.
        now: i64,
    },
    /// Answered by a list, one item for each token: `ok` with a receipt.
    SpendKeyPackages {
        /// The tokens.
        tokens: Vec<Token>,
        /// What the packages are spent for.
        group: Option<Hex<GroupId>>,
        /// Who spends.
        by: Option<Hex<Party>>,
        /// The time.
        now: i64,
    },
    /// Answered by a list, one item for each token: `ok` with null.
    ReleaseKeyPackages {
        /// The tokens.
        tokens: Vec<Token>,
        /// The time.
        now: i64,
    },
    /// Answered by a list, one item for each token: `ok` with a lease.
    RenewKeyPackages {
        /// The tokens.
        tokens: Vec<Token>,
        /// How long the leases last from now on.
        ttl: u32,
        /// The time.
        now: i64,
    },
    /// Answered by a record, or null.
    GetKeyPackage {
        /// The pool.
        pool: Hex<PoolId>,
        /// The package.
        #[serde(rename = "ref")]
        key_package_ref: Hex<KeyPackageRef>,
        /// The time.
        now: i64,
    },
    /// Answered by a list: the status of each ref, or null.
    GetStatuses {
        /// The pool.
        pool: Hex<PoolId>,
        /// The packages.
        refs: Vec<Hex<KeyPackageRef>>,
        /// The time.
        now: i64,
    },
    /// Answered by a page of facts, whose places begin with `s`.
    ListAvailable {
        /// The pool.
        pool: Hex<PoolId>,
        /// Where the page begins; null for the first.
        after: Option<Place>,
        /// The most items; 0 counts as 1.
        limit: u32,
        /// The time.
        now: i64,
    },
    /// Answered by a list of ready packages.
    ListReady {
        /// The pool.
        pool: Hex<PoolId>,
        /// The time.
        now: i64,
    },
    /// Answered by the counts.
    CountByStatus {
        /// The pool.
        pool: Hex<PoolId>,
        /// The time.
        now: i64,
    },
    /// Answered by a page of pools' ids, whose places begin with `p`.
    ListPools {
        /// Where the page begins; null for the first.
        after: Option<Place>,
        /// The most items; 0 counts as 1.
        limit: u32,
    },
    /// Answered by a list of what became of each.
    WithdrawKeyPackages {
        /// The pool.
        pool: Hex<PoolId>,
        /// The packages; null for all that are unspent.
        refs: Option<Vec<Hex<KeyPackageRef>>>,
        /// The time.
        now: i64,
    },
    /// Answered by null.
    DeletePool {
        /// The pool.
        pool: Hex<PoolId>,
    },
    /// Answered by how far it came; its places begin with `p`.
    RetireUnspent {
        /// Packages first saved before this may be spent in truth.
        saved_before: i64,
        /// The time.
        now: i64,
        /// Where to begin; null for the first pool.
        after: Option<Place>,
        /// The most pools; 0 counts as 1.
        limit: u32,
    },
    /// Answered by the number of packages removed.
    CleanupExpired {
        /// The time.
        now: i64,
        /// The most packages; 0 counts as 1.
        limit: u32,
    },
    /// Answered by the number of leases and windows that were ended.
    ReleaseExpiredReservations {
        /// The time.
        now: i64,
        /// The most pools; 0 counts as 1.
        limit: u32,
    },
}

impl Call {
    /// The method of the contract that it is; none for a call of the adapter itself.
    #[must_use]
    pub const fn method(&self) -> Option<Method> {
        Some(match self {
            Self::Hello(_) | Self::Open(_) | Self::Close { .. } | Self::Destroy(_) => return None,
            Self::SaveKeyPackages { .. } => Method::Save,
            Self::ReserveKeyPackages { .. } => Method::Reserve,
            Self::ClaimKeyPackages { .. } => Method::Claim,
            Self::SpendKeyPackages { .. } => Method::Spend,
            Self::ReleaseKeyPackages { .. } => Method::Release,
            Self::RenewKeyPackages { .. } => Method::Renew,
            Self::GetKeyPackage { .. } => Method::Get,
            Self::GetStatuses { .. } => Method::Statuses,
            Self::ListAvailable { .. } => Method::ListAvailable,
            Self::ListReady { .. } => Method::ListReady,
            Self::CountByStatus { .. } => Method::Count,
            Self::ListPools { .. } => Method::ListPools,
            Self::WithdrawKeyPackages { .. } => Method::Withdraw,
            Self::DeletePool { .. } => Method::DeletePool,
            Self::RetireUnspent { .. } => Method::Retire,
            Self::CleanupExpired { .. } => Method::CleanUp,
            Self::ReleaseExpiredReservations { .. } => Method::Settle,
        })
    }

    /// How many items it has, if it is a batch.
    #[must_use]
    pub fn items(&self) -> usize {
        match self {
            Self::SaveKeyPackages { packages, .. } => packages.len(),
            Self::ReserveKeyPackages { takes, .. } | Self::ClaimKeyPackages { takes, .. } => takes.len(),
            Self::SpendKeyPackages { tokens, .. }
            | Self::ReleaseKeyPackages { tokens, .. }
            | Self::RenewKeyPackages { tokens, .. } => tokens.len(),
            _ => 1,
        }
    }

    /// Its name on the wire.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match (self, self.method()) {
            (_, Some(method)) => method.name(),
            (Self::Hello(_), None) => "hello",
            (Self::Open(_), None) => "open",
            (Self::Close { .. }, None) => "close",
            (_, None) => "destroy",
        }
    }
}

/// The program's greeting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Greeting {
    /// The version of the protocol that the program speaks.
    pub protocol: u32,
}

/// The adapter's greeting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// The version of the protocol that the adapter speaks.
    pub protocol: u32,
    /// The backend's name, as the report shows it.
    pub name: String,
    /// What the backend can do beyond one store at a time.
    pub facets: Vec<Facet>,
    /// The methods that it offers; all of them when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<Vec<String>>,
}

/// What a backend can do beyond one store at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Facet {
    /// Several stores on one space, at the same time.
    Handles,
    /// What was answered is there when the space is opened again, all its stores closed in between.
    Reopens,
    /// Several adapters on one space, at the same time.
    Processes,
    /// A store is opened with the `max_records` of its space.
    Limits,
}

/// Names a place of its own for one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Space {
    /// Unique among all spaces of all runs: 1 to 40 of `a-z`, `0-9` and `-`.
    pub space: String,
    /// A directory for the space, which the program made and removes.
    pub dir: PathBuf,
}

/// What a store is opened with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Open {
    /// The number by which calls name the store: new in this process.
    pub store: u64,
    /// The name of its space.
    pub space: String,
    /// The directory of its space.
    pub dir: PathBuf,
    /// How many packages of each role a pool may remember.
    pub max_records: u32,
}

/// Whether the packages that the pool holds stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SaveMode {
    /// They stay.
    Append,
    /// The others of the ciphersuites accepted are withdrawn.
    Replace,
    /// They stay, and no new one is stored: those that are there gain the fingerprint and support that they lack.
    Amend,
}

/// What becomes of a package whose lease lapses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnLapse {
    /// It returns to its place.
    Return,
    /// It is spent.
    Retire,
}

/// How a call ended, or, in a batch, one of its items. A line that the adapter writes has one of these, and beside it, as
/// `id`, the number of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome<T> {
    /// The answer of the rules.
    Ok(T),
    /// The refusal of the rules.
    Rejected(Rejection),
    /// No answer: the backend failed.
    Failed(Failure),
}

/// A failure of the backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// What is known of the call.
    pub effect: Effect,
    /// Whether the same call may succeed soon.
    #[serde(default)]
    pub transient: bool,
    /// For people.
    pub message: String,
}

/// What is known of a call that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It certainly changed nothing.
    NotApplied,
    /// It may have been applied, or may still be.
    Unknown,
}
