//! Whether the public keys of a KeyPackage are keys of its ciphersuite (RFC 9420 §5.1.1 and §10). OpenMLS does not look.

use kp_core::key_package::UnverifiedKeyPackage;
use kp_core::protocol::{KeyFault, PublicKeyField, Refusal};
use openmls_traits::crypto::OpenMlsCrypto;
use openmls_traits::types::Ciphersuite;

/// Compares each key's length with the ciphersuite's. Costs nothing, and finds points that a provider reads in more than one
/// form: of a compressed key of P-256, MLS knows nothing, and nobody could open what is sealed to it.
pub(crate) fn check_lengths(package: &UnverifiedKeyPackage<'_>, suite: Ciphersuite) -> Result<(), Refusal> {
    let leaf = package.leaf_node();
    let hpke = hpke_length(suite);
    let signature = signature_length(suite);
    for (key, bytes, expected) in [
        (PublicKeyField::InitKey, package.init_key(), hpke),
        (PublicKeyField::EncryptionKey, leaf.encryption_key(), hpke),
        (PublicKeyField::SignatureKey, leaf.signature_key(), signature),
    ] {
        let found = bytes.len();
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Err(Refusal::InvalidKey(KeyFault::Length { key, found, expected }));
        }
    }
    Ok(())
}

/// Seals something to both HPKE keys, as whoever adds the client and whoever commits later will: points off the curve and
/// points of low order are found, in every provider. A signature key has proved itself by its signatures.
pub(crate) fn check_encapsulation(
    package: &UnverifiedKeyPackage<'_>,
    suite: Ciphersuite,
    crypto: &impl OpenMlsCrypto,
) -> Result<(), Refusal> {
    for (key, bytes) in [
        (PublicKeyField::InitKey, package.init_key()),
        (PublicKeyField::EncryptionKey, package.leaf_node().encryption_key()),
    ] {
        let sealed = crypto.hpke_seal(suite.hpke_config(), bytes, b"trial", b"", b"trial");
        sealed.map_err(|_| Refusal::InvalidKey(KeyFault::Unusable(key)))?;
    }
    Ok(())
}

/// `Npk` of the KEM, by its number in the IANA registry of HPKE: a crypto provider may know KEMs that this crate was not built
/// with. `None` for a KEM that nobody here knows: the encapsulation decides.
fn hpke_length(suite: Ciphersuite) -> Option<usize> {
    Some(match suite.hpke_kem_algorithm() as u16 {
        0x0010 => 65,
        0x0011 => 97,
        0x0012 => 133,
        0x0020 => 32,
        0x0021 => 56,
        0x0041 => 1_184,
        0x0042 => 1_568,
        0x004D | 0x647A => 1_216,
        _ => return None,
    })
}

/// The length of a public key of the scheme, by its number in TLS: a NIST point is uncompressed (RFC 9420 §5.1.1). `None` for
/// a scheme that nobody here knows: the signatures decide.
fn signature_length(suite: Ciphersuite) -> Option<usize> {
    Some(match suite.signature_algorithm() as u16 {
        0x0403 => 65,
        0x0503 => 97,
        0x0603 => 133,
        0x0807 => 32,
        0x0808 => 57,
        0x0904 => 1_312,
        0x0905 => 1_952,
        0x0906 => 2_592,
        _ => return None,
    })
}
