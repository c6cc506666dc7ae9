mod error;
mod generator;

use std::fmt;
use std::marker::PhantomData;

use kp_core::client::KeyVault;
use kp_core::key_package::UnverifiedKeyPackage;
use kp_core::{Ciphersuite, CredentialHash, KeyPackage, KeyPackageInfo, KeyPackageRef, Lifetime, Role, Timestamp};
use mls_rs::client_builder::MlsConfig;
use mls_rs::error::IntoAnyError as _;
use mls_rs::storage_provider::KeyPackageData;
use mls_rs::storage_provider::in_memory::InMemoryKeyPackageStorage;
use mls_rs::{Client, ExtensionList, KeyPackageStorage};

pub use error::VaultError;
use generator::{Clients, Extensions, Generator};

use crate::package::key_package;

type Result<T> = std::result::Result<T, VaultError>;

/// The private keys of a client's packages, in the app's own [`KeyPackageStorage`] of mls-rs.
///
/// - A package is made by the app's own client, which the vault gives a scratch storage. Nothing reaches the app's storage
///   before [`keep`](KeyVault::keep).
/// - mls-rs deletes the key of a one-time package when the group that was joined is written (`Group::write_to_storage`): write
///   it within the join that the pool runs. A Welcome that does not decrypt costs no key. The second copy guards against what
///   the app's storages do: it lies in the same storage, under a ref that no Welcome can name.
/// - A clone of the storage shares the storage, as mls-rs itself demands.
///
/// ```
/// use kp_core::client::KeyVault;
/// use kp_core::{Ciphersuite, Role, Timestamp};
/// use kp_mls_rs::MlsRsVault;
/// use mls_rs::extension::ExtensionType;
/// use mls_rs::identity::SigningIdentity;
/// use mls_rs::identity::basic::{BasicCredential, BasicIdentityProvider};
/// use mls_rs::storage_provider::in_memory::InMemoryKeyPackageStorage;
/// use mls_rs::{CipherSuite, CipherSuiteProvider, Client, CryptoProvider};
/// use mls_rs_crypto_rustcrypto::RustCryptoProvider;
///
/// let crypto = RustCryptoProvider::new();
/// let suite = CipherSuite::CURVE25519_AES128;
/// let (secret, public) = crypto.cipher_suite_provider(suite).ok_or("unknown")?.signature_key_generate()?;
/// let bob = SigningIdentity::new(BasicCredential::new(b"bob".to_vec()).into_credential(), public);
///
/// // The app's client, over whatever storage. Asked each time, so that a new credential is used as soon as the app has it.
/// let client = move |_suite: Ciphersuite, storage: InMemoryKeyPackageStorage| {
///     Some(
///         Client::builder()
///             .crypto_provider(crypto.clone())
///             .identity_provider(BasicIdentityProvider)
///             .extension_type(ExtensionType::LAST_RESORT_KEY_PACKAGE)
///             .key_package_repo(storage)
///             .signing_identity(bob.clone(), secret.clone(), suite)
///             .build(),
///     )
/// };
/// let vault = MlsRsVault::new(InMemoryKeyPackageStorage::new(), client);
///
/// let now = Timestamp::try_from(1_700_000_000)?;
/// let (info, fresh) = vault.generate(Ciphersuite(0x0001), Role::OneTime, now)?;
/// assert!(vault.package(&info.key_package_ref)?.is_none(), "nothing is stored yet");
/// vault.keep(fresh)?;
/// assert!(vault.package(&info.key_package_ref)?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct MlsRsVault<S> {
    storage: S,
    generator: Box<dyn Generator>,
    extensions: Extensions,
}

