//! OpenMLS over its SQLite storage.

use std::path::Path;
use std::time::Duration;

use openmls_rust_crypto::RustCrypto;
use openmls_sqlite_storage::{Codec, Connection, SqliteStorageProvider};
use openmls_traits::OpenMlsProvider;
use serde::Serialize;
use serde::de::DeserializeOwned;

#[derive(Default)]
pub struct Json;

impl Codec for Json {
    type Error = serde_json::Error;

    fn to_vec<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(value)
    }

    fn from_slice<T: DeserializeOwned>(slice: &[u8]) -> Result<T, serde_json::Error> {
        serde_json::from_slice(slice)
    }
}

/// The connection is in a `RefCell`, so that this is not `Sync`.
pub struct SqliteProvider<C: Codec> {
    crypto: RustCrypto,
    storage: SqliteStorageProvider<C, Connection>,
}

impl<C: Codec> SqliteProvider<C> {
    pub fn open(path: &Path) -> Self {
        let connection = Connection::open(path).unwrap();
        // Several processes on a busy machine may wait for each other for long.
        connection.busy_timeout(Duration::from_secs(60)).unwrap();
        let mut storage = SqliteStorageProvider::new(connection);
        storage.run_migrations().unwrap();
        Self {
            crypto: RustCrypto::default(),
            storage,
        }
    }
}

impl<C: Codec> OpenMlsProvider for SqliteProvider<C> {
    type CryptoProvider = RustCrypto;
    type RandProvider = RustCrypto;
    type StorageProvider = SqliteStorageProvider<C, Connection>;

    fn storage(&self) -> &Self::StorageProvider {
        &self.storage
    }

    fn crypto(&self) -> &RustCrypto {
        &self.crypto
    }

    fn rand(&self) -> &RustCrypto {
        &self.crypto
    }
}
