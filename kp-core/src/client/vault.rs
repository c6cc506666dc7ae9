use std::sync::Arc;

use crate::{Ciphersuite, CredentialHash, KeyPackage, KeyPackageInfo, KeyPackageRef, Role, Timestamp};

/// Reaches a client's private keys, which stay in the MLS library's own storage: the library's part of a client's pool.
///
/// `kp-openmls` has a vault for OpenMLS, `kp-mls-rs` one for mls-rs. A messenger on a fork, another version or another MLS
/// library implements the trait: see `docs/writing-an-admission.md` of the repository. No private key passes through the
/// trait: a vault hands out refs, facts and public bytes.
///
/// # Contract
///
/// - [`generate`](Self::generate) stores nothing. The caller writes the metadata row of the package, and then calls
///   [`keep`](Self::keep), so that no key is ever without a row ([POOL-3](crate::contract::POOL_3)).
/// - [`protect`](Self::protect) puts a durable second copy beside the key, since a library may delete the key before
///   the library decrypts the Welcome, and writes the key back afterwards ([POOL-6](crate::contract::POOL_6)). The copy
///   stays until [`forget`](Self::forget).
/// - When a call returns, its changes have reached the storage.
/// - Every call may be repeated: what is done already is not an error.
/// - A call need not be one step among processes over one storage. The pool takes back what a call wrote too late
///   ([POOL-7](crate::contract::POOL_7)).
/// - Calls are synchronous and short, and made between awaits, so that a provider need not be `Sync`.
pub trait KeyVault: Send + Sync + 'static {
    /// Holds a package that was generated, and not stored yet.
    type Fresh: Send;

    /// Says why a call failed.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Returns the credential that [`generate`](Self::generate) uses now. Packages of another credential are to be
    /// replaced.
    ///
    /// # Errors
    ///
    /// The client has no credential for this ciphersuite.
    fn credential(&self, suite: Ciphersuite) -> Result<CredentialHash, Self::Error>;

    /// Makes a package whose lifetime begins about `now`, and stores nothing.
    ///
    /// # Errors
    ///
    /// The MLS library fails: the library lacks the ciphersuite, for example.
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
    /// The storage fails.
    fn keep(&self, fresh: Self::Fresh) -> Result<(), Self::Error>;

    /// Returns the package of a key, as uploaded; `None` when the key is not there.
    ///
    /// # Errors
    ///
    /// The storage fails.
    fn package(&self, key_package_ref: &KeyPackageRef) -> Result<Option<KeyPackage>, Self::Error>;

    /// Puts a second copy of the key beside the key; if the key is gone, writes the key back from the copy. Returns
    /// whether there was either. If there was neither, the call does nothing.
    ///
    /// Read the key first, then the copy. Then the answer is `true` also where another process's join deletes the key just then,
    /// and `false` says that somebody called [`forget`](Self::forget).
    ///
    /// # Errors
    ///
    /// The storage fails.
    fn protect(&self, key_package_ref: &KeyPackageRef) -> Result<bool, Self::Error>;

    /// Deletes the second copy, and then the key, for good. Where there is neither, nothing is done.
    ///
    /// # Errors
    ///
    /// The storage fails.
    fn forget(&self, key_package_ref: &KeyPackageRef) -> Result<(), Self::Error>;
}

/// Forwards every method, so that an app shares a vault with its pool.
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

    fn protect(&self, key_package_ref: &KeyPackageRef) -> Result<bool, V::Error> {
        (**self).protect(key_package_ref)
    }

    fn forget(&self, key_package_ref: &KeyPackageRef) -> Result<(), V::Error> {
        (**self).forget(key_package_ref)
    }
}
