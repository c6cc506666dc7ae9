use std::marker::PhantomData;

use kp_core::key_package::{ExtensionType, UnverifiedKeyPackage};
use kp_core::{Ciphersuite, CredentialHash, Role, Timestamp};
use mls_rs::client_builder::MlsConfig;
use mls_rs::storage_provider::KeyPackageData;
use mls_rs::storage_provider::in_memory::InMemoryKeyPackageStorage;
use mls_rs::time::MlsTime;
use mls_rs::{Client, Extension, ExtensionList};

use super::VaultError;
use crate::credential_hash;

/// By how many seconds a lifetime is dated back, for clocks that differ: one hour, as OpenMLS does it.
const DATED_BACK: u64 = 3_600;

/// A package with its private keys, and the ref under which mls-rs stores it.
pub(super) type Generated = (Vec<u8>, KeyPackageData);

/// Makes packages with the app's own clients, whose type is out of sight.
pub(super) trait Generator: Send + Sync {
    fn credential(&self, suite: Ciphersuite) -> Result<CredentialHash, VaultError>;

    fn generate(
        &self,
        suite: Ciphersuite,
        role: Role,
        extensions: &Extensions,
        now: Timestamp,
    ) -> Result<Generated, VaultError>;
}

/// What the app adds to each package.
#[derive(Default)]
pub(super) struct Extensions {
    pub(super) key_package: ExtensionList,
    pub(super) leaf: ExtensionList,
}

pub(super) struct Clients<F, C> {
    pub(super) client: F,
    pub(super) config: PhantomData<fn() -> C>,
}

impl<F, C> Clients<F, C>
where
    F: Fn(Ciphersuite, InMemoryKeyPackageStorage) -> Option<Client<C>>,
{
    fn of(&self, suite: Ciphersuite, scratch: InMemoryKeyPackageStorage) -> Result<Client<C>, VaultError> {
        (self.client)(suite, scratch).ok_or(VaultError::NoClient(suite))
    }
}

impl<F, C> Generator for Clients<F, C>
where
    F: Fn(Ciphersuite, InMemoryKeyPackageStorage) -> Option<Client<C>> + Send + Sync,
    C: MlsConfig,
{
    fn credential(&self, suite: Ciphersuite) -> Result<CredentialHash, VaultError> {
        let client = self.of(suite, InMemoryKeyPackageStorage::new())?;
        Ok(credential_hash(client.signing_identity()?.0)?)
    }

    /// mls-rs stores a key while it makes it, before anyone can know its ref and write the row that comes first (`POOL-3`). So
    /// the client is given a storage that is dropped at once.
    fn generate(
        &self,
        suite: Ciphersuite,
        role: Role,
        extensions: &Extensions,
        now: Timestamp,
    ) -> Result<Generated, VaultError> {
        const LAST_RESORT: mls_rs::extension::ExtensionType = mls_rs::extension::ExtensionType::LAST_RESORT_KEY_PACKAGE;

        let scratch = InMemoryKeyPackageStorage::new();
        let client = self.of(suite, scratch.clone())?;
        let mut of_package = extensions.key_package.clone();
        if role.is_last_resort() {
            of_package.set(Extension::new(LAST_RESORT, Vec::new()));
        }
        // mls-rs begins a lifetime at the second that it is told: clocks of others may be behind.
        let begins = MlsTime::from(now.minus(DATED_BACK).get().unsigned_abs());
        client.generate_key_package_message(of_package, extensions.leaf.clone(), Some(begins))?;
        let generated = scratch.key_packages().pop().ok_or(VaultError::OtherStorage)?;

        let made = UnverifiedKeyPackage::read(&generated.1.key_package_bytes)?;
        let listed = made.leaf_node().capabilities().extensions();
        if made.ciphersuite() != suite {
            return Err(VaultError::OtherCiphersuite(made.ciphersuite()));
        }
        if role.is_last_resort() && !listed.contains(ExtensionType::LAST_RESORT) {
            return Err(VaultError::LastResortNotListed);
        }
        Ok(generated)
    }
}
