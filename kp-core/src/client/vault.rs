use std::sync::Arc;

use crate::{Ciphersuite, CredentialHash, KeyPackage, KeyPackageInfo, KeyPackageRef, Role, Timestamp};

/// A client's private keys, in the MLS library's own storage: the library's part of a client's pool.
///
/// `kp-openmls` has one for OpenMLS; a messenger on a fork, another version or another MLS library implements it. No key
/// ever passes through it: it hands out refs, facts and public bytes.
///
/// # Contract
///
/// - `POOL-3` [`generate`](Self::generate) stores nothing. The caller writes the metadata row of what it made, and then
///   calls [`keep`](Self::keep): so that no key is ever without a row.
/// - `POOL-6` [`protect`](Self::protect) puts a durable second copy beside the key, since a library may delete the key
///   before it decrypts the Welcome. [`restore`](Self::restore) ends that: the key is there again, and the copy gone.
/// - What is done has reached the storage when the call returns. Every call may be repeated: what is done already is not
///   an error.
/// - Calls are synchronous and short, and made between awaits, so that a provider need not be `Sync` across one.
pub trait KeyVault: Send + Sync + 'static {
    /// A package that was generated, and not stored yet.
    type Fresh: Send;

    /// Why a call failed.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The credential that [`generate`](Self::generate) uses now: packages of another one are to be replaced.
    ///
    /// # Errors
    ///
    /// There is none for this ciphersuite.
    fn credential(&self, suite: Ciphersuite) -> Result<CredentialHash, Self::Error>;

    /// Makes a package whose lifetime begins about `now`; stores nothing.
    ///
    /// # Errors
    ///
    /// The library's, for example for a ciphersuite that it lacks.
    fn generate(
        &self,
        suite: Ciphersuite,
        role: Role,
        now: Timestamp,
    ) -> Result<(KeyPackageInfo, Self::Fresh), Self::Error>;

    /// Stores the key of a package.
    ///
    /// # Errors
    ///
    /// The storage's.
    fn keep(&self, fresh: Self::Fresh) -> Result<(), Self::Error>;

    /// A package whose key is there, as uploaded; `None` when the key is not there.
    ///
    /// # Errors
    ///
    /// The storage's.
    fn package(&self, key_package_ref: &KeyPackageRef) -> Result<Option<KeyPackage>, Self::Error>;

    /// Puts a second copy of the key beside it; a copy that is there already brings back a key that is gone. Nothing,
    /// when neither is there.
    ///
    /// # Errors
    ///
    /// The storage's.
    fn protect(&self, key_package_ref: &KeyPackageRef) -> Result<(), Self::Error>;

    /// Writes the second copy back, if the key is gone, and drops the copy. Nothing, when there is no copy.
    ///
    /// # Errors
    ///
    /// The storage's.
    fn restore(&self, key_package_ref: &KeyPackageRef) -> Result<(), Self::Error>;

    /// Deletes the key and its second copy, for good.
    ///
    /// # Errors
    ///
    /// The storage's.
    fn forget(&self, key_package_ref: &KeyPackageRef) -> Result<(), Self::Error>;
}

/// A vault that the app shares with its pool.
#[deny(clippy::missing_trait_methods)]
impl<V: KeyVault> KeyVault for Arc<V> {
    type Fresh = V::Fresh;
    type Error = V::Error;

    fn credential(&self, suite: Ciphersuite) -> Result<CredentialHash, V::Error> {
        (**self).credential(suite)
    }

    fn generate(&self, suite: Ciphersuite, role: Role, now: Timestamp) -> Result<(KeyPackageInfo, V::Fresh), V::Error> {
        (**self).generate(suite, role, now)
    }

    fn keep(&self, fresh: V::Fresh) -> Result<(), V::Error> {
        (**self).keep(fresh)
    }

    fn package(&self, key_package_ref: &KeyPackageRef) -> Result<Option<KeyPackage>, V::Error> {
        (**self).package(key_package_ref)
    }

    fn protect(&self, key_package_ref: &KeyPackageRef) -> Result<(), V::Error> {
        (**self).protect(key_package_ref)
    }

    fn restore(&self, key_package_ref: &KeyPackageRef) -> Result<(), V::Error> {
        (**self).restore(key_package_ref)
    }

    fn forget(&self, key_package_ref: &KeyPackageRef) -> Result<(), V::Error> {
        (**self).forget(key_package_ref)
    }
}
