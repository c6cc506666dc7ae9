//! Somebody who adds a client to a group, by OpenMLS alone.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use openmls::prelude::tls_codec::Deserialize as _;
use openmls::prelude::{
    Capabilities, Credential, CredentialType, CredentialWithKey, KeyPackage, KeyPackageIn, LeafNodeParameters,
    MlsGroup, MlsGroupCreateConfig, ProtocolVersion,
};
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::OpenMlsRustCrypto;
use openmls_traits::OpenMlsProvider as _;
use openmls_traits::types::Ciphersuite;

pub(crate) struct Adder {
    provider: OpenMlsRustCrypto,
    signer: SignatureKeyPair,
    credential: CredentialWithKey,
    config: MlsGroupCreateConfig,
    group: MlsGroup,
}

impl Adder {
    /// Begins a group, with a credential of the type that the client to be added has: any other group might not fit.
    pub(crate) fn new(suite: Ciphersuite, credential_type: u16) -> Self {
        let provider = OpenMlsRustCrypto::default();
        let signer = SignatureKeyPair::new(suite.signature_algorithm()).unwrap();
        let credential_type = CredentialType::from(credential_type);
        let credential = CredentialWithKey {
            credential: Credential::new(credential_type, b"alice".to_vec()),
            signature_key: signer.to_public_vec().into(),
        };
        let capabilities = Capabilities::builder().credentials(vec![credential_type]).build();
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(suite)
            .capabilities(capabilities)
            .build();
        let group = MlsGroup::new(&provider, &signer, &config, credential.clone()).unwrap();
        Self {
            provider,
            signer,
            credential,
            config,
            group,
        }
    }

    fn validated(&self, bare: &[u8]) -> Result<KeyPackage, String> {
        let read = KeyPackageIn::tls_deserialize_exact(bare).map_err(|error| format!("{error:?}"))?;
        read.validate(self.provider.crypto(), ProtocolVersion::Mls10)
            .map_err(|error| format!("{error:?}"))
    }

    /// Whether OpenMLS adds the client. The commit is thrown away, and the group stays as it was.
    pub(crate) fn add(&mut self, bare: &[u8]) -> Result<(), String> {
        let package = self.validated(bare)?;
        let added = self.group.add_members(&self.provider, &self.signer, &[package]);
        added.map(|_| ()).map_err(|error| format!("{error:?}"))?;
        self.group.clear_pending_commit(self.provider.storage()).unwrap();
        Ok(())
    }

    /// Whether a group of its own goes on after the add: the next commit encrypts to the new leaf.
    pub(crate) fn add_and_commit(&self, bare: &[u8]) -> Result<(), String> {
        let package = self.validated(bare)?;
        let Self {
            provider,
            signer,
            credential,
            config,
            ..
        } = self;
        let mut group = MlsGroup::new(provider, signer, config, credential.clone()).unwrap();
        let added = group.add_members(provider, signer, &[package]);
        added.map(|_| ()).map_err(|error| format!("add: {error:?}"))?;
        group.merge_pending_commit(provider).unwrap();
        let updated = group.self_update(provider, signer, LeafNodeParameters::default());
        updated.map(|_| ()).map_err(|error| format!("commit: {error:?}"))?;
        group
            .merge_pending_commit(provider)
            .map_err(|error| format!("{error:?}"))?;
        group.delete(provider.storage()).unwrap();
        Ok(())
    }
}
