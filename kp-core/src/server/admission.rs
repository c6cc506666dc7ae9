use std::fmt;
use std::sync::Arc;

use crate::protocol::Refusal;
use crate::{KeyPackage, Timestamp};

/// Who uploads, as the server authenticated it: the bytes must agree (`ADM-2`).
#[derive(Clone, PartialEq, Eq)]
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

/// Hides who it is (`ERR-4`).
impl fmt::Debug for Uploader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Identity(_) => "Identity(..)",
            Self::SignatureKey(_) => "SignatureKey(..)",
            Self::Unchecked => "Unchecked",
        })
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

/// A package that was admitted.
#[derive(Clone, PartialEq, Eq)]
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

/// Hides the init key (`ERR-4`).
impl fmt::Debug for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admitted")
            .field("package", &self.package)
            .finish_non_exhaustive()
    }
}
