use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// Any error, as a source.
pub type BoxError = Box<dyn StdError + Send + Sync + 'static>;

/// What a store answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call got no answer: the rules said no, or the backend failed. The two are never confused (`ERR-3`).
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error<R = Rejection> {
    /// The rules said no: nothing changed but what `TIME-2` ended. Asking again is of no use until something changes.
    #[error("{0}")]
    Rejected(R),
    /// The backend failed: see [`BackendError::effect`] for what is known, and ask again with the same id.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl<R> Error<R> {
    /// The rejection, if it is one.
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

/// The rules said no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Rejection {
    /// No one-time package is available, and no last-resort package fits (`RES-6`). The owner has to upload.
    #[error("the pool has no KeyPackage left")]
    PoolExhausted,
    /// Packages are available, but none is as asked (`RES-6`). Ask for less: another ciphersuite, less lifetime left.
    #[error("no KeyPackage of the pool is as asked")]
    NothingFits,
    /// The package, or the one this id was answered with, is used, withdrawn, retired or replaced. Take another, with a
    /// fresh id.
    #[error("the KeyPackage is spent")]
    AlreadySpent,
    /// Another reservation holds the package named (`RES-3`). Take another, or ask again when it may have lapsed.
    #[error("the KeyPackage is reserved")]
    AlreadyReserved,
    /// The package is past its `not_after`.
    #[error("the KeyPackage has expired")]
    Expired,
    /// No record of this package: never saved, swept, or of another pool.
    #[error("no such KeyPackage")]
    NotFound,
    /// The package named is not as asked: another ciphersuite, too little lifetime left, not yet valid, last resort.
    #[error("the KeyPackage is not as asked")]
    Unsuitable,
    /// The id belongs to another request: another package was named, or another party asks (`RES-5`). Use a fresh id.
    #[error("the reservation id belongs to another request")]
    ReservationConflict,
    /// The party has as many packages of this pool as it may (`RES-7`). Ask again when one of them lapses.
    #[error("too many reservations of this pool by one party")]
    TooManyReservations,
    /// The token's reservation does not hold: lapsed, released, superseded or never made (`SPEND-2`). Do not send the
    /// Welcome: reserve again.
    #[error("the reservation no longer holds")]
    NoLiveReservation,
    /// The cursor is not one that this call gave.
    #[error("not a cursor of this listing")]
    InvalidCursor,
}

impl Rejection {
    /// All rejections.
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
        Self::InvalidCursor,
    ];

    /// A stable name of it, for protocols and logs: never changed once released (`ERR-3`).
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
            Self::InvalidCursor => "invalid_cursor",
        }
    }
}

/// What is known of a call that failed (`ERR-1`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It certainly changed nothing.
    NotApplied,
    /// It may have been applied, or may still be. The same request again finds out.
    Unknown,
}

/// The backend failed.
///
/// Cheap to clone, so that one lost connection can answer a whole batch. Its text holds no package bytes, reservation
/// ids or tokens (`ERR-4`).
///
/// ```
/// use kp_core::{BackendError, Effect};
///
/// let full = BackendError::new("sqlite", "save", Effect::NotApplied, std::io::Error::other("disk full"));
/// assert_eq!(full.to_string(), "sqlite: save failed (not applied): disk full");
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
    /// A failure of `operation` on `backend`, which is not transient.
    pub fn new(backend: &'static str, operation: &'static str, effect: Effect, source: impl Into<BoxError>) -> Self {
        Self(Arc::new(Failure {
            backend,
            operation,
            effect,
            transient: false,
            source: source.into(),
        }))
    }

    /// The same kind of failure, but one that may well be gone at the next try: a time-out, a lost connection.
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

    /// Which backend.
    #[must_use]
    pub fn backend(&self) -> &'static str {
        self.0.backend
    }

    /// What it was asked to do.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// What is known of the call.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.0.effect
    }

    /// Whether the same call may succeed soon.
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

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// What is there is no database of this kind. It was left as it is.
    #[error("not a KeyPackage database: {0}")]
    NotADatabase(String),
    /// A newer release of this crate wrote it. Upgrade; it was left as it is.
    #[error("the database has schema {found}, and this release knows {known} at most")]
    NewerSchema {
        /// The schema found.
        found: u32,
        /// The newest schema known.
        known: u32,
    },
    /// The server or file is set up in a way that would lose packages or hand them out twice.
    #[error("unsafe configuration: {0}")]
    UnsafeConfiguration(String),
    /// The server is too old.
    #[error("too old: {0}")]
    TooOld(String),
    /// It cannot be reached, or not written to.
    #[error("cannot open the store: {0}")]
    Unreachable(#[source] BoxError),
}
