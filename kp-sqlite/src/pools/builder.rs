use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kp_core::OpenError;
use kp_core::rules::Limits;
use rusqlite::Connection;

use crate::file::calls::{Queue, start};
use crate::file::connection::{Connector, Survives};
use crate::file::migrations::POOLS;
use crate::file::{readers, writer};
use crate::pools::store::SqliteStore;

/// How a [`SqliteStore`] is opened; [`SqliteStore::builder`] makes one.
#[derive(Debug)]
#[must_use = "nothing happens before `open`"]
pub struct SqliteBuilder {
    connector: Connector,
    readers: u32,
    limits: Limits,
}

impl SqliteStore {
    /// Opens the pools of this file, which is made where there is none.
    ///
    /// The file may hold other tables too: those of this crate begin with `keypackage_pool`. Its journal becomes a
    /// write-ahead log.
    ///
    /// # Errors
    ///
    /// The [`OpenError`] that fits. A file that is refused is left as it was.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, OpenError> {
        Self::builder(path).open().await
    }

    /// Opens them otherwise than by default.
    pub fn builder(path: impl Into<PathBuf>) -> SqliteBuilder {
        SqliteBuilder::new(path.into())
    }
}

impl SqliteBuilder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            connector: Connector::new(path, &POOLS),
            readers: 2,
            limits: Limits::default(),
        }
    }

    /// Sets which accident an answer survives.
    pub fn survives(mut self, survives: Survives) -> Self {
        self.connector.survives = survives;
        self
    }

    /// Sets how many threads read beside the writer: 2 by default, 1 at least.
    pub fn readers(mut self, readers: u32) -> Self {
        self.readers = readers.max(1);
        self
    }

    /// Sets for how long a call waits for other writers of the file: 5 s by default. Then it fails, not applied and
    /// [transient](kp_core::BackendError::is_transient) (`RES-8`). Capped at a day.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.connector.wait = wait.min(Duration::from_secs(86_400));
        self
    }

    /// Sets how much one pool may hold (`SAVE-6`).
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Opens the file, which is made where there is none, and starts the store's threads.
    ///
    /// # Errors
    ///
    /// The [`OpenError`] that fits. A file that is refused is left as it was.
    pub async fn open(self) -> Result<SqliteStore, OpenError> {
        self.open_with(|_| {}).await
    }

    /// Opens the file; `prepare` has the writer's connection before the writer does.
    pub(crate) async fn open_with(
        self,
        prepare: impl FnOnce(&mut Connection) + Send + 'static,
    ) -> Result<SqliteStore, OpenError> {
        let connector = self.connector;
        let (writer, messages) = Queue::new();
        let open = {
            let connector = connector.clone();
            move || {
                let mut connection = connector.writer()?;
                prepare(&mut connection);
                Ok(connection)
            }
        };
        let wait = connector.wait;
        start("kp-sqlite-writer", open, move |connection| {
            writer::run(connection, messages, wait);
        })
        .await?;
        let (readers, messages) = Queue::new();
        let messages = Arc::new(Mutex::new(messages));
        for _ in 0..self.readers {
            let (connector, messages) = (connector.clone(), Arc::clone(&messages));
            start(
                "kp-sqlite-reader",
                move || connector.reader(),
                move |connection| readers::run(connection, messages),
            )
            .await?;
        }
        Ok(SqliteStore::new(
            connector.path,
            writer,
            readers,
            self.readers,
            self.limits,
        ))
    }
}
