//! Whether the public keys of a KeyPackage are keys of its ciphersuite (RFC 9420 §5.1.1 and §10). OpenMLS does not look.

use kp_core::key_package::{KeyAlgorithms, UnverifiedKeyPackage};
use kp_core::protocol::{KeyFault, PublicKeyField, Refusal};
use openmls_traits::crypto::OpenMlsCrypto;
use openmls_traits::types::Ciphersuite;

/// By numbers: a crypto provider may know KEMs and schemes that this crate was not built with.
pub(crate) fn algorithms(suite: Ciphersuite) -> KeyAlgorithms {
    KeyAlgorithms::new(suite.hpke_kem_algorithm() as u16, suite.signature_algorithm() as u16)
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
        sealed.map_err(|_| match seals_at_all(suite, crypto) {
            true => Refusal::InvalidKey(KeyFault::Unusable(key)),
            false => Refusal::UnsupportedCiphersuite,
        })?;
    }
    Ok(())
}

/// Whether the provider has the KEM: `supports` of libcrux says yes to ciphersuites whose KEM it lacks.
fn seals_at_all(suite: Ciphersuite, crypto: &impl OpenMlsCrypto) -> bool {
    let own = crypto.derive_hpke_keypair(suite.hpke_config(), &[7; 32]);
    own.is_ok_and(|own| {
        crypto
            .hpke_seal(suite.hpke_config(), &own.public, b"trial", b"", b"trial")
            .is_ok()
    })
}
