use kp_core::{Error, PoolId, Refusal, SaveMode, SaveOutcome, Uploader};

/// Packages that a client uploads to its pool.
#[derive(Debug, Clone)]
#[must_use]
pub struct Upload {
    pub(crate) pool: PoolId,
    pub(crate) by: Uploader,
    pub(crate) packages: Vec<Vec<u8>>,
    pub(crate) mode: SaveMode,
    pub(crate) all_or_nothing: bool,
}

impl Upload {
    /// These packages, as they came from the client, to be added to what the pool holds. `by` is who uploads, as the
    /// server authenticated it.
    pub fn new(pool: PoolId, by: Uploader, packages: Vec<Vec<u8>>) -> Self {
        Self {
            pool,
            by,
            packages,
            mode: SaveMode::Append,
            all_or_nothing: false,
        }
    }

    /// Replaces what the pool holds of the ciphersuites uploaded, in one step (`SAVE-8`).
    ///
    /// All are judged first, and then swapped: when one is refused, nothing is withdrawn and nothing is stored. An empty
    /// upload is no way to clear a pool: it does nothing.
    pub fn replace(self) -> Self {
        Self {
            mode: SaveMode::Replace,
            ..self
        }
    }

    /// Stores nothing when one is refused. What the *store* answers still differs by package: of an upload beyond the
    /// cap, a part is stored.
    pub fn all_or_nothing(self) -> Self {
        Self {
            all_or_nothing: true,
            ..self
        }
    }
}

/// What became of one uploaded package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadOutcome {
    /// Admitted; this is what the store made of it.
    Store(SaveOutcome),
    /// Not admitted (`ADM-2`).
    Refused(Refusal),
    /// Admitted, but not stored, because another of the batch was refused. Upload it again without that one.
    NotTried,
}

impl UploadOutcome {
    /// Whether the pool holds the package, unspent: the client may count it as uploaded.
    #[must_use]
    pub const fn is_held(self) -> bool {
        matches!(self, Self::Store(outcome) if outcome.is_held())
    }

    /// A stable name of it, for protocols and metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Store(SaveOutcome::Saved) => "saved",
            Self::Store(SaveOutcome::AlreadyStored) => "already_stored",
            Self::Store(SaveOutcome::AlreadySpent) => "already_spent",
            Self::Store(SaveOutcome::PoolFull) => "pool_full",
            Self::Store(SaveOutcome::RefConflict) => "ref_conflict",
            // The store's clock verdicts are those of the admission.
            Self::Store(SaveOutcome::Expired) => Refusal::Expired.code(),
            Self::Store(SaveOutcome::NotYetValid) => Refusal::NotYetValid.code(),
            Self::Refused(refusal) => refusal.code(),
            Self::NotTried => "not_tried",
        }
    }
}

/// Why an upload got no verdicts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UploadError {
    /// More packages than the server takes at once. Nothing was stored; upload fewer.
    #[error("an upload takes at most {most} packages, not {found}")]
    TooManyPackages {
        /// How many were uploaded.
        found: usize,
        /// How many the server takes.
        most: usize,
    },
    /// The admission panicked, or the runtime shuts down. Nothing was stored.
    #[error("the admission of the packages broke off")]
    Admission(#[source] tokio::task::JoinError),
    /// The store failed; the same upload again finds out (`ERR-1`, `SAVE-2`).
    #[error(transparent)]
    Store(#[from] Error),
}