impl<S: KeyPackageStorage + Clone> MlsRsVault<S> {
    /// Keys in this storage. `client` is asked for the client that makes each package, over the scratch storage that it is
    /// given and for the ciphersuite that is named.
    ///
    /// - How long a package is valid is the client's `key_package_lifetime`; mls-rs's default is 365 days. The vault has it begin
    ///   one hour ago, for clocks that differ.
    /// - For a last resort, the client lists the extension type `LAST_RESORT_KEY_PACKAGE`.
    pub fn new<C: MlsConfig + 'static>(
        storage: S,
        client: impl Fn(Ciphersuite, InMemoryKeyPackageStorage) -> Option<Client<C>> + Send + Sync + 'static,
    ) -> Self {
        let config = PhantomData;
        Self {
            storage,
            generator: Box::new(Clients { client, config }),
            extensions: Extensions::default(),
        }
    }

    /// Adds extensions to each package that is made, outside of its leaf. The last-resort mark is set by the vault.
    #[must_use]
    pub fn key_package_extensions(mut self, extensions: ExtensionList) -> Self {
        self.extensions.key_package = extensions;
        self
    }

    /// Adds extensions to the leaf of each package that is made.
    #[must_use]
    pub fn leaf_extensions(mut self, extensions: ExtensionList) -> Self {
        self.extensions.leaf = extensions;
        self
    }

    fn read(&self, name: &[u8]) -> Result<Option<KeyPackageData>> {
        let read = self.storage.get(name);
        read.map_err(|error| VaultError::Storage(error.into_any_error()))
    }

    /// A storage may refuse to write what is there.
    fn write_if_missing(&self, name: &[u8], data: KeyPackageData) -> Result<()> {
        if self.read(name)?.is_some() {
            return Ok(());
        }
        let written = self.storage.clone().insert(name.to_vec(), data);
        written.map_err(|error| VaultError::Storage(error.into_any_error()))
    }

    fn delete(&self, name: &[u8]) -> Result<()> {
        let deleted = self.storage.clone().delete(name);
        deleted.map_err(|error| VaultError::Storage(error.into_any_error()))
    }
}

/// A package that was generated and not stored yet, private keys included.
pub struct FreshPackage {
    name: Vec<u8>,
    data: KeyPackageData,
}

impl fmt::Debug for FreshPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FreshPackage").finish_non_exhaustive()
    }
}

impl<S: KeyPackageStorage + Clone + 'static> KeyVault for MlsRsVault<S> {
    type Fresh = FreshPackage;
    type Error = VaultError;

    fn credential(&self, suite: Ciphersuite) -> Result<CredentialHash> {
        self.generator.credential(suite)
    }

    fn generate(&self, suite: Ciphersuite, role: Role, now: Timestamp) -> Result<(KeyPackageInfo, FreshPackage)> {
        let (name, data) = self.generator.generate(suite, role, &self.extensions, now)?;
        Ok((describe(&name, &data)?.info, FreshPackage { name, data }))
    }

    fn keep(&self, fresh: FreshPackage) -> Result<()> {
        self.write_if_missing(&fresh.name, fresh.data)
    }

    fn package(&self, key_package_ref: &KeyPackageRef) -> Result<Option<KeyPackage>> {
        let name = key_package_ref.as_bytes();
        self.read(name)?.map(|data| describe(name, &data)).transpose()
    }

    fn protect(&self, key_package_ref: &KeyPackageRef) -> Result<bool> {
        let name = key_package_ref.as_bytes();
        let (missing, found) = match self.read(name)? {
            Some(key) => (copy_of(name), Some(key)),
            None => (name.to_vec(), self.read(&copy_of(name))?),
        };
        found.map_or(Ok(false), |data| self.write_if_missing(&missing, data).map(|()| true))
    }

    /// The copy goes first: a copy alone is what a join that died leaves, and would be written back.
    fn forget(&self, key_package_ref: &KeyPackageRef) -> Result<()> {
        let name = key_package_ref.as_bytes();
        self.delete(&copy_of(name))?;
        self.delete(name)
    }
}

/// Hides the storage: mls-rs's own prints what it holds (`ERR-4`).
impl<S> fmt::Debug for MlsRsVault<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MlsRsVault").finish_non_exhaustive()
    }
}

/// Where the second copy of a key lies. No hash of a ciphersuite is as long, so that no Welcome can name it.
fn copy_of(key: &[u8]) -> Vec<u8> {
    const COPY: &[u8] = b"kp-mls-rs: kept while a join is under way";
    [COPY, key].concat()
}

/// The package as it is uploaded, and the facts about it.
fn describe(name: &[u8], data: &KeyPackageData) -> Result<KeyPackage> {
    let read = UnverifiedKeyPackage::read(&data.key_package_bytes)?;
    let leaf = read.leaf_node();
    let moment = |seconds| i64::try_from(seconds).ok().and_then(Timestamp::new);
    let lifetime = moment(leaf.not_before())
        .zip(moment(leaf.not_after()))
        .and_then(|(not_before, not_after)| Lifetime::new(not_before, not_after).ok())
        .ok_or(VaultError::Lifetime)?;
    let key_package_ref = KeyPackageRef::try_from(name).map_err(|_| VaultError::TooLarge)?;
    key_package(&read, key_package_ref, lifetime).map_err(|_| VaultError::TooLarge)
}
