use openmls_memory_storage::MemoryStorage;
use openmls_traits::OpenMlsProvider;

/// The app's provider with a storage that is dropped at once: OpenMLS stores a key while it makes it, before anyone can
/// know its ref and write the row that comes first (`POOL-3`).
pub(super) struct Scratch<'a, P> {
    provider: &'a P,
    storage: MemoryStorage,
}

impl<'a, P> Scratch<'a, P> {
    pub(super) fn over(provider: &'a P) -> Self {
        Self {
            provider,
            storage: MemoryStorage::default(),
        }
    }
}

impl<P: OpenMlsProvider> OpenMlsProvider for Scratch<'_, P> {
    type CryptoProvider = P::CryptoProvider;
    type RandProvider = P::RandProvider;
    type StorageProvider = MemoryStorage;

    fn storage(&self) -> &MemoryStorage {
        &self.storage
    }

    fn crypto(&self) -> &P::CryptoProvider {
        self.provider.crypto()
    }

    fn rand(&self) -> &P::RandProvider {
        self.provider.rand()
    }
}
