//! Whether the public keys of a KeyPackage are keys of its ciphersuite (RFC 9420 §5.1.1 and §10).

use kp_core::key_package::{KeyAlgorithms, UnverifiedKeyPackage};
use kp_core::protocol::{KeyFault, PublicKeyField, Refusal};
use mls_rs::CipherSuiteProvider;
use mls_rs::crypto::HpkePublicKey;

/// Seals something to both HPKE keys, as whoever adds the client and whoever commits later will. A signature key has proved
/// itself by its signatures.
pub(crate) fn check_encapsulation(
    package: &UnverifiedKeyPackage<'_>,
    crypto: &impl CipherSuiteProvider,
) -> Result<(), Refusal> {
    let kem = KeyAlgorithms::of(package.ciphersuite()).map(|algorithms| algorithms.kem);
    for (field, bytes) in [
        (PublicKeyField::InitKey, package.init_key()),
        (PublicKeyField::EncryptionKey, package.leaf_node().encryption_key()),
    ] {
        let key = HpkePublicKey::from(bytes.to_vec());
        let sealed = crypto.hpke_seal(&key, b"trial", None, b"trial");
        if sealed.is_err() || (kem == Some(KeyAlgorithms::X25519) && is_of_low_order(bytes)) {
            return Err(Refusal::InvalidKey(KeyFault::Unusable(field)));
        }
    }
    Ok(())
}

/// Whether every secret shared with this key of X25519 is zero. RFC 9180 §7.1.4 has the sender look; mls-rs's Rust crypto
/// provider does not, and what is sealed to such a key, anybody opens.
fn is_of_low_order(key: &[u8]) -> bool {
    // Any scalar will do: clamped, it is a multiple of 8.
    key.try_into()
        .is_ok_and(|key| x25519_dalek::x25519([1; 32], key) == [0; 32])
}
