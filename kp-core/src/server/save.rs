use crate::protocol::{Refusal, UploadOutcome};
use crate::{KeyPackage, PoolId};

/// More packages than one [`Save`] takes (`SAVE-2`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a save takes at most {} packages, not {found}", Save::MAX_PACKAGES)]
pub struct TooManyKeyPackages {
    /// How many were given.
    pub found: usize,
}

/// Packages of one client, to be stored in one step: what [`save_key_packages`](crate::server::KeyPackageStore::save_key_packages)
/// takes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Save {
    /// Whose they are.
    pub pool: PoolId,
    packages: Vec<KeyPackage>,
    /// What becomes of the packages that the pool holds already.
    pub mode: SaveMode,
    /// How many one-time packages that are free or reserved the pool may hold of one ciphersuite (`SAVE-6`).
    pub cap_per_ciphersuite: u32,
}

/// What becomes of the packages that the pool holds already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SaveMode {
    /// They stay.
    #[default]
    Append,
    /// The other unspent one-time packages of the ciphersuites accepted are withdrawn in the same step (`SAVE-8`).
    Replace,
}

/// What became of one package of a [`Save`]; `SAVE-7` gives the order in which they are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum SaveOutcome {
    /// Stored now.
    Saved,
    /// Stored before, unspent: nothing to do (`SAVE-2`).
    AlreadyStored,
    /// Spent, or withdrawn or retired, and remembered: it is never handed out again (`SAVE-3`). Make a new one.
    AlreadySpent,
    /// Its `not_after` has come (`SAVE-4`).
    Expired,
    /// A last-resort package whose `not_before` has not come (`LAST-2`). Save it later.
    NotYetValid,
    /// The pool holds as many as it may (`SAVE-6`).
    PoolFull,
    /// Another package is stored under this ref; that one stays (`SAVE-5`).
    RefConflict,
}

impl SaveOutcome {
    /// Names the outcome, for protocols and logs. A name never changes once released.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Saved => "saved",
            Self::AlreadyStored => "already_stored",
            Self::AlreadySpent => "already_spent",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::PoolFull => "pool_full",
            Self::RefConflict => "ref_conflict",
        }
    }

    /// Whether the pool holds the package, unspent: the client may count it as uploaded.
    #[must_use]
    pub const fn is_held(self) -> bool {
        matches!(self, Self::Saved | Self::AlreadyStored)
    }
}

impl Save {
    /// The most packages of one save (`SAVE-2`).
    pub const MAX_PACKAGES: usize = 1_000;

    /// These packages for this pool, appended, without a cap per ciphersuite (the store's `max_records` still holds).
    ///
    /// # Errors
    ///
    /// [`TooManyKeyPackages`] beyond [`Save::MAX_PACKAGES`].
    pub fn new(pool: PoolId, packages: Vec<KeyPackage>) -> Result<Self, TooManyKeyPackages> {
        if packages.len() > Self::MAX_PACKAGES {
            return Err(TooManyKeyPackages { found: packages.len() });
        }
        Ok(Self {
            pool,
            packages,
            mode: SaveMode::Append,
            cap_per_ciphersuite: u32::MAX,
        })
    }

    /// This package for this pool, appended.
    #[must_use]
    pub fn one(pool: PoolId, package: KeyPackage) -> Self {
        Self {
            pool,
            packages: vec![package],
            mode: SaveMode::Append,
            cap_per_ciphersuite: u32::MAX,
        }
    }

    /// Sets what becomes of the packages that the pool holds already.
    #[must_use]
    pub fn mode(self, mode: SaveMode) -> Self {
        Self { mode, ..self }
    }

    /// Sets the cap per ciphersuite.
    #[must_use]
    pub fn cap_per_ciphersuite(self, cap: u32) -> Self {
        Self {
            cap_per_ciphersuite: cap,
            ..self
        }
    }

    /// The packages, in the order in which they are handed out (`RES-2`).
    #[must_use]
    pub fn packages(&self) -> &[KeyPackage] {
        &self.packages
    }
}

/// The store's answer, as the delivery service passes it on. What the store and the admission both judge has one outcome.
impl From<SaveOutcome> for UploadOutcome {
    fn from(outcome: SaveOutcome) -> Self {
        match outcome {
            SaveOutcome::Saved => Self::Saved,
            SaveOutcome::AlreadyStored => Self::AlreadyStored,
            SaveOutcome::AlreadySpent => Self::AlreadySpent,
            SaveOutcome::Expired => Self::Refused(Refusal::Expired),
            SaveOutcome::NotYetValid => Self::Refused(Refusal::NotYetValid),
            SaveOutcome::PoolFull => Self::PoolFull,
            SaveOutcome::RefConflict => Self::RefConflict,
        }
    }
}
