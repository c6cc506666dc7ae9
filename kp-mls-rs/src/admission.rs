use std::fmt;
use std::time::Duration;

use kp_core::key_package::{KeyAlgorithms, UnverifiedKeyPackage};
use kp_core::protocol::Refusal;
use kp_core::server::{Admission, AdmissionPolicy, Admitted, InitKeyFingerprint, Uploader};
use kp_core::{KeyPackageRef, Timestamp};
use mls_rs::crypto::SignaturePublicKey;
use mls_rs::mls_rs_codec::{MlsDecode as _, MlsEncode as _};
use mls_rs::{CipherSuite, CipherSuiteProvider, CryptoProvider};
#[cfg(feature = "rust-crypto")]
use mls_rs_crypto_rustcrypto::RustCryptoProvider;

use crate::credential::sha256;
use crate::keys::check_encapsulation;
use crate::package::key_package;

/// Judges KeyPackages with a crypto provider of mls-rs.
///
/// Checks go from cheap to dear, and the first that fails names the refusal: too large, malformed, ciphersuite, lifetime,
/// uploader, the leaf, the lengths of the keys, the signatures, and the HPKE keys. What is admitted can be added, by mls-rs,
/// to a group that it fits. `docs/admission.md` of the repository lists every demand of RFC 9420, and who checks the demand.
///
/// - Everything is read from the bytes. A bare KeyPackage and one wrapped in an `MLSMessage` are taken, and the
///   bare one is what is hashed (RFC 9420 §5.2) and returned.
/// - What is wrong has a [`Refusal`] each. What this server takes is its [`policy`](Self::policy). By default a lifetime may be
///   365 days wide, as mls-rs's own clients make it; [`AdmissionPolicy`] says what the clients of other libraries
///   need.
/// - A last-resort KeyPackage has the extension `last_resort`, and its leaf's capabilities list the extension type. mls-rs
///   makes a KeyPackage with the extension alone without complaint; here it is an [`InvalidLeaf`](Refusal::InvalidLeaf).
///   [`MlsRsVault`](crate::MlsRsVault) makes no such KeyPackage.
/// - GREASE (RFC 9420 §13.5) is taken, as mls-rs with its feature `grease` makes it. **OpenMLS 0.9 cannot add such
///   KeyPackages**: for clients on both libraries, use `kp-openmls`.
/// - mls-rs adds no leaf whose capabilities list default types (the extensions 0 to 5, the proposals 1 to 7), and none with the
///   extension `application_id`. Such KeyPackages are refused, as [`Other`](Refusal::Other).
/// - Hostile bytes never panic, and cost two signature checks and two encapsulations at most.
///
/// ```
/// use kp_core::Ciphersuite;
/// use kp_mls_rs::MlsRsAdmission;
///
/// let admission = MlsRsAdmission::new().policy(|policy| policy.ciphersuites([Ciphersuite(0x0001)]));
/// ```
pub struct MlsRsAdmission<C> {
    crypto: C,
    policy: AdmissionPolicy,
}

/// Omits the crypto provider.
impl<C> fmt::Debug for MlsRsAdmission<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MlsRsAdmission")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "rust-crypto")]
impl MlsRsAdmission<RustCryptoProvider> {
    /// Judges with mls-rs's Rust crypto provider, and all its ciphersuites.
    #[must_use]
    pub fn new() -> Self {
        Self::with_crypto(RustCryptoProvider::new())
    }
}

#[cfg(feature = "rust-crypto")]
impl Default for MlsRsAdmission<RustCryptoProvider> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: CryptoProvider> MlsRsAdmission<C> {
    /// How wide a lifetime may be by default: the 365 days that mls-rs gives.
    pub const DEFAULT_MAX_LIFETIME: Duration = Duration::from_secs(365 * 86_400);

    /// Judges with this crypto provider, and every ciphersuite that it provides.
    pub fn with_crypto(crypto: C) -> Self {
        Self {
            crypto,
            policy: AdmissionPolicy::new().max_lifetime(Self::DEFAULT_MAX_LIFETIME),
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
}

impl<C: CryptoProvider + 'static> Admission for MlsRsAdmission<C> {
    fn admit(&self, uploaded: &[u8], by: &Uploader, now: Timestamp) -> Result<Admitted, Refusal> {
        let read = self.policy.read(uploaded)?;
        let suite = read.ciphersuite();
        let crypto = self.crypto.cipher_suite_provider(CipherSuite::new(suite.0));
        let crypto = crypto.ok_or(Refusal::UnsupportedCiphersuite)?;
        let lifetime = self.policy.check(&read, by, now)?;
        can_be_added(&read)?;
        if let Some(algorithms) = KeyAlgorithms::of(suite) {
            read.check_key_lengths(algorithms)?;
        }
        verify(&read, &crypto)?;
        check_encapsulation(&read, &crypto)?;

        let hashed = crypto.hash(&read.ref_hash_input());
        let hashed = hashed.map_err(|_| Refusal::Other("the crypto provider cannot hash"))?;
        let name = KeyPackageRef::try_from(hashed.as_slice()).map_err(|_| Refusal::Malformed)?;
        let package = key_package(&read, name, lifetime).map_err(|_| Refusal::TooLarge)?;
        Ok(Admitted::new(package)
            .fingerprint(InitKeyFingerprint::of_sha256(sha256(read.init_key())))
            .support(read.leaf_node().capabilities().support()))
    }
}

/// Both signatures, each over its own part.
fn verify(package: &UnverifiedKeyPackage<'_>, crypto: &impl CipherSuiteProvider) -> Result<(), Refusal> {
    let leaf = package.leaf_node();
    let key = SignaturePublicKey::new_slice(leaf.signature_key());
    for signed in [leaf.signed(), package.signed()] {
        let verified = crypto.verify(&key, signed.signature, &signed.sign_content());
        verified.map_err(|_| Refusal::BadSignature)?;
    }
    Ok(())
}

/// What mls-rs 0.57 demands beyond RFC 9420, or reads in its own way.
fn can_be_added(package: &UnverifiedKeyPackage<'_>) -> Result<(), Refusal> {
    let leaf = package.leaf_node();
    let listed = leaf.capabilities();
    // mls-rs counts the reserved type 0 among them.
    let lists_default = listed.extensions().iter().any(|it| it.0 == 0 || it.is_default())
        || listed.proposals().iter().any(|it| it.is_default());
    if lists_default {
        return Err(Refusal::Other(
            "mls-rs cannot add a KeyPackage whose capabilities list default types",
        ));
    }
    // mls-rs wants every extension of the leaf listed, and default types must not be.
    if leaf.extensions().iter().any(|it| it.extension_type.is_default()) {
        return Err(Refusal::Other(
            "mls-rs cannot add a leaf with the extension application_id",
        ));
    }
    // mls-rs's own reading must write back as the same bytes: else a client would know the package by another ref.
    let mut rest = package.bytes();
    mls_rs::KeyPackage::mls_decode(&mut rest)
        .ok()
        .filter(|read| read.mls_encode_to_vec().is_ok_and(|written| written == package.bytes()))
        .map(|_| ())
        .ok_or(Refusal::Malformed)
}
