use std::fmt;
use std::time::Duration;

use kp_core::key_package::{Signed, UnverifiedKeyPackage};
use kp_core::protocol::{LeafFault, Refusal};
use kp_core::server::{Admission, Admitted, InitKeyFingerprint, Uploader};
use kp_core::{Ciphersuite, KeyPackage, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Lifetime, Timestamp};
use openmls::ciphersuite::hash_ref::make_key_package_ref;
use openmls::prelude::tls_codec::{Deserialize as _, Serialize as _};
use openmls::prelude::{KeyPackageIn, KeyPackageVerifyError, ProtocolVersion};
#[cfg(feature = "rust-crypto")]
use openmls_rust_crypto::RustCrypto;
use openmls_traits::crypto::OpenMlsCrypto;
use openmls_traits::types::{self, HashType};

use crate::credential_hash;
use crate::keys::{check_encapsulation, check_lengths};

/// Judges KeyPackages with OpenMLS, on any of its crypto providers.
///
/// Checks go from cheap to dear, and the first that fails names the refusal: too large, malformed, ciphersuite, lifetime,
/// uploader, the leaf, the lengths of the keys, the signatures, and the HPKE keys. What is admitted can be added, by OpenMLS,
/// to a group that it fits. `docs/admission.md` of the repository lists every demand of RFC 9420, and who checks the demand.
///
/// - Everything is read from the bytes. A bare KeyPackage and one wrapped in an `MLSMessage` are taken, and the
///   bare one is what is hashed (RFC 9420 §5.2) and returned.
/// - What is wrong has a [`Refusal`] each. OpenMLS does not bound how *wide* a lifetime is; here it is 84 days and
///   one hour, as wide as OpenMLS's own clients make it. **mls-rs makes 365 days by default**: with such clients, set
///   [`max_lifetime`](Self::max_lifetime).
/// - A last-resort KeyPackage has the extension `last_resort`, and its leaf's capabilities list the extension type. With
///   the extension alone it is an [`InvalidLeaf`](Refusal::InvalidLeaf). [`OpenMlsVault`](crate::OpenMlsVault) makes it
///   right; with OpenMLS alone, list `ExtensionType::LastResort` in the leaf node's capabilities as well as calling
///   `mark_as_last_resort()`.
/// - GREASE (RFC 9420 §13.5) in the capabilities is taken. A GREASE *extension* is refused, as
///   [`Other`](Refusal::Other), although RFC 9420 allows one that the capabilities list: OpenMLS 0.9 does not find it there,
///   and so cannot add such a KeyPackage. **mls-rs with its feature `grease` makes such KeyPackages.**
/// - Hostile bytes never panic, and cost two signature checks and two encapsulations at most, four signature checks where
///   clocks disagree.
///
/// # Time
///
/// `now` decides, not the system's clock. OpenMLS's `validate` judges the lifetime by the system's clock as its last
/// check, and refuses a package that is valid from five seconds ahead. Where only that verdict stands against a package,
/// it is overruled: both signatures are verified once more, here, so that no forgery hangs on the order in which OpenMLS
/// checks.
///
/// ```
/// use std::time::Duration;
/// use kp_core::Ciphersuite;
/// use kp_openmls::OpenMlsAdmission;
///
/// let admission = OpenMlsAdmission::new()
///     .ciphersuites([Ciphersuite(0x0001)])
///     .max_lifetime(Duration::from_secs(366 * 86_400));
/// ```
pub struct OpenMlsAdmission<C> {
    crypto: C,
    ciphersuites: Vec<Ciphersuite>,
    max_lifetime: u64,
    skew: u64,
    max_bytes: usize,
}

/// Omits the crypto provider, which may hold the state of a random number generator.
impl<C> fmt::Debug for OpenMlsAdmission<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenMlsAdmission")
            .field("ciphersuites", &self.ciphersuites)
            .field("max_lifetime", &self.max_lifetime)
            .field("skew", &self.skew)
            .field("max_bytes", &self.max_bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "rust-crypto")]
