//! Somebody on mls-rs, with one of its crypto providers, with or without GREASE in the KeyPackages.

use keypackage_pool::key_package::UnverifiedKeyPackage;
use kp_test_support::draft::{Draft, EXTENSIONS};
use mls_rs::client_builder::MlsConfig;
use mls_rs::crypto::SignatureSecretKey;
use mls_rs::error::IntoAnyError;
use mls_rs::group::ReceivedMessage;
use mls_rs::identity::SigningIdentity;
use mls_rs::identity::basic::{BasicCredential, BasicIdentityProvider};
use mls_rs::storage_provider::KeyPackageData;
use mls_rs::storage_provider::in_memory::InMemoryKeyPackageStorage;
use mls_rs::{CipherSuite, CipherSuiteProvider, Client, CryptoProvider, MlsMessage};

use crate::{HELLO, Invitation, Person, Result};

/// Whether KeyPackages have what mls-rs's feature `grease` gives them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grease {
    Plain,
    Greased,
}

pub(crate) struct OnMlsRs<P> {
    provider: P,
    suite: CipherSuite,
    whose: SigningIdentity,
    secret: SignatureSecretKey,
    storage: InMemoryKeyPackageStorage,
    grease: Grease,
}

impl<P: CryptoProvider + Clone> OnMlsRs<P> {
    pub(crate) fn new(provider: P, name: &str, suite: u16, grease: Grease) -> Result<Self> {
        let suite = CipherSuite::new(suite);
        let crypto = provider.cipher_suite_provider(suite).ok_or("unknown")?;
        let (secret, public) = crypto.signature_key_generate().map_err(IntoAnyError::into_any_error)?;
        let credential = BasicCredential::new(name.into()).into_credential();
        Ok(Self {
            provider,
            suite,
            whose: SigningIdentity::new(credential, public),
            secret,
            storage: InMemoryKeyPackageStorage::new(),
            grease,
        })
    }

    fn client(&self) -> Client<impl MlsConfig + use<P>> {
        Client::builder()
            .crypto_provider(self.provider.clone())
            .identity_provider(BasicIdentityProvider)
            .key_package_repo(self.storage.clone())
            .signing_identity(self.whose.clone(), self.secret.clone(), self.suite)
            .build()
    }

    /// What mls-rs does with its feature `grease`, which is of a whole build: one extension of the leaf, listed, and one outside
    /// of it, not listed; and numbers in all lists.
    fn greased(&self, bare: &[u8]) -> Result<Vec<u8>> {
        let crypto = self.provider.cipher_suite_provider(self.suite).ok_or("unknown")?;
        let mut draft = Draft::of(bare);
        draft.capabilities[1..].iter_mut().for_each(|list| list.push(0x2A2A));
        draft.capabilities[EXTENSIONS].push(0x0A0A);
        draft.leaf_extensions.push((0x0A0A, vec![]));
        draft.extensions.push((0x1A1A, vec![]));
        let greased = draft.signed(|content| crypto.sign(&self.secret, content).unwrap_or_default());
        let (_, data) = self.storage.key_packages().pop().ok_or("no key")?;
        let name = crypto.hash(&UnverifiedKeyPackage::read(&greased)?.ref_hash_input());
        let name = name.map_err(IntoAnyError::into_any_error)?;
        let data = KeyPackageData::new(
            greased.clone(),
            data.init_key.clone(),
            data.leaf_node_key.clone(),
            data.expiration,
        );
        self.storage.insert(name, data);
        Ok(greased)
    }
}

impl<P: CryptoProvider + Clone> Person for OnMlsRs<P> {
    fn key_package(&self) -> Result<Vec<u8>> {
        let made = self
            .client()
            .generate_key_package_message(Default::default(), Default::default(), None)?;
        let wrapped = made.to_bytes()?;
        if self.grease == Grease::Greased {
            self.greased(&wrapped[4..])
        } else {
            Ok(wrapped)
        }
    }

    fn invite(&self, bare: &[u8]) -> Result<Invitation> {
        let package = MlsMessage::from_bytes(&[&[0, 1, 0, 5], bare].concat())?;
        let mut group = self
            .client()
            .create_group(Default::default(), Default::default(), None)?;
        let commit = group.commit_builder().add_member(package)?.build()?;
        group.apply_pending_commit()?;
        Ok(Invitation {
            welcome: commit.welcome_messages[0].to_bytes()?,
            message: group
                .encrypt_application_message(HELLO, Default::default())?
                .to_bytes()?,
        })
    }

    fn join_and_read(&self, invitation: &Invitation) -> Result<Vec<u8>> {
        let welcome = MlsMessage::from_bytes(&invitation.welcome)?;
        let (mut group, _) = self.client().join_group(None, &welcome, None)?;
        match group.process_incoming_message(MlsMessage::from_bytes(&invitation.message)?)? {
            ReceivedMessage::ApplicationMessage(message) => Ok(message.data().to_vec()),
            _ => Err("not a message of the app".into()),
        }
    }
}
