//! A real OpenMLS client that makes KeyPackages.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use kp_core::{Ciphersuite, Timestamp};
use openmls::prelude::tls_codec::Serialize as _;
use openmls::prelude::{
    BasicCredential, Capabilities, CredentialWithKey, ExtensionType, KeyPackage, KeyPackageBuilder, Lifetime,
    MlsMessageOut,
};
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::OpenMlsRustCrypto;
use openmls_traits::signatures::Signer as _;
use openmls_traits::types;

/// In 2023: OpenMLS, by the system's clock, holds a lifetime around it for long over.
pub(crate) const LONG_AGO: Timestamp = match Timestamp::new(1_700_000_000) {
    Some(timestamp) => timestamp,
    None => Timestamp::MIN,
};

pub(crate) struct Client {
    pub(crate) provider: OpenMlsRustCrypto,
    pub(crate) suite: types::Ciphersuite,
    pub(crate) signer: SignatureKeyPair,
    pub(crate) credential: CredentialWithKey,
}

impl Client {
    pub(crate) fn new(identity: &str, suite: Ciphersuite) -> Self {
        let suite = types::Ciphersuite::try_from(suite.0).unwrap();
        let signer = SignatureKeyPair::new(suite.signature_algorithm()).unwrap();
        let credential = CredentialWithKey {
            credential: BasicCredential::new(identity.into()).into(),
            signature_key: signer.to_public_vec().into(),
        };
        let provider = OpenMlsRustCrypto::default();
        Self {
            provider,
            suite,
            signer,
            credential,
        }
    }

    /// Valid around [`LONG_AGO`].
    pub(crate) fn package(&self) -> KeyPackage {
        let now = LONG_AGO.get().unsigned_abs();
        self.package_valid(now - 3_600, now + 84 * 86_400)
    }

    pub(crate) fn package_valid(&self, not_before: u64, not_after: u64) -> KeyPackage {
        self.build(builder().key_package_lifetime(Lifetime::init(not_before, not_after)))
    }

    pub(crate) fn sign(&self, content: &[u8]) -> Vec<u8> {
        self.signer.sign(content).unwrap()
    }

    pub(crate) fn build(&self, builder: KeyPackageBuilder) -> KeyPackage {
        let bundle = builder.build(self.suite, &self.provider, &self.signer, self.credential.clone());
        bundle.unwrap().key_package().clone()
    }
}

/// A package that may be marked as last resort.
pub(crate) fn builder() -> KeyPackageBuilder {
    let capabilities = Capabilities::builder()
        .extensions(vec![ExtensionType::LastResort])
        .build();
    KeyPackage::builder().leaf_node_capabilities(capabilities)
}

pub(crate) fn bytes(package: &KeyPackage) -> Vec<u8> {
    package.tls_serialize_detached().unwrap()
}

pub(crate) fn wrapped(package: &KeyPackage) -> Vec<u8> {
    MlsMessageOut::from(package.clone()).tls_serialize_detached().unwrap()
}
