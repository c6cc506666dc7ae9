use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use futures::channel::oneshot;
use kp_core::OpenError;
use kp_core::rules::Limits;
use rusqlite::Connection;

use crate::file::calls::Queue;
use crate::file::connection::Connector;
use crate::file::migrations::POOLS;
use crate::file::{readers, writer};
use crate::pools::store::SqliteStore;

/// What an answer is worth: which accident it survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Survives {
    /// A power cut: every commit is synced to the disk before its answers leave (`synchronous=FULL`). The default.
    #[default]
    PowerCut,
    /// The end of the process, however sudden, but not of the machine (`synchronous=NORMAL`): a power cut may undo the
    /// last answers, so that a package is handed out again. The file stays sound.
    ProcessCrash,
}

/// How a [`SqliteStore`] is opened; [`SqliteStore::builder`] makes one.
#[derive(Debug)]
#[must_use = "nothing happens before `open`"]
pub struct SqliteBuilder {
    connector: Connector,
    readers: u32,
    limits: Limits,
    #[cfg(test)]
    prepare: Option<fn(&mut Connection)>,
}

impl SqliteBuilder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            connector: Connector::new(path, &POOLS),
            readers: 2,
            limits: Limits::default(),
            #[cfg(test)]
            prepare: None,
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

    /// What a test does to the writer's connection before it serves.
    #[cfg(test)]
    pub(crate) fn prepare(mut self, prepare: fn(&mut Connection)) -> Self {
        self.prepare = Some(prepare);
        self
    }

    /// Opens the file, which is made where there is none, and starts the store's threads.
    ///
    /// # Errors
    ///
    /// The [`OpenError`] that fits. A file that is refused is left as it was.
    pub async fn open(self) -> Result<SqliteStore, OpenError> {
        let connector = self.connector;
        let (writer, messages) = Queue::new();
        let open = {
            let connector = connector.clone();
            move || {
                #[cfg_attr(not(test), expect(unused_mut, reason = "only tests prepare it"))]
                let mut connection = connector.writer()?;
                #[cfg(test)]
                if let Some(prepare) = self.prepare {
                    prepare(&mut connection);
                }
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

/// Starts a thread that opens its connection and, when it could, says so and serves.
pub(crate) async fn start(
    name: &str,
    open: impl FnOnce() -> Result<Connection, OpenError> + Send + 'static,
    serve: impl FnOnce(Connection) + Send + 'static,
) -> Result<(), OpenError> {
    let (report, opened) = oneshot::channel();
    let body = move || match open() {
        Ok(connection) => {
            let _ = report.send(Ok(()));
            serve(connection);
        }
        Err(error) => drop(report.send(Err(error))),
    };
    thread::Builder::new()
        .name(name.into())
        .spawn(body)
        .map_err(|error| OpenError::Unreachable(error.into()))?;
    opened
        .await
        .unwrap_or_else(|canceled| Err(OpenError::Unreachable(canceled.into())))
}
