use std::fmt;
use std::sync::Arc;

use crate::{KeyPackageRef, Lifetime};

/// An MLS ciphersuite, by its number in the IANA registry (RFC 9420 §17.1).
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

/// A hash of the credential that a package was made with, so that a client finds the ones of an old credential.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialHash(pub [u8; 32]);

impl fmt::Debug for CredentialHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CredentialHash({})", crate::hex::encode(&self.0))
    }
}

/// Bytes that cannot be a package's: none, or too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a package must be 1 to {} bytes long, not {found}", KeyPackageBytes::MAX_LEN)]
pub struct InvalidKeyPackageBytes {
    /// How many bytes were given.
    pub found: usize,
}

/// The bare TLS KeyPackage, or what the admission made of it: 1 to 65,535 bytes. Never printed (`ERR-4`).
///
/// Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct KeyPackageBytes(Arc<[u8]>);

impl KeyPackageBytes {
    /// The longest that they may be. An OpenMLS package has about 300 bytes, one with a chain of certificates or
    /// post-quantum keys some 20,000.
    pub const MAX_LEN: usize = 65_535;

    /// The KeyPackage as an `MLSMessage` (RFC 9420 §6): `mls10`, `mls_key_package`, then the bytes. What mls-rs expects.
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

/// What a store needs to know of a package to hand it out: facts that the [`Admission`](crate::Admission) read from its
/// bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyPackageInfo {
    /// Its name within its pool.
    pub key_package_ref: KeyPackageRef,
    /// Its ciphersuite.
    pub ciphersuite: Ciphersuite,
    /// When it may be used.
    pub lifetime: Lifetime,
    /// Whether it carries the last-resort extension. A fact for good: a one-time package never becomes last resort, nor
    /// the reverse (`LAST-3`).
    pub last_resort: bool,
    /// Whose it is.
    pub credential: CredentialHash,
}

/// A KeyPackage and the facts about it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyPackage {
    /// The facts.
    pub info: KeyPackageInfo,
    /// What is handed out.
    pub bytes: KeyPackageBytes,
}
