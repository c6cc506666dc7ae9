use crate::{KeyPackage, Timestamp};

/// Who uploads, as the server authenticated it: the bytes must agree (`ADM-2`).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Uploader {
    /// A basic credential of this identity (RFC 9420 §5.3).
    Identity(Vec<u8>),
    /// A leaf with this signature public key, whatever its credential.
    SignatureKey(Vec<u8>),
    /// Not checked: the server takes the credential at its word. For tests, and for servers that check it elsewhere.
    Unchecked,
}

impl Uploader {
    /// Has a basic credential of this identity.
    pub fn identity(identity: impl AsRef<[u8]>) -> Self {
        Self::Identity(identity.as_ref().to_vec())
    }

    /// Signs with this key.
    pub fn signature_key(public_key: impl AsRef<[u8]>) -> Self {
        Self::SignatureKey(public_key.as_ref().to_vec())
    }

    /// Is not checked.
    #[must_use]
    pub const fn unchecked() -> Self {
        Self::Unchecked
    }
}

/// Bytes in, facts and bare bytes out: what stands between an upload and a store.
///
/// `kp-openmls` has one for OpenMLS; a server on a fork, another version or another MLS library implements it.
///
/// # Contract
///
/// - `ADM-1` Everything is read from the bytes, nothing is taken from the uploader's word. A bare KeyPackage and one
///   wrapped in an `MLSMessage` (RFC 9420 §6) are both taken; what is returned is the bare one, and the ref is the hash
///   of that (RFC 9420 §5.2).
/// - `ADM-2` Refused with a [`Refusal`] each: malformed or trailing bytes, a bad signature, an unsupported ciphersuite,
///   expired, not yet valid beyond the skew allowed, a lifetime wider than the maximum, too large, a credential that is
///   not the uploader's. Two more the directory judges: an init key twice in a batch (RFC 9420 §10), by
///   [`Admitted::init_key`], and a package made before the restore point that an operator set.
/// - `ADM-3` Hostile bytes never panic and cost a bounded time. The call is synchronous and may burn some hundred
///   microseconds on signatures; the directory makes it off the async threads.
pub trait Admission: Send + Sync + 'static {
    /// Judges one upload.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] says why the package is not taken.
    fn admit(&self, uploaded: &[u8], by: &Uploader, now: Timestamp) -> Result<Admitted, Refusal>;
}

/// A package that was admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Admitted {
    /// What the store keeps.
    pub package: KeyPackage,
    /// Its init key, which no two packages of a batch may share (RFC 9420 §10).
    pub init_key: Vec<u8>,
}

impl Admitted {
    /// This package, with this init key.
    #[must_use]
    pub const fn new(package: KeyPackage, init_key: Vec<u8>) -> Self {
        Self { package, init_key }
    }
}

/// Why an upload is not taken (`ADM-2`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Not a KeyPackage, or bytes follow it.
    #[error("not a KeyPackage")]
    Malformed,
    /// A signature does not verify, or the leaf is not made as RFC 9420 §10.1 demands.
    #[error("the KeyPackage does not verify")]
    BadSignature,
    /// The server does not take this ciphersuite.
    #[error("unsupported ciphersuite")]
    UnsupportedCiphersuite,
    /// Its `not_after` has come.
    #[error("the KeyPackage has expired")]
    Expired,
    /// Its `not_before` lies further ahead than clocks may differ.
    #[error("the KeyPackage is not valid yet")]
    NotYetValid,
    /// Its lifetime is wider than the server allows.
    #[error("the lifetime of the KeyPackage is too wide")]
    LifetimeTooWide,
    /// More bytes than the server allows.
    #[error("the KeyPackage is too large")]
    TooLarge,
    /// The credential is not the uploader's.
    #[error("the credential of the KeyPackage is not the uploader's")]
    CredentialMismatch,
    /// Another package of the batch has the same init key.
    #[error("another KeyPackage of the batch has the same init key")]
    InitKeyReused,
    /// Made before the restore point that the operator set.
    #[error("the KeyPackage was made before the restore point")]
    BeforeRestorePoint,
    /// What only this admission knows.
    #[error("{0}")]
    Other(&'static str),
}

impl Refusal {
    /// A stable name of it, for protocols and logs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::BadSignature => "bad_signature",
            Self::UnsupportedCiphersuite => "unsupported_ciphersuite",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::LifetimeTooWide => "lifetime_too_wide",
            Self::TooLarge => "too_large",
            Self::CredentialMismatch => "credential_mismatch",
            Self::InitKeyReused => "init_key_reused",
            Self::BeforeRestorePoint => "before_restore_point",
            Self::Other(_) => "other",
        }
    }
}