impl OpenMlsAdmission<RustCrypto> {
    /// Judges with OpenMLS's Rust crypto provider, and all its ciphersuites.
    #[must_use]
    pub fn new() -> Self {
        Self::with_crypto(RustCrypto::default())
    }
}

#[cfg(feature = "rust-crypto")]
impl Default for OpenMlsAdmission<RustCrypto> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: OpenMlsCrypto> OpenMlsAdmission<C> {
    /// How wide a lifetime may be by default: the 84 days that OpenMLS gives, and the hour by which it dates them back.
    pub const DEFAULT_MAX_LIFETIME: Duration = Duration::from_secs(84 * 86_400 + 3_600);

    /// How far ahead a lifetime may begin by default: one hour.
    pub const DEFAULT_SKEW: Duration = Duration::from_secs(3_600);

    /// How many bytes a KeyPackage may have by default: 32 KiB.
    pub const DEFAULT_MAX_BYTES: usize = 32 * 1_024;

    /// Judges with this crypto provider, and all its ciphersuites.
    pub fn with_crypto(crypto: C) -> Self {
        let supported = crypto.supported_ciphersuites();
        Self {
            crypto,
            ciphersuites: supported.into_iter().map(|suite| Ciphersuite(suite.into())).collect(),
            max_lifetime: Self::DEFAULT_MAX_LIFETIME.as_secs(),
            skew: Self::DEFAULT_SKEW.as_secs(),
            max_bytes: Self::DEFAULT_MAX_BYTES,
        }
    }

    /// Takes these ciphersuites only. One that the crypto provider does not support is not taken all the same.
    #[must_use]
    pub fn ciphersuites(self, suites: impl IntoIterator<Item = Ciphersuite>) -> Self {
        Self {
            ciphersuites: suites.into_iter().collect(),
            ..self
        }
    }

