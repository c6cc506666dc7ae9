//! Somebody on mls-rs: makes KeyPackages, adds others, joins, reads.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::convert::Infallible;
use std::time::{SystemTime, UNIX_EPOCH};

use kp_core::Timestamp;
use kp_test_support::draft::certificate_of;
use mls_rs::client_builder::MlsConfig;
use mls_rs::crypto::SignatureSecretKey;
use mls_rs::extension::ExtensionType;
use mls_rs::group::ReceivedMessage;
use mls_rs::identity::basic::BasicCredential;
use mls_rs::identity::{Credential, CredentialType, CustomCredential, SigningIdentity};
use mls_rs::storage_provider::in_memory::InMemoryKeyPackageStorage;
use mls_rs::time::MlsTime;
use mls_rs::{
    CipherSuite, CipherSuiteProvider as _, Client, CryptoProvider as _, ExtensionList, Group, IdentityProvider,
    MlsMessage,
};
use mls_rs_core::identity::MemberValidationContext;
use mls_rs_crypto_rustcrypto::RustCryptoProvider;

/// The ciphersuites of mls-rs's Rust crypto provider.
pub(crate) const SUITES: [u16; 4] = [1, 2, 3, 7];

/// The present: mls-rs judges lifetimes by the system's clock when it adds.
#[expect(clippy::disallowed_methods, reason = "mls-rs reads the same clock")]
pub(crate) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::MIN.plus(since_epoch.as_secs())
}

/// Takes every credential, of whatever type.
#[derive(Clone)]
pub(crate) struct Anybody(pub(crate) u16);

impl IdentityProvider for Anybody {
    type Error = Infallible;

    fn validate_member(
        &self,
        _: &SigningIdentity,
        _: Option<MlsTime>,
        _: MemberValidationContext<'_>,
    ) -> Result<(), Infallible> {
        Ok(())
    }

    fn validate_external_sender(
        &self,
        _: &SigningIdentity,
        _: Option<MlsTime>,
        _: Option<&ExtensionList>,
    ) -> Result<(), Infallible> {
        Ok(())
    }

    fn identity(&self, whose: &SigningIdentity, _: &ExtensionList) -> Result<Vec<u8>, Infallible> {
        Ok(whose.signature_key.to_vec())
    }

    fn valid_successor(&self, _: &SigningIdentity, _: &SigningIdentity, _: &ExtensionList) -> Result<bool, Infallible> {
        Ok(true)
    }

    fn supported_types(&self) -> Vec<CredentialType> {
        vec![CredentialType::new(self.0)]
    }
}

#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) suite: CipherSuite,
    pub(crate) whose: SigningIdentity,
    pub(crate) secret: SignatureSecretKey,
    pub(crate) storage: InMemoryKeyPackageStorage,
}

impl Person {
    pub(crate) fn new(name: &str, suite: u16) -> Self {
        let credential = BasicCredential::new(name.as_bytes().to_vec()).into_credential();
        Self::with_credential(suite, |key| SigningIdentity::new(credential, key))
    }

    fn with_credential(suite: u16, whose: impl FnOnce(mls_rs::crypto::SignaturePublicKey) -> SigningIdentity) -> Self {
        let suite = CipherSuite::new(suite);
        let crypto = RustCryptoProvider::new().cipher_suite_provider(suite).unwrap();
        let (secret, public) = crypto.signature_key_generate().unwrap();
        Self {
            suite,
            whose: whose(public),
            secret,
            storage: InMemoryKeyPackageStorage::new(),
        }
    }

    /// A client over this storage, which lists the last-resort extension.
    pub(crate) fn over(&self, storage: InMemoryKeyPackageStorage) -> Client<impl MlsConfig + use<>> {
        Client::builder()
            .crypto_provider(RustCryptoProvider::new())
            .identity_provider(Anybody(self.whose.credential.credential_type().raw_value()))
            .extension_type(ExtensionType::LAST_RESORT_KEY_PACKAGE)
            .key_package_repo(storage)
            .signing_identity(self.whose.clone(), self.secret.clone(), self.suite)
            .build()
    }

