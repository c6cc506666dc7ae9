//! A messenger on mls-rs: its client, and its pool.

use std::error::Error;
use std::sync::Arc;

use keypackage_pool::client::{CiphersuitePlan, KeyPackagePool};
use keypackage_pool::memory::MemoryMetadata;
use keypackage_pool::mls_rs::MlsRsVault;
use keypackage_pool::server::{KeyPackageDirectory, Uploader};
use keypackage_pool::{Ciphersuite, KeyPackage, KeyPackageRef, ManualClock, PoolId};
use mls_rs::client_builder::MlsConfig;
use mls_rs::crypto::SignatureSecretKey;
use mls_rs::extension::ExtensionType;
use mls_rs::group::ReceivedMessage;
use mls_rs::identity::SigningIdentity;
use mls_rs::identity::basic::{BasicCredential, BasicIdentityProvider};
use mls_rs::storage_provider::in_memory::InMemoryKeyPackageStorage;
use mls_rs::time::MlsTime;
use mls_rs::{CipherSuite, CipherSuiteProvider as _, Client, CryptoProvider as _, Group, MlsMessage};
use mls_rs_crypto_rustcrypto::RustCryptoProvider;

pub(crate) const SUITE: Ciphersuite = Ciphersuite(1);

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Who somebody is.
#[derive(Clone)]
struct Account {
    whose: SigningIdentity,
    secret: SignatureSecretKey,
}

impl Account {
    fn new(name: &str) -> Result<Self> {
        let crypto = RustCryptoProvider::new();
        let suite = crypto
            .cipher_suite_provider(CipherSuite::new(SUITE.0))
            .ok_or("an unknown ciphersuite")?;
        let (secret, public) = suite.signature_key_generate()?;
        let credential = BasicCredential::new(name.into()).into_credential();
        let whose = SigningIdentity::new(credential, public);
        Ok(Self { whose, secret })
    }

    /// The client of the app, over whatever storage of KeyPackages.
    fn client(&self, storage: InMemoryKeyPackageStorage) -> Client<impl MlsConfig + use<>> {
        Client::builder()
            .crypto_provider(RustCryptoProvider::new())
            .identity_provider(BasicIdentityProvider)
            .extension_type(ExtensionType::LAST_RESORT_KEY_PACKAGE)
            .key_package_repo(storage)
            .signing_identity(self.whose.clone(), self.secret.clone(), CipherSuite::new(SUITE.0))
            .build()
    }
}

pub(crate) struct Messenger<C: MlsConfig> {
    pub(crate) pool_id: PoolId,
    pub(crate) pool: KeyPackagePool<MlsRsVault<InMemoryKeyPackageStorage>>,
    /// Where mls-rs keeps the private keys of KeyPackages.
    pub(crate) storage: InMemoryKeyPackageStorage,
    client: Client<C>,
    group: Option<Group<C>>,
}

/// What adding somebody makes: nobody may see it before the KeyPackage is spent.
pub(crate) struct Invitation {
    pub(crate) commit: MlsMessage,
    pub(crate) welcome: Vec<u8>,
}

/// A new device, which has published nothing yet.
pub(crate) fn messenger(
    name: &str,
    directory: &KeyPackageDirectory,
    clock: ManualClock,
) -> Result<Messenger<impl MlsConfig + use<>>> {
    let account = Account::new(name)?;
    let storage = InMemoryKeyPackageStorage::new();
    let client = account.client(storage.clone());
    let vault = MlsRsVault::new(storage.clone(), move |_suite, scratch| Some(account.client(scratch)));
    let pool_id = PoolId::try_from(format!("{name}/phone").as_str())?;
    let transport = directory.transport(pool_id.clone(), Uploader::identity(name));
    let pool = KeyPackagePool::builder(vault, Arc::new(MemoryMetadata::new()), transport)
        .ciphersuite(CiphersuitePlan::pool(SUITE))
        .clock(clock)
        .build()?;
    Ok(Messenger {
        pool_id,
        pool,
        storage,
        client,
        group: None,
    })
}

impl<C: MlsConfig> Messenger<C> {
    pub(crate) fn create_group(&mut self) -> Result<()> {
        self.group = Some(self.client.create_group(Default::default(), Default::default(), None)?);
        Ok(())
    }

    fn group(&mut self) -> Result<&mut Group<C>> {
        Ok(self.group.as_mut().ok_or("not in a group")?)
    }

    /// Makes the Commit and the Welcome that add the owner of this KeyPackage; `confirm` applies them.
    pub(crate) fn invite(&mut self, package: &KeyPackage) -> Result<Invitation> {
        // mls-rs takes a KeyPackage in an `MLSMessage`.
        let key_package = MlsMessage::from_bytes(&package.bytes.to_mls_message())?;
        let output = self.group()?.commit_builder().add_member(key_package)?.build()?;
        let welcome = output.welcome_messages.first().ok_or("a Welcome for who is added")?;
        Ok(Invitation {
            welcome: welcome.to_bytes()?,
            commit: output.commit_message,
        })
    }

    pub(crate) fn confirm(&mut self) -> Result<()> {
        self.group()?.apply_pending_commit()?;
        Ok(())
    }

    /// The pool sees to the key, whatever becomes of the Welcome.
    pub(crate) async fn join(&mut self, welcome: &[u8]) -> Result<()> {
        let welcome = MlsMessage::from_bytes(welcome)?;
        let named = welcome.welcome_key_package_references();
        let named: std::result::Result<Vec<_>, _> =
            named.iter().map(|name| KeyPackageRef::try_from(&name[..])).collect();
        let attempt = || {
            let (mut group, _) = self.client.join_group(None, &welcome, None)?;
            // Only now does mls-rs delete the key.
            group.write_to_storage()?;
            Ok::<_, mls_rs::error::MlsError>(group)
        };
        let group = self.pool.join(&named?, attempt).await??;
        self.group = Some(group);
        Ok(())
    }

    pub(crate) fn say(&mut self, text: &str) -> Result<MlsMessage> {
        let message = self
            .group()?
            .encrypt_application_message(text.as_bytes(), Default::default())?;
        Ok(message)
    }

    /// Decrypts a message; a Commit is followed, and says nothing.
    pub(crate) fn hear(&mut self, message: &MlsMessage) -> Result<String> {
        match self.group()?.process_incoming_message(message.clone())? {
            ReceivedMessage::ApplicationMessage(message) => Ok(String::from_utf8(message.data().to_vec())?),
            ReceivedMessage::Commit(_) => Ok(String::new()),
            _ => Err("neither text nor a Commit".into()),
        }
    }

    /// A KeyPackage whose lifetime begins at this second and is a year long: outside of the pool, for the story.
    pub(crate) fn key_package(&self, begins: i64) -> Result<Vec<u8>> {
        let begins = MlsTime::from(begins.unsigned_abs());
        let made = self
            .client
            .generate_key_package_message(Default::default(), Default::default(), Some(begins))?;
        Ok(made.to_bytes()?)
    }
}
