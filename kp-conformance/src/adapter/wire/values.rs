use std::borrow::Cow;

use kp_core::server::{
    Admitted, Cursor, InvalidCursor, LastResort as CoreLastResort, Lease as CoreLease, Page as CorePage,
    ReadyKeyPackage, Receipt as CoreReceipt, Reservation as CoreReservation, ReservationToken, StoredKeyPackage,
    TakeRequest,
};
use kp_core::{
    Cause as CoreCause, Ciphersuite, Counts, CredentialHash, KeyPackage, KeyPackageBytes, KeyPackageInfo,
    KeyPackageRef, Lifetime, Party, PoolCounts, PoolId, ReservationId, Role as CoreRole, Slot as CoreSlot,
    Status as CoreStatus, Timestamp,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::hex::Hex;
use super::misfit::Misfit;

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

/// Declares an enum of codes that mirrors one of kp-core, and the way there and back.
macro_rules! codes {
    ($(#[$doc:meta])* $name:ident is $core:ty { $($(#[$variant_doc:meta])* $variant:ident,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// All codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
        }

        impl From<$name> for $core {
            fn from(code: $name) -> Self {
                match code { $($name::$variant => Self::$variant,)+ }
            }
        }

        impl TryFrom<$core> for $name {
            type Error = Misfit;

            fn try_from(core: $core) -> Result<Self, Misfit> {
                match core {
                    $(<$core>::$variant => Ok(Self::$variant),)+
                    other => Err(Misfit::new(other.code())),
                }
            }
        }
    };
}

codes! {
    /// What became of one package of a save.
    SaveOutcome is kp_core::server::SaveOutcome {
        /// Stored now.
        Saved,
        /// Stored before, and unspent.
        AlreadyStored,
        /// Used, withdrawn, retired or replaced.
        AlreadySpent,
        /// Past its `not_after`.
        Expired,
        /// A last-resort package before its `not_before`.
        NotYetValid,
        /// The pool holds as many as it may.
        PoolFull,
        /// Another package is stored under the ref.
        RefConflict,
        /// Another package of the pool has the fingerprint.
        InitKeyReused,
    }
}

codes! {
    /// What a withdrawal did to one package.
    WithdrawOutcome is kp_core::server::WithdrawOutcome {
        /// Withdrawn now or before.
        Withdrawn,
        /// Used, retired or replaced before.
        AlreadySpent,
        /// No record, or past its `not_after`.
        NotFound,
    }
}

codes! {
    /// Why the rules refuse a request.
    Rejection is kp_core::Rejection {
        /// No one-time package is available, and no last-resort package fits.
        PoolExhausted,
        /// Packages are available, but none fits.
        NothingFits,
        /// The package is used, withdrawn, retired or replaced.
        AlreadySpent,
        /// Another reservation holds the package named.
        AlreadyReserved,
        /// The package is past its `not_after`.
        Expired,
        /// The pool has no record of the package.
        NotFound,
        /// The package named does not fit.
        Unsuitable,
        /// The id belongs to another request.
        ReservationConflict,
        /// The party has as many as its limit allows.
        TooManyReservations,
        /// The token's reservation does not hold.
        NoLiveReservation,
        /// A list has more items than one call may name.
        TooManyItems,
        /// The place is not one of this listing.
        InvalidCursor,
    }
}

fn timestamp(seconds: i64) -> Result<Timestamp, Misfit> {
    Timestamp::try_from(seconds).map_err(Misfit::new)
}

impl From<&KeyPackageInfo> for Info {
    fn from(info: &KeyPackageInfo) -> Self {
        Self {
            key_package_ref: Hex(info.key_package_ref.clone()),
            ciphersuite: info.ciphersuite.0,
            not_before: info.lifetime.not_before().get(),
            not_after: info.lifetime.not_after().get(),
            role: match info.role {
                CoreRole::OneTime => Role::OneTime,
                CoreRole::LastResort => Role::LastResort,
            },
            credential: Hex(info.credential.0),
        }
    }
}

impl TryFrom<Info> for KeyPackageInfo {
    type Error = Misfit;

    fn try_from(info: Info) -> Result<Self, Misfit> {
        let lifetime = Lifetime::new(timestamp(info.not_before)?, timestamp(info.not_after)?).map_err(Misfit::new)?;
        let (suite, credential) = (Ciphersuite(info.ciphersuite), CredentialHash(info.credential.0));
        let role = match info.role {
            Role::OneTime => CoreRole::OneTime,
            Role::LastResort => CoreRole::LastResort,
        };
        Ok(Self::new(info.key_package_ref.0, suite, lifetime, credential).role(role))
    }
}

impl From<&KeyPackage> for Package {
    fn from(package: &KeyPackage) -> Self {
        Self {
            info: (&package.info).into(),
            bytes: Hex(package.bytes.as_ref().to_vec()),
        }
    }
}

impl TryFrom<Package> for KeyPackage {
    type Error = Misfit;

    fn try_from(package: Package) -> Result<Self, Misfit> {
        Ok(Self::new(package.info.try_into()?, bytes(package.bytes)?))
    }
}

impl From<&Admitted> for Item {
    fn from(item: &Admitted) -> Self {
        Self {
            package: (&item.package).into(),
            fingerprint: item.fingerprint.map(|fingerprint| Hex(*fingerprint.as_bytes())),
            support: item.support.as_ref().map(|support| types(support.as_bytes())),
        }
    }
}

/// Three bytes for each type.
fn types(bytes: &[u8]) -> Vec<Type> {
    let (names, _) = bytes.as_chunks::<3>();
    names.iter().copied().map(Hex).collect()
}

fn bytes(bytes: Hex<Vec<u8>>) -> Result<KeyPackageBytes, Misfit> {
    KeyPackageBytes::try_from(bytes.0).map_err(Misfit::new)
}

impl From<&TakeRequest> for Take {
    fn from(take: &TakeRequest) -> Self {
        let options = &take.options;
        Self {
            pool: Hex(take.pool.clone()),
            id: Hex(*take.id.as_bytes()),
            ttl: take.ttl.get(),
            ciphersuites: options.ciphersuites.iter().map(|suite| suite.0).collect(),
            remaining: options.remaining,
            requirements: types(options.requirements.as_bytes()),
            only: options.only.clone().map(Hex),
            last_resort: match options.last_resort {
                CoreLastResort::Never => LastResort::Never,
                CoreLastResort::Fallback => LastResort::Fallback,
                CoreLastResort::Only => LastResort::Only,
            },
            by: options.by.clone().map(Hex),
            limit: take.limit,
        }
    }
}

impl From<&ReservationToken> for Token {
    fn from(token: &ReservationToken) -> Self {
        Self {
            pool: Hex(token.pool.clone()),
            key_package_ref: Hex(token.key_package_ref.clone()),
            id: Hex(*token.id().as_bytes()),
        }
    }
}

impl From<Token> for ReservationToken {
    fn from(token: Token) -> Self {
        Self::new(
            token.pool.0,
            token.key_package_ref.0,
            ReservationId::from_bytes(token.id.0),
        )
    }
}

impl TryFrom<Lease> for CoreLease {
    type Error = Misfit;

    fn try_from(lease: Lease) -> Result<Self, Misfit> {
        Ok(Self::new(lease.token.into(), timestamp(lease.expires_at)?))
    }
}

impl TryFrom<Reservation> for CoreReservation {
    type Error = Misfit;

    fn try_from(reservation: Reservation) -> Result<Self, Misfit> {
        let lease = reservation.lease.map(CoreLease::try_from).transpose()?;
        Ok(Self::new(reservation.package.try_into()?, lease))
    }
}

impl TryFrom<Receipt> for CoreReceipt {
    type Error = Misfit;

    fn try_from(receipt: Receipt) -> Result<Self, Misfit> {
        Ok(Self::new(receipt.key_package_ref.0, timestamp(receipt.spent_at)?))
    }
}

impl TryFrom<Status> for CoreStatus {
    type Error = Misfit;

    fn try_from(status: Status) -> Result<Self, Misfit> {
        Ok(match status {
            Status::Available {} => Self::Available,
            Status::NotYetValid {} => Self::NotYetValid,
            Status::Reserved { until } => Self::Reserved {
                until: timestamp(until)?,
            },
            Status::Spent { at, cause } => Self::Spent {
                at: timestamp(at)?,
                cause: match cause {
                    Cause::Used => CoreCause::Used,
                    Cause::Retired => CoreCause::Retired,
                    Cause::Withdrawn => CoreCause::Withdrawn,
                    Cause::Replaced => CoreCause::Replaced,
                },
            },
            Status::Expired {} => Self::Expired,
            Status::LastResort { used } => Self::LastResort { used },
        })
    }
}

impl TryFrom<Stored> for StoredKeyPackage {
    type Error = Misfit;

    fn try_from(stored: Stored) -> Result<Self, Misfit> {
        let bytes = stored.bytes.map(bytes).transpose()?;
        Ok(Self::new(stored.info.try_into()?, stored.status.try_into()?, bytes))
    }
}

impl TryFrom<Ready> for ReadyKeyPackage {
    type Error = Misfit;

    fn try_from(ready: Ready) -> Result<Self, Misfit> {
        Ok(Self::new(ready.info.try_into()?, timestamp(ready.saved_at)?))
    }
}

impl TryFrom<Counted> for PoolCounts {
    type Error = Misfit;

    fn try_from(counted: Counted) -> Result<Self, Misfit> {
        let mut all = Self::default();
        for suite in counted.ciphersuites {
            let mut counts = Counts::default();
            counts.available = suite.available;
            counts.reserved = suite.reserved;
            counts.recalled = suite.recalled;
            counts.spent = suite.spent;
            counts.spent_last_resorts = suite.spent_last_resorts;
            counts.not_yet_valid = suite.not_yet_valid;
            counts.expired = suite.expired;
            counts.last_resort = match suite.last_resort {
                Slot::Empty => CoreSlot::Empty,
                Slot::Unused => CoreSlot::Unused,
                Slot::Used => CoreSlot::Used,
            };
            if all
                .ciphersuites
                .insert(Ciphersuite(suite.ciphersuite), counts)
                .is_some()
            {
                return Err(Misfit::new(format!(
                    "ciphersuite {} is counted twice",
                    suite.ciphersuite
                )));
            }
        }
        all.room = counted.room;
        Ok(all)
    }
}

impl<T> Page<T> {
    /// The page of the contract.
    pub(crate) fn into_page<U>(self) -> Result<CorePage<U>, Misfit>
    where
        U: TryFrom<T>,
        U::Error: Into<Misfit>,
    {
        let items = self.items.into_iter().map(|item| U::try_from(item).map_err(Into::into));
        let items = items.collect::<Result<_, Misfit>>()?;
        Ok(CorePage::new(items, self.next.map(|place| place.0)))
    }
}

impl From<Hex<PoolId>> for PoolId {
    fn from(pool: Hex<PoolId>) -> Self {
        pool.0
    }
}
