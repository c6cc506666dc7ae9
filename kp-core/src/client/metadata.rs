use std::collections::BTreeMap;

use crate::client::Lifecycle;
use crate::{Ciphersuite, CredentialHash, Error, KeyPackageRef, Role, Timestamp};

/// What a client remembers of one of its own packages: its lifecycle, and nothing that could decrypt (`META-4`).
///
/// The bundle and its private keys lie in the MLS library's own storage, behind a [`KeyVault`](crate::client::KeyVault).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct KeyPackageMetadata {
    /// The package: the link to the MLS library's storage.
    pub key_package_ref: KeyPackageRef,
    /// Its ciphersuite.
    pub ciphersuite: Ciphersuite,
    /// Whether it is a one-time or a last-resort package.
    pub role: Role,
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
            role: info.role,
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