    pub(crate) fn client(&self) -> Client<impl MlsConfig + use<>> {
        self.over(self.storage.clone())
    }

    /// A KeyPackage as mls-rs sends it: in an `MLSMessage`.
    pub(crate) fn message(&self) -> Vec<u8> {
        let made = self
            .client()
            .generate_key_package_message(Default::default(), Default::default(), None);
        made.unwrap().to_bytes().unwrap()
    }

    pub(crate) fn package(&self) -> Vec<u8> {
        self.message()[4..].to_vec()
    }

    pub(crate) fn sign(&self, content: &[u8]) -> Vec<u8> {
        let crypto = RustCryptoProvider::new().cipher_suite_provider(self.suite).unwrap();
        crypto.sign(&self.secret, content).unwrap()
    }

    /// mls-rs's own join. The group is written, upon which mls-rs deletes the key.
    pub(crate) fn join(&self, welcome: &[u8]) -> Result<Group<impl MlsConfig + use<>>, String> {
        let welcome = MlsMessage::from_bytes(welcome).map_err(|error| format!("{error:?}"))?;
        let joined = self.client().join_group(None, &welcome, None);
        let (mut group, _) = joined.map_err(|error| format!("{error:?}"))?;
        group.write_to_storage().unwrap();
        Ok(group)
    }
}

/// Reads a message of the group.
pub(crate) fn read<C: MlsConfig>(group: &mut Group<C>, message: &MlsMessage) -> Vec<u8> {
    match group.process_incoming_message(message.clone()).unwrap() {
        ReceivedMessage::ApplicationMessage(message) => message.data().to_vec(),
        other => panic!("not a message of the app: {other:?}"),
    }
}

/// Somebody who adds others to groups.
pub(crate) struct Adder(Person);

impl Adder {
    /// With a credential of the type that the client to be added has: any other group might not fit.
    pub(crate) fn new(suite: u16, credential_type: u16) -> Self {
        let named = |key: &[u8]| match credential_type {
            2 => certificate_of(key),
            _ => b"alice".to_vec(),
        };
        Self(Person::with_credential(suite, |key| {
            let credential = CustomCredential::new(CredentialType::new(credential_type), named(&key));
            SigningIdentity::new(Credential::Custom(credential), key)
        }))
    }

    /// A new group with the owner of the bare KeyPackage, and the Welcome.
    pub(crate) fn invite(&self, bare: &[u8]) -> Result<(Group<impl MlsConfig + use<>>, Vec<u8>), String> {
        let text = |error: mls_rs::error::MlsError| format!("{error:?}");
        let package = MlsMessage::from_bytes(&[&[0, 1, 0, 5], bare].concat()).map_err(text)?;
        let created = self
            .0
            .client()
            .create_group(Default::default(), Default::default(), None);
        let mut group = created.unwrap();
        let added = group
            .commit_builder()
            .add_member(package)
            .and_then(|commit| commit.build());
        let welcome = added.map_err(text)?.welcome_messages[0].to_bytes().unwrap();
        group.apply_pending_commit().map_err(text)?;
        Ok((group, welcome))
    }

    /// Whether mls-rs adds the client.
    pub(crate) fn add(&self, bare: &[u8]) -> Result<(), String> {
        self.invite(bare).map(|_| ())
    }

    /// Whether the group goes on after the add: the next commit encrypts to the new leaf.
    pub(crate) fn add_and_commit(&self, bare: &[u8]) -> Result<(), String> {
        let (mut group, _) = self.invite(bare)?;
        group.commit(Vec::new()).map_err(|error| format!("commit: {error:?}"))?;
        group
            .apply_pending_commit()
            .map_err(|error| format!("commit: {error:?}"))?;
        Ok(())
    }
}
