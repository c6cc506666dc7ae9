use std::path::PathBuf;
use std::time::Duration;

use kp_core::OpenError;
use kp_core::rules::Limits;
use rusqlite::Connection;

use crate::file::connection::{Connector, Survives};
use crate::file::guard;
use crate::file::migrations::POOLS;
use crate::file::threads::Threads;
use crate::pools::store::SqliteStore;

/// Configures and opens a [`SqliteStore`].
///
/// ```
/// use std::time::Duration;
///
/// use kp_sqlite::{SqliteStore, Survives};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("pools.db");
/// let store = SqliteStore::builder(path)
///     .survives(Survives::ProcessCrash)
///     .timeout(Duration::from_secs(1))
///     .open()
///     .await?;
/// # store.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing happens before `open`"]
pub struct SqliteBuilder {
    connector: Connector,
    readers: u32,
    limits: Limits,
}

impl SqliteStore {
    /// Opens the pools of a file with the default settings. Creates the file if there is none.
    ///
    /// The file may hold other tables: the tables of this crate begin with `keypackage_pool`. The journal of the file
    /// becomes a write-ahead log.
    ///
    /// # Errors
    ///
    /// An [`OpenError`] that names the reason. A refused file is not changed.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, OpenError> {
        Self::builder(path).open().await
    }

    /// Returns a builder with the default settings.
    pub fn builder(path: impl Into<PathBuf>) -> SqliteBuilder {
        SqliteBuilder {
            connector: Connector::new(path.into(), &POOLS),
            readers: 2,
            limits: Limits::default(),
        }
    }
}

impl SqliteBuilder {
    /// Sets which failure of the machine an answered call survives. Default: [`Survives::PowerCut`].
    pub fn survives(mut self, survives: Survives) -> Self {
        self.connector.survives = survives;
        self
    }

    /// Sets the number of threads that read beside the writer. Default: 2. Minimum: 1. Maximum: 64.
    pub fn readers(mut self, readers: u32) -> Self {
        self.readers = readers.clamp(1, 64);
        self
    }

    /// Sets how long a call waits for other writers of the file, its time in the queue of the store included. Default: 5 s.
    /// Maximum: 1 day.
    ///
    /// After the timeout, the call fails: not applied, and [transient](kp_core::BackendError::is_transient). A monotonic
    /// clock measures the time.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.connector.timeout = timeout.min(Duration::from_secs(86_400));
        self
    }

    /// Sets whether the whole file is checked for damage when it is opened, by `PRAGMA integrity_check`. Default: no.
    ///
    /// The check reads the file and all its indexes: about 0.2 s for 100,000 KeyPackages. A damaged file is refused as
    /// [`OpenError::NotADatabase`]. Damage within the bytes of a KeyPackage is not found: SQLite keeps no checksums.
    pub fn check(mut self, check: bool) -> Self {
        self.connector.check = check;
        self
    }

    /// Sets whether a store is made where there is none: the file and the tables. Default: yes. Else such a place is refused as
    /// [`OpenError::Missing`].
    pub fn create(mut self, create: bool) -> Self {
        self.connector.create = create;
        self
    }

    /// Sets how much one pool may hold. Default: [`Limits::default`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Opens the file, and starts the threads of the store. Creates the file if there is none.
    ///
    /// # Errors
    ///
    /// An [`OpenError`] that names the reason. A refused file is not changed.
    pub async fn open(self) -> Result<SqliteStore, OpenError> {
        self.open_with(|_| {}).await
    }

    /// Opens the file. `prepare` gets the writer's connection before the writer's thread starts.
    pub(crate) async fn open_with(
        self,
        prepare: impl FnOnce(&mut Connection) + Send + 'static,
    ) -> Result<SqliteStore, OpenError> {
        let path = self.connector.path.clone();
        let threads = Threads::start(self.connector, self.readers, |connection| {
            guard::install(connection);
            prepare(connection);
        })
        .await?;
        Ok(SqliteStore::new(path, threads, self.limits))
    }
}
