use std::fmt;

use kp_core::key_package::{Signed, UnverifiedKeyPackage};
use kp_core::protocol::{LeafFault, Refusal};
use kp_core::server::{Admission, AdmissionPolicy, Admitted, InitKeyFingerprint, Uploader};
use kp_core::{Ciphersuite, KeyPackage, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Timestamp};
use openmls::ciphersuite::hash_ref::make_key_package_ref;
use openmls::prelude::tls_codec::{Deserialize as _, Serialize as _};
use openmls::prelude::{KeyPackageIn, KeyPackageVerifyError, ProtocolVersion};
#[cfg(feature = "rust-crypto")]
use openmls_rust_crypto::RustCrypto;
use openmls_traits::crypto::OpenMlsCrypto;
use openmls_traits::types::{self, HashType};

use crate::credential_hash;
use crate::keys::{algorithms, check_encapsulation};

/// Judges KeyPackages with OpenMLS, on any of its crypto providers.
///
/// Checks go from cheap to dear, and the first that fails names the refusal: too large, malformed, ciphersuite, lifetime,
/// uploader, the leaf, the lengths of the keys, the signatures, and the HPKE keys. What is admitted can be added, by OpenMLS,
/// to a group that it fits. `docs/admission.md` of the repository lists every demand of RFC 9420, and who checks the demand.
///
/// - Everything is read from the bytes. A bare KeyPackage and one wrapped in an `MLSMessage` are taken, and the
///   bare one is what is hashed (RFC 9420 §5.2) and returned.
/// - What is wrong has a [`Refusal`] each. What this server takes is its [`policy`](Self::policy). By default a lifetime may be
///   84 days and one hour wide, as OpenMLS's own clients make it; **mls-rs makes 365 days, and ts-mls and mlspp make
///   lifetimes that never end**: [`AdmissionPolicy`] says what such clients need.
/// - A last-resort KeyPackage has the extension `last_resort`, and its leaf's capabilities list the extension type. With
///   the extension alone it is an [`InvalidLeaf`](Refusal::InvalidLeaf). [`OpenMlsVault`](crate::OpenMlsVault) makes it
///   right; with OpenMLS alone, list `ExtensionType::LastResort` in the leaf node's capabilities as well as calling
///   `mark_as_last_resort()`.
/// - GREASE (RFC 9420 §13.5) in the capabilities is taken. A GREASE *extension* is refused, as
///   [`Other`](Refusal::Other), although RFC 9420 allows one: OpenMLS 0.9 does not find it in the capabilities, and so cannot
///   add such a KeyPackage. **mls-rs with its feature `grease` makes such KeyPackages**: a server for clients on mls-rs alone
///   takes them with `kp-mls-rs`.
/// - Hostile bytes never panic, and cost two signature checks and two encapsulations at most, four signature checks where
///   clocks disagree.
///
/// # Ciphersuites
///
/// By default every ciphersuite is taken that the crypto provider *supports*, asked one by one. A provider may support more
/// than it lists: libcrux lists 1, 3 and `0x004d`, and with the feature `pq` supports `0x004e` and `0x004f` too. The drafts'
/// post-quantum ciphersuites need the feature `pq`; without it they are
/// [`UnsupportedCiphersuite`](Refusal::UnsupportedCiphersuite).
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
/// let admission = OpenMlsAdmission::new().policy(|policy| {
///     policy.ciphersuites([Ciphersuite(0x0001)]).max_lifetime(Duration::from_secs(366 * 86_400))
/// });
/// ```
pub struct OpenMlsAdmission<C> {
    crypto: C,
    policy: AdmissionPolicy,
}

/// Omits the crypto provider, which may hold the state of a random number generator.
impl<C> fmt::Debug for OpenMlsAdmission<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenMlsAdmission")
            .field("policy", &self.policy)
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
    /// Judges with this crypto provider, and every ciphersuite that it supports.
    pub fn with_crypto(crypto: C) -> Self {
        Self {
            crypto,
            policy: AdmissionPolicy::new(),
        }
    }

    /// Changes what this server takes.
    #[must_use]
    pub fn policy(self, change: impl FnOnce(AdmissionPolicy) -> AdmissionPolicy) -> Self {
        Self {
            policy: change(self.policy),
            ..self
        }
    }

    fn supported(&self, ciphersuite: Ciphersuite) -> Result<types::Ciphersuite, Refusal> {
        types::Ciphersuite::try_from(ciphersuite.0)
            .ok()
            .filter(|suite| self.crypto.supports(*suite).is_ok())
            .ok_or(Refusal::UnsupportedCiphersuite)
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
        let read = self.policy.read(uploaded)?;
        let bare = read.bytes();
        let suite = self.supported(read.ciphersuite())?;
        let lifetime = self.policy.check(&read, by, now)?;
        if has_grease(&read) {
            return Err(Refusal::Other(
                "OpenMLS cannot add a KeyPackage with a GREASE extension",
            ));
        }
        read.check_key_lengths(algorithms(suite))?;
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
