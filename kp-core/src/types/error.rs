use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// Boxes any error, as the source of another error.
pub type BoxError = Box<dyn StdError + Send + Sync + 'static>;

/// Returns the answer of a store, or why there is none.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Says why a call got no answer: the rules refuse the request, or the backend failed. A refusal and a failure are
/// never confused ([ERR-3](crate::contract::ERR_3)).
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error<R = Rejection> {
    /// The rules refuse the request. Nothing changed, except that lapsed leases ended
    /// ([TIME-2](crate::contract::TIME_2)). To repeat the request is of no use until something changes.
    #[error("{0}")]
    Rejected(R),
    /// The backend failed. [`BackendError::effect`] says what is known of the call; repeat the request with the same
    /// id.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl<R> Error<R> {
    /// Returns the refusal; `None` for a failure of the backend.
    pub fn rejection(&self) -> Option<&R> {
        match self {
            Self::Rejected(rejection) => Some(rejection),
            Self::Backend(_) => None,
        }
    }
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

/// Refuses a request, by the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Rejection {
    /// No one-time package is available, and no last-resort package fits ([RES-6](crate::contract::RES_6)). The owner
    /// has to upload.
    #[error("the pool has no KeyPackage left")]
    PoolExhausted,
    /// Packages are available, but no package fits the request ([RES-6](crate::contract::RES_6)). Ask for less: another
    /// ciphersuite, less lifetime left, fewer requirements.
    #[error("no KeyPackage of the pool is as asked")]
    NothingFits,
    /// The package named, or the package that this id was answered with, is used, withdrawn, retired or replaced. Take
    /// another package, with a fresh id.
    #[error("the KeyPackage is spent")]
    AlreadySpent,
    /// Another reservation holds the package named ([RES-3](crate::contract::RES_3)). Take another package, or ask
    /// again when the reservation may have lapsed.
    #[error("the KeyPackage is reserved")]
    AlreadyReserved,
    /// The package is past its `not_after`.
    #[error("the KeyPackage has expired")]
    Expired,
    /// The pool has no record of the package: never saved, swept, or in another pool.
    #[error("no such KeyPackage")]
    NotFound,
    /// The package named does not fit the request: another ciphersuite, too little lifetime left, not yet valid, last
    /// resort.
    #[error("the KeyPackage is not as asked")]
    Unsuitable,
    /// The id belongs to another request: another package was named, other ciphersuites are accepted, more is required
    /// than the package has, or another party asked ([RES-5](crate::contract::RES_5)). Use a fresh id.
    #[error("the reservation id belongs to another request")]
    ReservationConflict,
    /// The party has as many packages of this pool as the limit allows ([RES-7](crate::contract::RES_7)). Ask again
    /// when a lease or window of the party has ended.
    #[error("too many reservations of this pool by one party")]
    TooManyReservations,
    /// The token's reservation does not hold: lapsed, released, superseded or never made
    /// ([SPEND-2](crate::contract::SPEND_2)). Do not send the Welcome: reserve again.
    #[error("the reservation no longer holds")]
    NoLiveReservation,
    /// A list in the call has more than [`MAX_ITEMS`](crate::rules::MAX_ITEMS) items, or a request more than
    /// [`MAX_CIPHERSUITES`](crate::rules::MAX_CIPHERSUITES) ([COST-1](crate::contract::COST_1)). Nothing was done for any item: split the call.
    #[error("more items than one call may name")]
    TooManyItems,
    /// The cursor does not come from this listing. Begin the listing anew.
    #[error("not a cursor of this listing")]
    InvalidCursor,
}

