//! Somebody on OpenMLS, with one of its crypto providers.

use openmls::prelude::tls_codec::{Deserialize as _, Serialize as _};
use openmls::prelude::{
    BasicCredential, CredentialWithKey, KeyPackage, KeyPackageIn, MlsGroup, MlsGroupCreateConfig, MlsGroupJoinConfig,
    MlsMessageBodyIn, MlsMessageIn, ProcessedMessageContent, ProtocolVersion, StagedWelcome,
};
use openmls_traits::OpenMlsProvider;
use openmls_traits::crypto::OpenMlsCrypto as _;
use openmls_traits::signatures::{Signer, SignerError};
use openmls_traits::storage::{CURRENT_VERSION, StorageProvider};
use openmls_traits::types::{Ciphersuite, SignatureScheme};

use crate::{HELLO, Invitation, Person, Result};

pub(crate) struct OnOpenMls<P> {
    provider: P,
    suite: Ciphersuite,
    key: Key<P>,
    credential: CredentialWithKey,
}

/// Signs with the crypto provider: OpenMLS's own key pairs know fewer schemes.
struct Key<P> {
    provider: P,
    scheme: SignatureScheme,
    private: Vec<u8>,
}

impl<P: OpenMlsProvider> Signer for Key<P> {
    fn sign(&self, payload: &[u8]) -> std::result::Result<Vec<u8>, SignerError> {
        let signed = self.provider.crypto().sign(self.scheme, payload, &self.private);
        signed.map_err(SignerError::CryptoError)
    }

    fn signature_scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

impl<P: OpenMlsProvider + Default> OnOpenMls<P> {
    pub(crate) fn new(name: &str, suite: u16) -> Result<Self> {
        let (provider, suite) = (P::default(), Ciphersuite::try_from(suite).map_err(|_| "unknown")?);
        provider.crypto().supports(suite)?;
        let scheme = suite.signature_algorithm();
        let (private, public) = provider.crypto().signature_key_gen(scheme)?;
        let credential = BasicCredential::new(name.into()).into();
        Ok(Self {
            provider,
            suite,
            key: Key {
                provider: P::default(),
                scheme,
                private,
            },
            credential: CredentialWithKey {
                credential,
                signature_key: public.into(),
            },
        })
    }
}

impl<P, E: std::error::Error + 'static> Person for OnOpenMls<P>
where
    P: OpenMlsProvider<StorageProvider: StorageProvider<CURRENT_VERSION, Error = E>>,
{
    fn key_package(&self) -> Result<Vec<u8>> {
        let bundle = KeyPackage::builder().build(self.suite, &self.provider, &self.key, self.credential.clone())?;
        Ok(bundle.key_package().tls_serialize_detached()?)
    }

    fn invite(&self, bare: &[u8]) -> Result<Invitation> {
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(self.suite)
            .use_ratchet_tree_extension(true)
            .build();
        let (provider, key) = (&self.provider, &self.key);
        let mut group = MlsGroup::new(provider, key, &config, self.credential.clone())?;
        let package = KeyPackageIn::tls_deserialize_exact(bare)?;
        let package = package.validate(provider.crypto(), ProtocolVersion::Mls10)?;
        let (_, welcome, _) = group.add_members(provider, key, &[package])?;
        group.merge_pending_commit(provider)?;
        Ok(Invitation {
            welcome: welcome.tls_serialize_detached()?,
            message: group.create_message(provider, key, HELLO)?.tls_serialize_detached()?,
        })
    }

    fn join_and_read(&self, invitation: &Invitation) -> Result<Vec<u8>> {
        let provider = &self.provider;
        let MlsMessageBodyIn::Welcome(welcome) = MlsMessageIn::tls_deserialize_exact(&invitation.welcome)?.extract()
        else {
            return Err("not a Welcome".into());
        };
        let staged = StagedWelcome::new_from_welcome(provider, &MlsGroupJoinConfig::default(), welcome, None)?;
        let mut group = staged.into_group(provider)?;
        let message = MlsMessageIn::tls_deserialize_exact(&invitation.message)?.try_into_protocol_message()?;
        match group.process_message(provider, message)?.into_content() {
            ProcessedMessageContent::ApplicationMessage(text) => Ok(text.into_bytes()),
            _ => Err("not a message of the app".into()),
        }
    }
}
