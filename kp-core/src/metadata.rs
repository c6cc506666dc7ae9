use std::collections::BTreeMap;
use std::fmt::Debug;

use async_trait::async_trait;

use crate::{Ciphersuite, CredentialHash, Error, KeyPackageRef, Lifecycle, Timestamp};

/// What a client remembers of one of its own packages: its lifecycle, and nothing that could decrypt (`META-4`).
///
/// The bundle and its private keys lie in the MLS library's own storage, behind a [`KeyVault`](crate::KeyVault).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyPackageMetadata {
    /// The package: the link to the MLS library's storage.
    pub key_package_ref: KeyPackageRef,
    /// Its ciphersuite.
    pub ciphersuite: Ciphersuite,
    /// Whether it is a last-resort package.
    pub last_resort: bool,
    /// The credential that it was made with.
    pub credential: CredentialHash,
    /// When it was generated.
    pub created_at: Timestamp,
    /// The end of its lifetime.
    pub not_after: Timestamp,
    /// Where it stands.
    pub lifecycle: Lifecycle,
    /// When it first became [`Available`](Lifecycle::Available).
    pub uploaded_at: Option<Timestamp>,
    /// When it last became [`Reservation`](Lifecycle::Reserved).
    pub reserved_at: Option<Timestamp>,
    /// When it became [`Spent`](Lifecycle::Spent).
    pub spent_at: Option<Timestamp>,
}

impl KeyPackageMetadata {
    /// The row of a package just generated.
    #[must_use]
    pub fn created(info: &crate::KeyPackageInfo, now: Timestamp) -> Self {
        Self {
            key_package_ref: info.key_package_ref.clone(),
            ciphersuite: info.ciphersuite,
            last_resort: info.last_resort,
            credential: info.credential,
            created_at: now,
            not_after: info.lifetime.not_after(),
            lifecycle: Lifecycle::Created,
            uploaded_at: None,
            reserved_at: None,
            spent_at: None,
        }
    }

    /// The row after a step at `now`: what every backend writes (`META-2`). The same state again changes nothing.
    ///
    /// # Errors
    ///
    /// [`MetadataRejection::IllegalStep`] unless the transition table has it.
    pub fn step(&self, to: Lifecycle, now: Timestamp) -> Result<Self, MetadataRejection> {
        let lifecycle = self.lifecycle.step(to)?;
        let mut row = Self {
            lifecycle,
            ..self.clone()
        };
        if lifecycle != self.lifecycle {
            match lifecycle {
                Lifecycle::Available => row.uploaded_at = row.uploaded_at.or(Some(now)),
                Lifecycle::Reserved => row.reserved_at = Some(now),
                Lifecycle::Spent => row.spent_at = Some(now),
                _ => {}
            }
        }
        Ok(row)
    }

    /// A batch of steps, in order, on the rows that it names: what a store does with its rows inside its atomic step, and
    /// writes back when it succeeds (`META-2`).
    ///
    /// # Errors
    ///
    /// Of the first step that fails. The rows are of no use then.
    pub fn step_all(
        rows: &mut BTreeMap<KeyPackageRef, Self>,
        steps: &[(KeyPackageRef, Lifecycle)],
        now: Timestamp,
    ) -> Result<(), MetadataRejection> {
        for (key_package_ref, to) in steps {
            let row = rows.get_mut(key_package_ref).ok_or(MetadataRejection::NotFound)?;
            *row = row.step(*to, now)?;
        }
        Ok(())
    }
}

/// Why a [`PoolMetadataStore`] said no; nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataRejection {
    /// A row of this ref exists (`META-1`).
    #[error("the KeyPackage has a row already")]
    Exists,
    /// No row of this ref.
    #[error("no row of this KeyPackage")]
    NotFound,
    /// The transition table does not have this step (`META-2`).
    #[error("a KeyPackage cannot go from {} to {}", from.name(), to.name())]
    IllegalStep {
        /// Where it stands.
        from: Lifecycle,
        /// Where it was to go.
        to: Lifecycle,
    },
}