    /// Sets how wide a lifetime may be (RFC 9420 §7.2 demands a bound), in whole seconds.
    #[must_use]
    pub fn max_lifetime(self, width: Duration) -> Self {
        Self {
            max_lifetime: width.as_secs(),
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

    fn supported(&self, ciphersuite: Ciphersuite) -> Result<types::Ciphersuite, Refusal> {
        types::Ciphersuite::try_from(ciphersuite.0)
            .ok()
            .filter(|suite| self.ciphersuites.contains(&ciphersuite) && self.crypto.supports(*suite).is_ok())
            .ok_or(Refusal::UnsupportedCiphersuite)
    }

    /// All that is judged by `now`. What does not fit a [`Timestamp`] lies beyond any sensible bound.
    fn lifetime(&self, package: &UnverifiedKeyPackage<'_>, now: Timestamp) -> Result<Lifetime, Refusal> {
        let leaf = package.leaf_node();
        let (not_before, not_after) = (leaf.not_before(), leaf.not_after());
        let seconds = u64::try_from(now.get()).unwrap_or_default();
        if not_before >= not_after {
            Err(Refusal::Malformed)
        } else if not_after <= seconds {
            Err(Refusal::Expired)
        } else if not_before > seconds.saturating_add(self.skew) {
            Err(Refusal::NotYetValid)
        } else if not_after - not_before > self.max_lifetime {
            Err(Refusal::LifetimeTooWide)
        } else {
            let moment = |seconds| i64::try_from(seconds).ok().and_then(Timestamp::new);
            moment(not_before)
                .zip(moment(not_after))
                .and_then(|(not_before, not_after)| Lifetime::new(not_before, not_after).ok())
                .ok_or(Refusal::LifetimeTooWide)
        }
    }

    /// The signatures, by OpenMLS; but not its verdict on the lifetime.
    fn verify(
        &self,
        key_package: KeyPackageIn,
        package: &UnverifiedKeyPackage<'_>,
        suite: types::Ciphersuite,
    ) -> Result<(), Refusal> {
        let leaf = package.leaf_node();
        let is_signed = |signed: Signed<'_>| {
            let (scheme, content) = (suite.signature_algorithm(), signed.sign_content());
            let verified = self
                .crypto
                .verify_signature(scheme, &content, leaf.signature_key(), signed.signature);
            verified.is_ok()
        };
        match key_package.validate(&self.crypto, ProtocolVersion::Mls10) {
            Ok(_) => Ok(()),
            Err(KeyPackageVerifyError::LifetimeError(_)) if is_signed(leaf.signed()) && is_signed(package.signed()) => {
                Ok(())
            }
            Err(
                KeyPackageVerifyError::LifetimeError(_)
                | KeyPackageVerifyError::InvalidLeafNodeSignature
                | KeyPackageVerifyError::InvalidSignature,
            ) => Err(Refusal::BadSignature),
            // A demand of a later OpenMLS.
            Err(_) => Err(Refusal::InvalidLeaf(LeafFault::Unspecified)),
        }
    }
}

impl<C: OpenMlsCrypto + Send + Sync + 'static> Admission for OpenMlsAdmission<C> {
    fn admit(&self, uploaded: &[u8], by: &Uploader, now: Timestamp) -> Result<Admitted, Refusal> {
        if UnverifiedKeyPackage::bare(uploaded).len() > self.max_bytes {
            return Err(Refusal::TooLarge);
        }
        let read = UnverifiedKeyPackage::read(uploaded)?;
        let bare = read.bytes();
        let suite = self.supported(read.ciphersuite())?;
        let lifetime = self.lifetime(&read, now)?;
        if !is_made_by(&read, by) {
            return Err(Refusal::CredentialMismatch);
        }
        read.check()?;
        if has_grease(&read) {
            return Err(Refusal::Other(
                "OpenMLS cannot add a KeyPackage with a GREASE extension",
            ));
        }
        check_lengths(&read, suite)?;
        let key_package = parse(bare)?;
        let credential = key_package.unverified_credential();
        self.verify(key_package, &read, suite)?;
        check_encapsulation(&read, suite, &self.crypto)?;

        let cannot_hash = |_| Refusal::Other("the crypto provider cannot hash");
        let hash = make_key_package_ref(bare, suite, &self.crypto).map_err(cannot_hash)?;
        let info = KeyPackageInfo::new(
            KeyPackageRef::try_from(hash.as_slice()).map_err(|_| Refusal::Malformed)?,
            read.ciphersuite(),
            lifetime,
            credential_hash(&self.crypto, &credential).map_err(cannot_hash)?,
        )
        .role(read.role());
        let bytes = KeyPackageBytes::try_from(bare).map_err(|_| Refusal::TooLarge)?;
        let init_key = self
            .crypto
            .hash(HashType::Sha2_256, read.init_key())
            .map_err(cannot_hash)?
            .try_into()
            .map_err(|_| Refusal::Other("the crypto provider has another SHA-256"))?;
        Ok(Admitted::new(KeyPackage::new(info, bytes))
            .fingerprint(InitKeyFingerprint::of_sha256(init_key))
            .support(read.leaf_node().capabilities().support()))
    }
}

/// OpenMLS compares `Unknown(0x0a0a)`, which it reads as an extension, with `Grease(0x0a0a)`, which it reads in the
/// capabilities.
fn has_grease(package: &UnverifiedKeyPackage<'_>) -> bool {
    let mut extensions = package
        .leaf_node()
        .extensions()
        .iter()
        .chain(package.extensions().iter());
    extensions.any(|extension| extension.extension_type.is_grease())
}

/// OpenMLS's own reading, which must write back as the same bytes: else a client, which hashes what it reads, would know
/// the package by another ref.
fn parse(bare: &[u8]) -> Result<KeyPackageIn, Refusal> {
    KeyPackageIn::tls_deserialize_exact(bare)
        .ok()
        .filter(|read| read.tls_serialize_detached().is_ok_and(|written| written == bare))
        .ok_or(Refusal::Malformed)
}

fn is_made_by(package: &UnverifiedKeyPackage<'_>, by: &Uploader) -> bool {
    let leaf = package.leaf_node();
    match by {
        Uploader::Identity(identity) => leaf.credential().identity() == Some(identity),
        Uploader::SignatureKey(key) => leaf.signature_key() == key,
        Uploader::Unchecked => true,
        _ => false,
    }
}
