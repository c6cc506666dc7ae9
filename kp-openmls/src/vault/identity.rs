use std::fmt;
use std::sync::Arc;

use openmls::prelude::CredentialWithKey;
use openmls_traits::signatures::{Signer, SignerError};
use openmls_traits::types::SignatureScheme;

/// Whom a package is made for: a credential, and what signs with the key it names. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    pub(super) signer: SharedSigner,
    pub(super) credential: CredentialWithKey,
}

impl Identity {
    /// This credential, and the signer that has the private half of its key.
    pub fn new(signer: Arc<dyn Signer + Send + Sync>, credential: CredentialWithKey) -> Self {
        Self {
            signer: SharedSigner(signer),
            credential,
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// OpenMLS takes a signer of a sized type.
#[derive(Clone)]
pub(super) struct SharedSigner(Arc<dyn Signer + Send + Sync>);

impl Signer for SharedSigner {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        self.0.sign(payload)
    }

    fn signature_scheme(&self) -> SignatureScheme {
        self.0.signature_scheme()
    }
}