impl Rejection {
    /// Lists all rejections.
    pub const ALL: &'static [Self] = &[
        Self::PoolExhausted,
        Self::NothingFits,
        Self::AlreadySpent,
        Self::AlreadyReserved,
        Self::Expired,
        Self::NotFound,
        Self::Unsuitable,
        Self::ReservationConflict,
        Self::TooManyReservations,
        Self::NoLiveReservation,
        Self::TooManyItems,
        Self::InvalidCursor,
    ];

    /// Names the rejection, for protocols and logs. A name never changes once released
    /// ([ERR-3](crate::contract::ERR_3)).
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::PoolExhausted => "pool_exhausted",
            Self::NothingFits => "nothing_fits",
            Self::AlreadySpent => "already_spent",
            Self::AlreadyReserved => "already_reserved",
            Self::Expired => "expired",
            Self::NotFound => "not_found",
            Self::Unsuitable => "unsuitable",
            Self::ReservationConflict => "reservation_conflict",
            Self::TooManyReservations => "too_many_reservations",
            Self::NoLiveReservation => "no_live_reservation",
            Self::TooManyItems => "too_many_items",
            Self::InvalidCursor => "invalid_cursor",
        }
    }
}

/// Says what is known of a call that failed ([ERR-1](crate::contract::ERR_1)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The call certainly changed nothing.
    NotApplied,
    /// The call may have been applied, or may still be. The same request again finds out.
    Unknown,
}

/// Reports a failure of the backend: which backend, in which call, and what is known of the call.
///
/// A clone is cheap, so that one lost connection can answer a whole batch. The text holds no package bytes, reservation
/// ids or tokens ([ERR-4](crate::contract::ERR_4)).
///
/// ```
/// use kp_core::{BackendError, Effect};
///
/// let disk_full = std::io::Error::other("disk full");
/// let full = BackendError::new("sqlite", "save_key_packages", Effect::NotApplied, disk_full);
/// assert_eq!(full.to_string(), "sqlite: save_key_packages failed (not applied): disk full");
/// assert!(!full.is_transient());
/// ```
#[derive(Debug, Clone)]
pub struct BackendError(Arc<Failure>);

#[derive(Debug)]
struct Failure {
    backend: &'static str,
    operation: &'static str,
    effect: Effect,
    transient: bool,
    source: BoxError,
}

impl BackendError {
    /// Reports a failure that is not transient.
    ///
    /// `operation` is the name of the trait's method, or `open` or `close`.
    pub fn new(backend: &'static str, operation: &'static str, effect: Effect, source: impl Into<BoxError>) -> Self {
        Self(Arc::new(Failure {
            backend,
            operation,
            effect,
            transient: false,
            source: source.into(),
        }))
    }

    /// Reports a transient failure, which may well be gone at the next try: a time-out, a lost connection.
    pub fn transient(
        backend: &'static str,
        operation: &'static str,
        effect: Effect,
        source: impl Into<BoxError>,
    ) -> Self {
        Self(Arc::new(Failure {
            backend,
            operation,
            effect,
            transient: true,
            source: source.into(),
        }))
    }

    /// Names the backend.
    #[must_use]
    pub fn backend(&self) -> &'static str {
        self.0.backend
    }

    /// Names the call that failed, as the trait does.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// Returns what is known of the call.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.0.effect
    }

    /// Returns whether the same call may succeed soon.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.0.transient
    }
}

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure {
            backend,
            operation,
            effect,
            source,
            ..
        } = &*self.0;
        let effect = match effect {
            Effect::NotApplied => "not applied",
            Effect::Unknown => "outcome unknown",
        };
        write!(f, "{backend}: {operation} failed ({effect}): {source}")
    }
}

impl StdError for BackendError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0.source)
    }
}

/// Says why a store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// No store is there, and none was to be made. Check the address, the schema and the prefix.
    #[error("no KeyPackage store is there")]
    Missing,
    /// The file or server holds another kind of data, and was left as it is. Open another place.
    #[error("not a KeyPackage database: {0}")]
    NotADatabase(String),
    /// A newer release of the backend wrote the database, which was left as it is. Upgrade.
    #[error("the database has schema {found}, and this release knows {known} at most")]
    NewerSchema {
        /// The schema found.
        found: u32,
        /// The newest schema known.
        known: u32,
    },
    /// The server or file is configured so that packages may be lost or handed out twice. Change the configuration.
    #[error("unsafe configuration: {0}")]
    UnsafeConfiguration(String),
    /// The server is too old. Upgrade the server.
    #[error("too old: {0}")]
    TooOld(String),
    /// The server or file cannot be reached, or cannot be written to.
    #[error("cannot open the store: {0}")]
    Unreachable(#[source] BoxError),
}