impl MetadataRejection {
    /// A stable name of it, for protocols and logs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Exists => "exists",
            Self::NotFound => "not_found",
            Self::IllegalStep { .. } => "illegal_step",
        }
    }
}

impl From<MetadataRejection> for Error<MetadataRejection> {
    fn from(rejection: MetadataRejection) -> Self {
        Self::Rejected(rejection)
    }
}

/// What a [`PoolMetadataStore`] answers.
pub type MetadataResult<T> = Result<T, Error<MetadataRejection>>;

/// The lifecycle of one client's own packages: tens of rows, on a device.
///
/// # Contract
///
/// - `META-1` `create_pool_metadata` stores ref, ciphersuite, `not_after`, `created_at`, role and credential hash, and
///   where the package stands: a row is read back as it was given. A second creation is refused.
/// - `META-2` `update_pool_status` follows the transition table of [`Lifecycle`]; an illegal step is refused and changes
///   nothing. Calls take batches: a batch is one atomic step, all of it or nothing, also beside others.
/// - `META-3` Reads see all that was answered before, and change nothing. Deleting what is not there is not an error.
/// - `META-4` No field can hold key material; about 100 to 150 bytes a package.
///
/// Failures, cancellation and secrets are as in [`KeyPackageStore`](crate::KeyPackageStore) (`ERR-1` to `ERR-5`). Time is
/// an argument.
///
/// Wrappers must forward every method.
#[async_trait]
pub trait PoolMetadataStore: Send + Sync + Debug {
    /// Creates rows (`META-1`), in one step. A ref twice in one batch is a second creation.
    ///
    /// # Errors
    ///
    /// [`MetadataRejection::Exists`]; nothing is created then.
    async fn create_pool_metadata(&self, rows: &[KeyPackageMetadata]) -> MetadataResult<()>;

    /// Takes steps (`META-2`), in order and as one, each by [`KeyPackageMetadata::step`].
    ///
    /// # Errors
    ///
    /// [`MetadataRejection::NotFound`] or [`MetadataRejection::IllegalStep`] for the first that fails; none is taken then.
    async fn update_pool_status(&self, steps: &[(KeyPackageRef, Lifecycle)], now: Timestamp) -> MetadataResult<()>;

    /// One row (`META-3`).
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    async fn get(&self, key_package_ref: &KeyPackageRef) -> MetadataResult<Option<KeyPackageMetadata>>;

    /// All rows, by `created_at`, then ref (`META-3`).
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    async fn list(&self) -> MetadataResult<Vec<KeyPackageMetadata>>;

    /// Deletes rows, in one step, and says how many there were (`META-3`).
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    async fn delete_pool_metadata(&self, refs: &[KeyPackageRef]) -> MetadataResult<u64>;
}

/// Counts and selections over [`PoolMetadataStore::list`], for every store: nothing to implement.
#[async_trait]
pub trait PoolMetadataStoreExt: PoolMetadataStore {
    /// How many one-time packages of a ciphersuite are [`Available`](Lifecycle::Available) and not past their `not_after`.
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    async fn get_available_count(&self, suite: Ciphersuite, now: Timestamp) -> MetadataResult<u32> {
        let available = |row: &KeyPackageMetadata| {
            row.lifecycle == Lifecycle::Available && row.ciphersuite == suite && !row.last_resort && now < row.not_after
        };
        let count = self.list().await?.into_iter().filter(available).count();
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// How many rows stand where, by [`Lifecycle::name`].
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    async fn count_by_status(&self) -> MetadataResult<BTreeMap<&'static str, u32>> {
        let mut counts = BTreeMap::new();
        for row in self.list().await? {
            *counts.entry(row.lifecycle.name()).or_default() += 1;
        }
        Ok(counts)
    }

    /// The packages past their `not_after`.
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    async fn get_expired_refs(&self, now: Timestamp) -> MetadataResult<Vec<KeyPackageRef>> {
        let expired = |row: KeyPackageMetadata| (row.not_after <= now).then_some(row.key_package_ref);
        Ok(self.list().await?.into_iter().filter_map(expired).collect())
    }
}

impl<S: PoolMetadataStore + ?Sized> PoolMetadataStoreExt for S {}
