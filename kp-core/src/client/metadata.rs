use crate::client::{Lifecycle, MetadataRejection};
use crate::{Ciphersuite, CredentialHash, KeyPackageRef, Role, Timestamp};

/// Remembers one of a client's own packages: its lifecycle, and nothing that could decrypt
/// ([META-4](crate::contract::META_4)).
///
/// The private keys lie in the MLS library's own storage, behind a [`KeyVault`](crate::client::KeyVault).
///
/// The type is not `non_exhaustive`: a store has to notice a new field.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyPackageMetadata {
    /// The ref of the package, which links the row to the MLS library's storage.
    pub key_package_ref: KeyPackageRef,
    /// The ciphersuite of the package.
    pub ciphersuite: Ciphersuite,
    /// The role: one-time or last resort.
    pub role: Role,
    /// The credential that the package was made with.
    pub credential: CredentialHash,
    /// When the package was generated.
    pub created_at: Timestamp,
    /// The start of the package's lifetime. `None`: a row of an older table.
    pub not_before: Option<Timestamp>,
    /// The end of the package's lifetime.
    pub not_after: Timestamp,
    /// Where the package stands.
    pub lifecycle: Lifecycle,
    /// When the first upload that names the package began ([META-1](crate::contract::META_1)). `None`: the package was
    /// certainly never on the server.
    pub offered_at: Option<Timestamp>,
    /// When the package first became [`Available`](Lifecycle::Available).
    pub uploaded_at: Option<Timestamp>,
    /// When the package last became [`Reserved`](Lifecycle::Reserved).
    pub reserved_at: Option<Timestamp>,
    /// When the package became [`Spent`](Lifecycle::Spent).
    pub spent_at: Option<Timestamp>,
}

impl KeyPackageMetadata {
    /// Makes the row of a package just generated.
    #[must_use]
    pub fn created(info: &crate::KeyPackageInfo, now: Timestamp) -> Self {
        Self {
            key_package_ref: info.key_package_ref.clone(),
            ciphersuite: info.ciphersuite,
            role: info.role,
            credential: info.credential,
            created_at: now,
            not_before: Some(info.lifetime.not_before()),
            not_after: info.lifetime.not_after(),
            lifecycle: Lifecycle::Created,
            offered_at: None,
            uploaded_at: None,
            reserved_at: None,
            spent_at: None,
        }
    }

    /// Returns the row after a step at `now`, as every backend writes the row ([META-2](crate::contract::META_2)). A
    /// step to the same state changes nothing.
    ///
    /// # Errors
    ///
    /// [`MetadataRejection::IllegalStep`] unless the transition table has the step.
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
}
