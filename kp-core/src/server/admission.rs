use std::fmt;
use std::sync::Arc;

use crate::key_package::UnverifiedLeafNode;
use crate::protocol::Refusal;
use crate::server::{InitKeyFingerprint, Support};
use crate::{KeyPackage, Timestamp};

/// Names the uploader, as the server authenticated it. The credential in the bytes must agree
/// ([ADM-2](crate::contract::ADM_2)).
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Uploader {
    /// Demands a basic credential of this identity (RFC 9420 §5.3).
    Identity(Vec<u8>),
    /// Demands a leaf with this signature public key, whatever the credential.
    SignatureKey(Vec<u8>),
    /// Demands nothing: the server takes the credential at its word. For tests, and for servers that check elsewhere.
    Unchecked,
}

impl Uploader {
    /// Names an uploader with a basic credential of this identity.
    pub fn identity(identity: impl AsRef<[u8]>) -> Self {
        Self::Identity(identity.as_ref().to_vec())
    }

    /// Names an uploader who signs with this key.
    pub fn signature_key(public_key: impl AsRef<[u8]>) -> Self {
        Self::SignatureKey(public_key.as_ref().to_vec())
    }

    /// Names an uploader who is not checked.
    #[must_use]
    pub const fn unchecked() -> Self {
        Self::Unchecked
    }

    /// Returns whether the leaf is the uploader's: by the identity of a basic credential, or by the signature key.
    #[must_use]
    pub fn is_owner_of(&self, leaf: &UnverifiedLeafNode<'_>) -> bool {
        match self {
            Self::Identity(identity) => leaf.credential().identity() == Some(identity),
            Self::SignatureKey(key) => leaf.signature_key() == key,
            Self::Unchecked => true,
        }
    }
}

/// Hides the identity and the key ([ERR-4](crate::contract::ERR_4)).
impl fmt::Debug for Uploader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Identity(_) => "Identity(..)",
            Self::SignatureKey(_) => "SignatureKey(..)",
            Self::Unchecked => "Unchecked",
        })
    }
}

/// Turns uploaded bytes into facts and a bare KeyPackage: the MLS library's part of a delivery service.
///
/// `kp-openmls` has an admission for OpenMLS, `kp-mls-rs` one for mls-rs. A server on a fork, another version or another MLS
/// library implements the trait, and starts with [`AdmissionPolicy`](super::AdmissionPolicy): the MLS library is left with the
/// signatures, the keys and the hash. `docs/writing-an-admission.md` of the repository has an example.
///
/// # Contract
///
/// - Every fact is read from the bytes ([ADM-1](crate::contract::ADM_1)).
/// - Each reason to refuse an upload has a [`Refusal`] ([ADM-2](crate::contract::ADM_2)).
/// - Hostile bytes never panic, and cost a bounded time ([ADM-3](crate::contract::ADM_3)). The call is synchronous: the
///   directory makes the call off the async threads.
pub trait Admission: Send + Sync + 'static {
    /// Judges one uploaded KeyPackage, and returns the bare KeyPackage with its facts.
    ///
    /// # Errors
    ///
    /// The [`Refusal`] that says why the KeyPackage is not taken.
    fn admit(&self, uploaded: &[u8], by: &Uploader, now: Timestamp) -> Result<Admitted, Refusal>;
}

#[deny(clippy::missing_trait_methods)]
impl<A: Admission + ?Sized> Admission for Arc<A> {
    fn admit(&self, uploaded: &[u8], by: &Uploader, now: Timestamp) -> Result<Admitted, Refusal> {
        (**self).admit(uploaded, by, now)
    }
}

#[deny(clippy::missing_trait_methods)]
impl<A: Admission + ?Sized> Admission for Box<A> {
    fn admit(&self, uploaded: &[u8], by: &Uploader, now: Timestamp) -> Result<Admitted, Refusal> {
        (**self).admit(uploaded, by, now)
    }
}

/// Holds a KeyPackage that was admitted, with what a store keeps beside it: an item of a
/// [`Save`](crate::server::Save).
///
/// No read shows fingerprint or support. A KeyPackage may have none of both: an admission of an earlier release made none.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Admitted {
    /// The KeyPackage that the store keeps.
    pub package: KeyPackage,
    /// The fingerprint of the init key, which no other KeyPackage of the pool may have ([SAVE-9](crate::contract::SAVE_9)).
    pub fingerprint: Option<InitKeyFingerprint>,
    /// What the leaf's capabilities list ([RES-3](crate::contract::RES_3)).
    pub support: Option<Support>,
}

impl Admitted {
    /// Takes a KeyPackage, without fingerprint and support.
    #[must_use]
    pub const fn new(package: KeyPackage) -> Self {
        Self {
            package,
            fingerprint: None,
            support: None,
        }
    }

    /// Sets the fingerprint of the init key. Default: none, which equals nothing.
    #[must_use]
    pub fn fingerprint(self, fingerprint: InitKeyFingerprint) -> Self {
        Self {
            fingerprint: Some(fingerprint),
            ..self
        }
    }

    /// Sets what the owner supports: [`UnverifiedCapabilities::support`](crate::key_package::UnverifiedCapabilities::support)
    /// reads it. Default: none, which meets no requirement but the defaults of RFC 9420.
    #[must_use]
    pub fn support(self, support: impl Into<Option<Support>>) -> Self {
        Self {
            support: support.into(),
            ..self
        }
    }
}

impl From<KeyPackage> for Admitted {
    fn from(package: KeyPackage) -> Self {
        Self::new(package)
    }
}
