use std::fmt;
use std::time::Duration;

use super::admission::Uploader;
use crate::key_package::{UnverifiedKeyPackage, UnverifiedLeafNode};
use crate::protocol::{Refusal, Requirement};
use crate::{Ciphersuite, KeyPackageBytes, Lifetime, Timestamp};

type CredentialCheck = Box<dyn Fn(&UnverifiedLeafNode<'_>, &Uploader) -> bool + Send + Sync>;

/// Judges what of an uploaded KeyPackage needs no cryptography: what this server takes, and what RFC 9420 demands of the
/// fields.
///
/// The policy is the same for every MLS library. An [`Admission`](super::Admission) calls [`read`](Self::read) and
/// [`check`](Self::check), and then has its library verify signatures and keys. Checks go from cheap to dear, and the first
/// that fails names the refusal.
///
/// # Lifetimes
///
/// RFC 9420 §7.2 demands a bound on how *wide* a lifetime is. Clients of some libraries need another bound than the default:
///
/// | library | a lifetime by default | a policy that takes it |
/// |---|---|---|
/// | OpenMLS 0.9 | 84 days, begun 1 hour ago | the default |
/// | mls-rs 0.57 | 365 days, begun now | [`max_lifetime`](Self::max_lifetime) of 365 days; `kp-mls-rs` by default |
/// | ts-mls 1.6 | 0 to 2^63 - 1 | [`clamp_lifetime`](Self::clamp_lifetime), or `max_lifetime(Duration::MAX)` |
/// | mlspp | 0 to 2^64 - 1 | [`clamp_lifetime`](Self::clamp_lifetime), or `max_lifetime(Duration::MAX)` |
///
/// ```
/// use std::time::Duration;
/// use kp_core::Ciphersuite;
/// use kp_core::key_package::{CredentialType, ExtensionType};
/// use kp_core::protocol::Requirement;
/// use kp_core::server::{AdmissionPolicy, Uploader};
///
/// let policy = AdmissionPolicy::new()
///     .ciphersuites([Ciphersuite(0x0001)])
///     .clamp_lifetime(Duration::from_secs(90 * 86_400))
///     .require([Requirement::ExtensionSupport(ExtensionType::LAST_RESORT)])
///     // "did:plc:bob#phone" is a device of the account "did:plc:bob".
///     .credential(|leaf, by| match (leaf.credential().identity(), by) {
///         (Some(device), Uploader::Identity(account)) => {
///             device.strip_prefix(account.as_slice()).is_some_and(|rest| rest.starts_with(b"#"))
///         }
///         _ => false,
///     });
/// ```
pub struct AdmissionPolicy {
    ciphersuites: Option<Vec<Ciphersuite>>,
    max_lifetime: u64,
    clamp: Option<u64>,
    skew: u64,
    max_bytes: usize,
    required: Vec<Requirement>,
    credential: Option<CredentialCheck>,
}

impl AdmissionPolicy {
    /// How wide a lifetime may be by default: the 84 days that OpenMLS gives, and the hour by which it dates them back.
    pub const DEFAULT_MAX_LIFETIME: Duration = Duration::from_secs(84 * 86_400 + 3_600);

    /// How far ahead a lifetime may begin by default: one hour.
    pub const DEFAULT_SKEW: Duration = Duration::from_secs(3_600);

    /// How many bytes a KeyPackage may have by default: 32 KiB.
    pub const DEFAULT_MAX_BYTES: usize = 32 * 1_024;

    /// Takes every ciphersuite, within the default bounds.
    #[must_use]
    pub fn new() -> Self {
        Self {
            ciphersuites: None,
            max_lifetime: Self::DEFAULT_MAX_LIFETIME.as_secs(),
            clamp: None,
            skew: Self::DEFAULT_SKEW.as_secs(),
            max_bytes: Self::DEFAULT_MAX_BYTES,
            required: Vec::new(),
            credential: None,
        }
    }

    /// Takes these ciphersuites only. A ciphersuite that the MLS library does not support is not taken all the same.
    #[must_use]
    pub fn ciphersuites(self, suites: impl IntoIterator<Item = Ciphersuite>) -> Self {
        Self {
            ciphersuites: Some(suites.into_iter().collect()),
            ..self
        }
    }

    /// Sets how wide a lifetime may be, in whole seconds. [`Duration::MAX`] takes every width; an end that lies beyond
    /// [`Timestamp::MAX`] is stored as `Timestamp::MAX`.
    #[must_use]
    pub fn max_lifetime(self, width: Duration) -> Self {
        Self {
            max_lifetime: width.as_secs(),
            clamp: None,
            ..self
        }
    }

    /// Takes lifetimes of every width, and stores a `not_after` of at most `now` and `width`, in whole seconds: for clients
    /// whose lifetimes end never. The pool hands out no KeyPackage beyond the stored end.
    ///
    /// The directory knows the same KeyPackage again, uploaded later, although its end would then be another. The bytes stay
    /// as they are, so a client that gets such a KeyPackage sees the wide lifetime. The setter replaces
    /// [`max_lifetime`](Self::max_lifetime).
    #[must_use]
    pub fn clamp_lifetime(self, width: Duration) -> Self {
        Self {
            clamp: Some(width.as_secs()),
            ..self
        }
    }

    /// Sets how far ahead of `now` a lifetime may begin, in whole seconds: as much as the clocks of clients may differ.
    #[must_use]
    pub fn skew(self, skew: Duration) -> Self {
        Self {
            skew: skew.as_secs(),
            ..self
        }
    }

    /// Sets how many bytes a bare KeyPackage may have; [`KeyPackageBytes::MAX_LEN`] at most.
    #[must_use]
    pub fn max_bytes(self, bytes: usize) -> Self {
        Self {
            max_bytes: bytes.min(KeyPackageBytes::MAX_LEN),
            ..self
        }
    }

    /// Takes only KeyPackages that meet all these requirements. Default: none.
    #[must_use]
    pub fn require(self, requirements: impl IntoIterator<Item = Requirement>) -> Self {
        Self {
            required: requirements.into_iter().collect(),
            ..self
        }
    }

    /// Replaces the comparison of the leaf with the uploader: `is_theirs` gets the leaf, with the credential and the
    /// signature key, and says whether the leaf is the uploader's. For X.509, DIDs with a device, and credentials of one's
    /// own. Default: [`Uploader::is_owner_of`].
    ///
    /// [`Uploader::Unchecked`] is also the directory, which judges again what is stored already (`amend`): say yes.
    ///
    /// `is_theirs` is called before the signatures are verified, so the leaf may be anybody's invention. A KeyPackage is
    /// admitted only if the signatures verify as well, by the leaf's signature key.
    #[must_use]
    pub fn credential(
        self,
        is_theirs: impl Fn(&UnverifiedLeafNode<'_>, &Uploader) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            credential: Some(Box::new(is_theirs)),
            ..self
        }
    }

    /// Reads an upload, and judges its size, its form and its ciphersuite.
    ///
    /// # Errors
    ///
    /// [`Refusal::TooLarge`], [`Refusal::Malformed`], [`Refusal::InvalidLeaf`] or [`Refusal::UnsupportedCiphersuite`].
    pub fn read<'a>(&self, uploaded: &'a [u8]) -> Result<UnverifiedKeyPackage<'a>, Refusal> {
        if UnverifiedKeyPackage::bare(uploaded).len() > self.max_bytes {
            return Err(Refusal::TooLarge);
        }
        let package = UnverifiedKeyPackage::read(uploaded)?;
        let is_taken = |suites: &Vec<_>| suites.contains(&package.ciphersuite());
        if !self.ciphersuites.as_ref().is_none_or(is_taken) {
            return Err(Refusal::UnsupportedCiphersuite);
        }
        Ok(package)
    }

    /// Judges lifetime, uploader, the demands of RFC 9420 ([`UnverifiedKeyPackage::check`]) and the server's requirements, in
    /// this order. Returns the lifetime that is to be stored.
    ///
    /// # Errors
    ///
    /// The [`Refusal`] of the first check that fails.
    pub fn check(
        &self,
        package: &UnverifiedKeyPackage<'_>,
        by: &Uploader,
        now: Timestamp,
    ) -> Result<Lifetime, Refusal> {
        let leaf = package.leaf_node();
        let lifetime = self.lifetime(leaf, now)?;
        let is_theirs = match &self.credential {
            Some(is_theirs) => is_theirs(leaf, by),
            None => by.is_owner_of(leaf),
        };
        if !is_theirs {
            return Err(Refusal::CredentialMismatch);
        }
        package.check()?;
        let mut required = self.required.iter();
        match required.find(|requirement| !requirement.is_met_by(package)) {
            Some(unmet) => Err(Refusal::RequirementNotMet(*unmet)),
            None => Ok(lifetime),
        }
    }

    fn lifetime(&self, leaf: &UnverifiedLeafNode<'_>, now: Timestamp) -> Result<Lifetime, Refusal> {
        let (not_before, not_after) = (leaf.not_before(), leaf.not_after());
        let seconds = u64::try_from(now.get()).unwrap_or_default();
        if not_before >= not_after {
            return Err(Refusal::Malformed);
        }
        if not_after <= seconds {
            return Err(Refusal::Expired);
        }
        if not_before > seconds.saturating_add(self.skew) {
            return Err(Refusal::NotYetValid);
        }
        let last = match self.clamp {
            Some(width) => now.plus(width),
            None if not_after - not_before > self.max_lifetime => return Err(Refusal::LifetimeTooWide),
            None => Timestamp::MAX,
        };
        // An end that fits no timestamp lies beyond the last. A beginning that does will never come.
        let moment = |seconds| i64::try_from(seconds).ok().and_then(Timestamp::new);
        let begins = moment(not_before).ok_or(Refusal::NotYetValid)?;
        let ends = moment(not_after).map_or(last, |ends| ends.min(last));
        Lifetime::new(begins, ends).map_err(|_| Refusal::NotYetValid)
    }
}

impl Default for AdmissionPolicy {
    fn default() -> Self {
        Self::new()
    }
}

/// Hides the credential's check, which is code.
impl fmt::Debug for AdmissionPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdmissionPolicy")
            .field("ciphersuites", &self.ciphersuites)
            .field("max_lifetime", &self.max_lifetime)
            .field("clamp", &self.clamp)
            .field("skew", &self.skew)
            .field("max_bytes", &self.max_bytes)
            .field("required", &self.required)
            .finish_non_exhaustive()
    }
}
