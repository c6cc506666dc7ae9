use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openmls_traits::OpenMlsProvider;
use openmls_traits::storage::{CURRENT_VERSION, StorageProvider};

/// How a vault gets at the app's OpenMLS provider, which the app keeps using itself.
///
/// - `Arc<P>` where the provider is `Sync`, as the one in memory is.
/// - [`LockedProvider<P>`] where it is not: the connection of `openmls_sqlite_storage` is in a `RefCell`.
/// - An app that opens a provider for each use, or has a pool of them, implements it.
///
/// Calls are short and never nested.
pub trait ProviderAccess: Send + Sync + 'static {
    /// The app's provider.
    type Provider: OpenMlsProvider<StorageProvider = Self::Storage>;

    /// Its storage.
    type Storage: StorageProvider<CURRENT_VERSION, Error = Self::StorageError>;

    /// What the storage fails with.
    type StorageError: std::error::Error + Send + Sync + 'static;

    /// Runs a job with the provider.
    fn with<T>(&self, job: impl FnOnce(&Self::Provider) -> T) -> T;
}

impl<P, E> ProviderAccess for Arc<P>
where
    P: OpenMlsProvider + Send + Sync + 'static,
    P::StorageProvider: StorageProvider<CURRENT_VERSION, Error = E>,
    E: std::error::Error + Send + Sync + 'static,
{
    type Provider = P;
    type Storage = P::StorageProvider;
    type StorageError = E;

    fn with<T>(&self, job: impl FnOnce(&P) -> T) -> T {
        job(self)
    }
}

/// A provider behind a lock, shared between the app and its vault. Cloning it shares it.
pub struct LockedProvider<P>(Arc<Mutex<P>>);

impl<P> LockedProvider<P> {
    /// Puts the provider behind a lock.
    pub fn new(provider: P) -> Self {
        Self(Arc::new(Mutex::new(provider)))
    }

    /// The provider, for as long as the guard lives. Not to be held across an await, nor while the pool is called.
    ///
    /// A lock is not poisoned: a provider has its state in its storage, which a panic elsewhere does not tear.
    pub fn lock(&self) -> MutexGuard<'_, P> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P> Clone for LockedProvider<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<P> fmt::Debug for LockedProvider<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockedProvider").finish_non_exhaustive()
    }
}

impl<P, E> ProviderAccess for LockedProvider<P>
where
    P: OpenMlsProvider + Send + 'static,
    P::StorageProvider: StorageProvider<CURRENT_VERSION, Error = E>,
    E: std::error::Error + Send + Sync + 'static,
{
    type Provider = P;
    type Storage = P::StorageProvider;
    type StorageError = E;

    fn with<T>(&self, job: impl FnOnce(&P) -> T) -> T {
        job(&self.lock())
    }
}
