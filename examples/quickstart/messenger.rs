//! A messenger: a real OpenMLS client. It knows nothing of pools, and makes and takes bytes.

use std::error::Error;

use openmls::prelude::tls_codec::{Deserialize as _, Serialize as _};
use openmls::prelude::{
    BasicCredential, Capabilities, Ciphersuite, CredentialWithKey, ExtensionType, KeyPackage, KeyPackageBuilder,
    KeyPackageIn, Lifetime, MlsGroup, MlsGroupCreateConfig, MlsGroupJoinConfig, MlsMessageBodyIn, MlsMessageIn,
    OpenMlsProvider as _, ProcessedMessageContent, ProtocolVersion, StagedWelcome,
};
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::OpenMlsRustCrypto;

const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

pub(crate) struct Messenger {
    provider: OpenMlsRustCrypto,
    signer: SignatureKeyPair,
    credential: CredentialWithKey,
    group: Option<MlsGroup>,
}

/// What adding somebody makes: nobody may see it before the KeyPackage is spent.
pub(crate) struct Invitation {
    pub(crate) commit: Vec<u8>,
    pub(crate) welcome: Vec<u8>,
}

impl Messenger {
    pub(crate) fn new(name: &str) -> Result<Self> {
        let signer = SignatureKeyPair::new(SUITE.signature_algorithm())?;
        let credential = CredentialWithKey {
            credential: BasicCredential::new(name.into()).into(),
            signature_key: signer.to_public_vec().into(),
        };
        Ok(Self {
            provider: OpenMlsRustCrypto::default(),
            signer,
            credential,
            group: None,
        })
    }

    pub(crate) fn key_packages(&self, count: usize) -> Result<Vec<Vec<u8>>> {
        (0..count).map(|_| self.build(KeyPackage::builder())).collect()
    }

    pub(crate) fn last_resort(&self) -> Result<Vec<u8>> {
        // OpenMLS refuses a last resort whose leaf does not list the extension.
        let extensions = vec![ExtensionType::LastResort];
        let capabilities = Capabilities::builder().extensions(extensions).build();
        self.build(
            KeyPackage::builder()
                .leaf_node_capabilities(capabilities)
                .mark_as_last_resort(),
        )
    }

    /// A KeyPackage with this lifetime, in Unix seconds.
    pub(crate) fn valid(&self, not_before: i64, not_after: i64) -> Result<Vec<u8>> {
        let lifetime = Lifetime::init(not_before.try_into()?, not_after.try_into()?);
        self.build(KeyPackage::builder().key_package_lifetime(lifetime))
    }

    fn build(&self, builder: KeyPackageBuilder) -> Result<Vec<u8>> {
        let bundle = builder.build(SUITE, &self.provider, &self.signer, self.credential.clone())?;
        Ok(bundle.key_package().tls_serialize_detached()?)
    }

    pub(crate) fn create_group(&mut self) -> Result<()> {
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(SUITE)
            .use_ratchet_tree_extension(true)
            .build();
        let group = MlsGroup::new(&self.provider, &self.signer, &config, self.credential.clone())?;
        self.group = Some(group);
        Ok(())
    }

    /// Makes the Commit and the Welcome that add the owner of this KeyPackage; `confirm` applies them.
    pub(crate) fn invite(&mut self, key_package: &[u8]) -> Result<Invitation> {
        let group = self.group.as_mut().ok_or("not in a group")?;
        let key_package = KeyPackageIn::tls_deserialize_exact(key_package)?;
        let key_package = key_package.validate(self.provider.crypto(), ProtocolVersion::Mls10)?;
        let (commit, welcome, _) = group.add_members(&self.provider, &self.signer, &[key_package])?;
        Ok(Invitation {
            commit: commit.tls_serialize_detached()?,
            welcome: welcome.tls_serialize_detached()?,
        })
    }

    pub(crate) fn confirm(&mut self) -> Result<()> {
        let group = self.group.as_mut().ok_or("not in a group")?;
        Ok(group.merge_pending_commit(&self.provider)?)
    }

    pub(crate) fn join(&mut self, welcome: &[u8]) -> Result<()> {
        let MlsMessageBodyIn::Welcome(welcome) = MlsMessageIn::tls_deserialize_exact(welcome)?.extract() else {
            return Err("not a Welcome".into());
        };
        let config = MlsGroupJoinConfig::default();
        let staged = StagedWelcome::new_from_welcome(&self.provider, &config, welcome, None)?;
        self.group = Some(staged.into_group(&self.provider)?);
        Ok(())
    }

    pub(crate) fn say(&mut self, text: &str) -> Result<Vec<u8>> {
        let group = self.group.as_mut().ok_or("not in a group")?;
        let message = group.create_message(&self.provider, &self.signer, text.as_bytes())?;
        Ok(message.tls_serialize_detached()?)
    }

    /// Decrypts a message; a Commit is followed, and says nothing.
    pub(crate) fn hear(&mut self, message: &[u8]) -> Result<String> {
        let group = self.group.as_mut().ok_or("not in a group")?;
        let message = MlsMessageIn::tls_deserialize_exact(message)?.try_into_protocol_message()?;
        match group.process_message(&self.provider, message)?.into_content() {
            ProcessedMessageContent::ApplicationMessage(text) => Ok(String::from_utf8(text.into_bytes())?),
            ProcessedMessageContent::StagedCommitMessage(commit) => {
                group.merge_staged_commit(&self.provider, *commit)?;
                Ok(String::new())
            }
            _ => Err("neither text nor a Commit".into()),
        }
    }
}
