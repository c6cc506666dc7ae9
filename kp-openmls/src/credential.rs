use kp_core::CredentialHash;
use openmls::prelude::CredentialWithKey;
use openmls::prelude::tls_codec::{Serialize as _, VLBytes};
use openmls_traits::crypto::OpenMlsCrypto;
use openmls_traits::types::{CryptoError, HashType};

/// Names a credential and its signature key: SHA-256 over `signature_key<V>` and `credential`, encoded and in the order
/// of the leaf node (RFC 9420 §7.2).
///
/// It is there to find the packages of a credential that is no longer used. The key is part of it, since a client that
/// rotates its signature key keeps its identity, and its basic credential is then the same bytes as before.
///
/// # Errors
///
/// What the crypto provider says; one with SHA-256 has nothing to say.
pub fn credential_hash(crypto: &impl OpenMlsCrypto, whose: &CredentialWithKey) -> Result<CredentialHash, CryptoError> {
    let mut named = VLBytes::from(whose.signature_key.as_slice())
        .tls_serialize_detached()
        .map_err(|_| CryptoError::TlsSerializationError)?;
    whose
        .credential
        .tls_serialize(&mut named)
        .map_err(|_| CryptoError::TlsSerializationError)?;
    let hash = crypto.hash(HashType::Sha2_256, &named)?;
    hash.try_into()
        .map(CredentialHash)
        .map_err(|_| CryptoError::InvalidLength)
}
