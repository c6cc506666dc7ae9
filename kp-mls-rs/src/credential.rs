use kp_core::CredentialHash;
use mls_rs::identity::SigningIdentity;
use mls_rs::mls_rs_codec::{Error, MlsEncode as _};
use sha2::{Digest as _, Sha256};

/// Names a credential and its signature key: the SHA-256 over both, as [`CredentialHash`] says.
///
/// It is there to find the packages of a credential that is no longer used. The key is part of it, since a client that
/// rotates its signature key keeps its identity, and its basic credential is then the same bytes as before.
///
/// # Errors
///
/// The credential is too long to be encoded.
pub fn credential_hash(whose: &SigningIdentity) -> Result<CredentialHash, Error> {
    Ok(CredentialHash(sha256(&whose.mls_encode_to_vec()?)))
}

/// By itself, since a crypto provider of mls-rs has the hash of one ciphersuite.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
