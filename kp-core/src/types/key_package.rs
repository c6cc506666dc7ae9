use std::fmt;
use std::sync::Arc;

use crate::{KeyPackageRef, Lifetime};

/// Names an MLS ciphersuite by its number in the IANA registry (RFC 9420 §17.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct Ciphersuite(pub u16);

impl fmt::Debug for Ciphersuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ciphersuite({:#06x})", self.0)
    }
}

impl fmt::Display for Ciphersuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#06x}", self.0)
    }
}

/// Identifies the credential that a KeyPackage was made with. A client so finds the KeyPackages of an old credential.
///
/// The hash is the SHA-256 over `signature_key<V>` and `credential`, encoded and in the order of the leaf node (RFC 9420 §7.2).
/// The key is part of it: a client that rotates its signature key keeps its identity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialHash(pub [u8; 32]);

impl fmt::Debug for CredentialHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CredentialHash({})", crate::hex::encode(&self.0))
    }
}

/// Says that bytes cannot be a KeyPackage: none, or too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a package must be 1 to {} bytes long, not {found}", KeyPackageBytes::MAX_LEN)]
#[non_exhaustive]
pub struct InvalidKeyPackageBytes {
    /// How many bytes were given.
    pub found: usize,
}

/// Holds the bare TLS KeyPackage, as the admission returned it: 1 to 65,535 bytes. A clone is cheap.
///
/// `Debug` shows the length alone ([ERR-4](crate::contract::ERR_4)).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct KeyPackageBytes(Arc<[u8]>);

impl KeyPackageBytes {
    /// The most bytes of a KeyPackage. An OpenMLS KeyPackage has about 300 bytes; a chain of certificates or
    /// post-quantum keys make some 20,000.
    pub const MAX_LEN: usize = 65_535;

    /// Wraps the KeyPackage in an `MLSMessage` (RFC 9420 §6), as mls-rs expects: `mls10`, `mls_key_package`, then the
    /// bytes.
    ///
    /// ```
    /// use kp_core::KeyPackageBytes;
    ///
    /// let bare = KeyPackageBytes::try_from(vec![0xAB])?;
    /// assert_eq!(bare.to_mls_message(), [0, 1, 0, 5, 0xAB]);
    /// # Ok::<(), kp_core::InvalidKeyPackageBytes>(())
    /// ```
    #[must_use]
    pub fn to_mls_message(&self) -> Vec<u8> {
        [&[0, 1, 0, 5], &*self.0].concat()
    }
}

impl TryFrom<Vec<u8>> for KeyPackageBytes {
    type Error = InvalidKeyPackageBytes;

    fn try_from(bytes: Vec<u8>) -> Result<Self, InvalidKeyPackageBytes> {
        Self::try_from(bytes.as_slice())
    }
}

impl TryFrom<&[u8]> for KeyPackageBytes {
    type Error = InvalidKeyPackageBytes;

    fn try_from(bytes: &[u8]) -> Result<Self, InvalidKeyPackageBytes> {
        if bytes.is_empty() || bytes.len() > Self::MAX_LEN {
            return Err(InvalidKeyPackageBytes { found: bytes.len() });
        }
        Ok(Self(bytes.into()))
    }
}

impl AsRef<[u8]> for KeyPackageBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for KeyPackageBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPackageBytes({} bytes)", self.0.len())
    }
}

/// Says whether a KeyPackage is handed out once, or is the last resort.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum Role {
    /// Handed out once.
    #[default]
    OneTime,
    /// Handed out when no one-time package is left, and never used up: the KeyPackage carries the last-resort
    /// extension.
    LastResort,
}

impl Role {
    /// Returns the role of a KeyPackage with or without the last-resort extension.
    #[must_use]
    pub const fn of(last_resort: bool) -> Self {
        if last_resort { Self::LastResort } else { Self::OneTime }
    }

    /// Returns whether this is [`Role::LastResort`].
    #[must_use]
    pub const fn is_last_resort(self) -> bool {
        matches!(self, Self::LastResort)
    }
}

/// Describes a KeyPackage, as far as a store needs to hand the KeyPackage out. The
/// [`Admission`](crate::server::Admission) reads the facts from the bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct KeyPackageInfo {
    /// The KeyPackage's name within its pool.
    pub key_package_ref: KeyPackageRef,
    /// The ciphersuite.
    pub ciphersuite: Ciphersuite,
    /// When the KeyPackage may be used.
    pub lifetime: Lifetime,
    /// Whether the KeyPackage is handed out once. No KeyPackage changes its role ([LAST-3](crate::contract::LAST_3)).
    pub role: Role,
    /// The credential that the KeyPackage was made with.
    pub credential: CredentialHash,
}

impl KeyPackageInfo {
    /// Describes a one-time KeyPackage; [`role`](Self::role) makes it a last resort.
    #[must_use]
    pub const fn new(
        key_package_ref: KeyPackageRef,
        ciphersuite: Ciphersuite,
        lifetime: Lifetime,
        credential: CredentialHash,
    ) -> Self {
        Self {
            key_package_ref,
            ciphersuite,
            lifetime,
            role: Role::OneTime,
            credential,
        }
    }

    /// Sets the role. Default: one-time.
    #[must_use]
    pub fn role(self, role: Role) -> Self {
        Self { role, ..self }
    }
}

/// Joins the bytes of a KeyPackage and the facts about the KeyPackage.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct KeyPackage {
    /// The facts.
    pub info: KeyPackageInfo,
    /// The bytes that are handed out.
    pub bytes: KeyPackageBytes,
}

impl KeyPackage {
    /// Joins bytes and facts.
    #[must_use]
    pub const fn new(info: KeyPackageInfo, bytes: KeyPackageBytes) -> Self {
        Self { info, bytes }
    }
}
