use std::fmt;
use std::time::Duration;

use kp_core::protocol::Refusal;
use kp_core::server::{Admission, Admitted, Uploader};
use kp_core::{Ciphersuite, KeyPackage, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Lifetime, Role, Timestamp};
use openmls::ciphersuite::hash_ref::make_key_package_ref;
use openmls::prelude::tls_codec::{Deserialize as _, Serialize as _, VLBytes};
use openmls::prelude::{CredentialType, CredentialWithKey, KeyPackageIn, KeyPackageVerifyError, ProtocolVersion};
#[cfg(feature = "rust-crypto")]
use openmls_rust_crypto::RustCrypto;
use openmls_traits::crypto::OpenMlsCrypto;
use openmls_traits::types;

use crate::credential_hash;
use crate::unverified::{Unverified, bare};

/// Judges KeyPackages with OpenMLS, on any of its crypto providers.
///
/// Checks go from cheap to dear, and the first that fails names the refusal: too large, malformed, ciphersuite, lifetime,
/// uploader, and then the signatures and whatever else OpenMLS validates.
///
/// - Everything is read from the bytes. A bare KeyPackage and one wrapped in an `MLSMessage` are taken, and the
///   bare one is what is hashed (RFC 9420 §5.2) and returned.
/// - What is wrong has a [`Refusal`] each. OpenMLS does not bound how *wide* a lifetime is; here it is 84 days and
///   one hour, as wide as OpenMLS's own clients make it. **mls-rs makes 365 days by default**: with such clients, set
///   [`max_lifetime`](Self::max_lifetime).
/// - A last-resort KeyPackage has the extension `last_resort`, and its leaf's capabilities list the extension type. With
///   the extension alone it is a [`BadSignature`](Refusal::BadSignature), as OpenMLS has it. [`OpenMlsVault`](crate::OpenMlsVault) makes it
///   right; with OpenMLS alone, list `ExtensionType::LastResort` in the leaf node's capabilities as well as calling
///   `mark_as_last_resort()`.
/// - Hostile bytes never panic, and cost two signature checks at most, four where clocks disagree.
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

    fn supported(&self, number: u16) -> Result<types::Ciphersuite, Refusal> {
        types::Ciphersuite::try_from(number)
            .ok()
            .filter(|suite| self.ciphersuites.contains(&Ciphersuite(number)) && self.crypto.supports(*suite).is_ok())
            .ok_or(Refusal::UnsupportedCiphersuite)
    }

    /// All that is judged by `now`. What does not fit a [`Timestamp`] lies beyond any sensible bound.
    fn lifetime(&self, read: &Unverified<'_>, now: Timestamp) -> Result<Lifetime, Refusal> {
        let (not_before, not_after) = (read.not_before, read.not_after);
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

    /// The signatures, and what else RFC 9420 §10.1 demands, by OpenMLS; but not its verdict on the lifetime.
    fn verify(
        &self,
        key_package: KeyPackageIn,
        read: &Unverified<'_>,
        suite: types::Ciphersuite,
    ) -> Result<(), Refusal> {
        match key_package.validate(&self.crypto, ProtocolVersion::Mls10) {
            Ok(_) => Ok(()),
            Err(KeyPackageVerifyError::LifetimeError(_))
                if self.is_signed("LeafNodeTBS", read.leaf, read, suite)
                    && self.is_signed("KeyPackageTBS", read.key_package, read, suite) =>
            {
                Ok(())
            }
            Err(_) => Err(Refusal::BadSignature),
        }
    }

    /// `VerifyWithLabel` of RFC 9420 §5.1.2.
    fn is_signed(
        &self,
        label: &str,
        (content, signature): (&[u8], &[u8]),
        read: &Unverified<'_>,
        suite: types::Ciphersuite,
    ) -> bool {
        let label = VLBytes::from(format!("MLS 1.0 {label}").as_bytes());
        let Ok(signed) = (label, VLBytes::from(content)).tls_serialize_detached() else {
            return false;
        };
        let scheme = suite.signature_algorithm();
        self.crypto
            .verify_signature(scheme, &signed, read.signature_key, signature)
            .is_ok()
    }
}

impl<C: OpenMlsCrypto + Send + Sync + 'static> Admission for OpenMlsAdmission<C> {
    fn admit(&self, uploaded: &[u8], by: &Uploader, now: Timestamp) -> Result<Admitted, Refusal> {
        let bare = bare(uploaded);
        if bare.len() > self.max_bytes {
            return Err(Refusal::TooLarge);
        }
        let read = Unverified::read(bare).ok_or(Refusal::Malformed)?;
        let suite = self.supported(read.ciphersuite)?;
        let key_package = parse(bare)?;
        let lifetime = self.lifetime(&read, now)?;
        let credential = key_package.unverified_credential();
        if !is_made_by(&credential, by) {
            return Err(Refusal::CredentialMismatch);
        }
        self.verify(key_package, &read, suite)?;

        let cannot_hash = |_| Refusal::Other("the crypto provider cannot hash");
        let hash = make_key_package_ref(bare, suite, &self.crypto).map_err(cannot_hash)?;
        let info = KeyPackageInfo::new(
            KeyPackageRef::try_from(hash.as_slice()).map_err(|_| Refusal::Malformed)?,
            Ciphersuite(read.ciphersuite),
            lifetime,
            credential_hash(&self.crypto, &credential).map_err(cannot_hash)?,
        )
        .role(Role::of(read.last_resort));
        let bytes = KeyPackageBytes::try_from(bare).map_err(|_| Refusal::TooLarge)?;
        Ok(Admitted::new(KeyPackage::new(info, bytes), read.init_key.to_vec()))
    }
}

/// OpenMLS's own reading, which must write back as the same bytes: else a client, which hashes what it reads, would know
/// the package by another ref.
fn parse(bare: &[u8]) -> Result<KeyPackageIn, Refusal> {
    KeyPackageIn::tls_deserialize_exact(bare)
        .ok()
        .filter(|read| read.tls_serialize_detached().is_ok_and(|written| written == bare))
        .ok_or(Refusal::Malformed)
}

fn is_made_by(whose: &CredentialWithKey, by: &Uploader) -> bool {
    let credential = &whose.credential;
    match by {
        Uploader::Identity(identity) => {
            credential.credential_type() == CredentialType::Basic && credential.serialized_content() == identity
        }
        Uploader::SignatureKey(key) => whose.signature_key.as_slice() == key,
        Uploader::Unchecked => true,
        _ => false,
    }
}
