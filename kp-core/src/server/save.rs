use crate::PoolId;
use crate::protocol::{Refusal, UploadOutcome};
use crate::server::Admitted;

/// Says that a batch has more packages than one [`Save`] takes ([SAVE-2](crate::contract::SAVE_2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a save takes at most {} packages, not {found}", Save::MAX_PACKAGES)]
#[non_exhaustive]
pub struct TooManyKeyPackages {
    /// How many packages were given.
    pub found: usize,
}

/// Asks a store to keep packages of one pool, in one step: the request of
/// [`save_key_packages`](crate::server::KeyPackageStore::save_key_packages).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Save {
    /// The pool that the packages go to.
    pub pool: PoolId,
    packages: Vec<Admitted>,
    /// The mode: whether the packages that the pool holds already stay.
    pub mode: SaveMode,
    /// The most one-time packages of one ciphersuite, free or reserved, that the pool may hold
    /// ([SAVE-6](crate::contract::SAVE_6)).
    pub cap_per_ciphersuite: u32,
}

/// Says whether a [`Save`] leaves or withdraws the packages that the pool holds already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SaveMode {
    /// Leaves the packages that the pool holds.
    #[default]
    Append,
    /// Withdraws, in the same step, the other unspent one-time packages of the ciphersuites accepted
    /// ([SAVE-8](crate::contract::SAVE_8)).
    Replace,
    /// Stores no new package: adds to the packages that the pool holds what their records lack
    /// ([SAVE-5](crate::contract::SAVE_5)). A new package is answered as if the pool were full.
    Amend,
}

/// Says what became of one package of a [`Save`]. [SAVE-7](crate::contract::SAVE_7) gives the order of judgement.
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
    /// Stored before, and unspent: nothing to do ([SAVE-2](crate::contract::SAVE_2)).
    AlreadyStored,
    /// Used, withdrawn, retired or replaced, and never handed out again ([SAVE-3](crate::contract::SAVE_3)). Make a new
    /// package.
    AlreadySpent,
    /// Refused: the package's `not_after` has come ([SAVE-4](crate::contract::SAVE_4)).
    Expired,
    /// Refused: the `not_before` of the last-resort package has not come ([LAST-2](crate::contract::LAST_2)). Save the
    /// package later.
    NotYetValid,
    /// Refused: the pool holds as many packages as it may ([SAVE-6](crate::contract::SAVE_6)).
    PoolFull,
    /// Refused: another package is stored under the ref, and stays ([SAVE-5](crate::contract::SAVE_5)).
    RefConflict,
    /// Refused: another package of the pool has the same init key, or had it ([SAVE-9](crate::contract::SAVE_9)). Make a new
    /// package.
    InitKeyReused,
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
            Self::InitKeyReused => "init_key_reused",
        }
    }

    /// Returns whether the pool holds the package, unspent: the client may count the package as uploaded.
    #[must_use]
    pub const fn is_held(self) -> bool {
        matches!(self, Self::Saved | Self::AlreadyStored)
    }
}

impl Save {
    /// The most packages of one save ([SAVE-2](crate::contract::SAVE_2)).
    pub const MAX_PACKAGES: usize = 1_000;

    /// Asks a store to append packages to a pool, without a cap per ciphersuite. The store's own
    /// [`Limits`](crate::rules::Limits) still hold.
    ///
    /// # Errors
    ///
    /// [`TooManyKeyPackages`] beyond [`Save::MAX_PACKAGES`].
    pub fn new(
        pool: PoolId,
        packages: impl IntoIterator<Item = impl Into<Admitted>>,
    ) -> Result<Self, TooManyKeyPackages> {
        let packages: Vec<_> = packages.into_iter().map(Into::into).collect();
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

    /// Asks a store to append one package to a pool, without a cap per ciphersuite.
    #[must_use]
    pub fn one(pool: PoolId, package: impl Into<Admitted>) -> Self {
        Self {
            pool,
            packages: vec![package.into()],
            mode: SaveMode::Append,
            cap_per_ciphersuite: u32::MAX,
        }
    }

    /// Sets whether the packages that the pool holds already stay. Default: [`SaveMode::Append`].
    #[must_use]
    pub fn mode(self, mode: SaveMode) -> Self {
        Self { mode, ..self }
    }

    /// Sets the most one-time packages of one ciphersuite that the pool may hold. Default: no cap.
    #[must_use]
    pub fn cap_per_ciphersuite(self, cap: u32) -> Self {
        Self {
            cap_per_ciphersuite: cap,
            ..self
        }
    }

    /// Returns the packages, in the order in which the store hands them out ([RES-2](crate::contract::RES_2)).
    #[must_use]
    pub fn packages(&self) -> &[Admitted] {
        &self.packages
    }
}

/// Passes the store's outcome on to the client. What store and admission both judge (expired, not yet valid, an init key
/// used again) is one outcome.
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
            SaveOutcome::InitKeyReused => Self::Refused(Refusal::InitKeyReused),
        }
    }
}
