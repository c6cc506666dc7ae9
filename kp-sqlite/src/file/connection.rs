use std::path::PathBuf;
use std::time::Duration;

use kp_core::OpenError;
use rusqlite::{Connection, MAIN_DB, OpenFlags};

use crate::file::busy::retry;
use crate::file::error::{Failure, refused};
use crate::file::migrations::Tables;

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

/// What every connection of a store is made of.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    pub(crate) path: PathBuf,
    pub(crate) survives: Survives,
    pub(crate) wait: Duration,
    /// What the file is opened for.
    pub(crate) tables: &'static Tables,
}

impl Connector {
    pub(crate) fn new(path: PathBuf, tables: &'static Tables) -> Self {
        Self {
            path,
            survives: Survives::default(),
            wait: Duration::from_secs(5),
            tables,
        }
    }

    /// The connection that writes. Looks first, and changes a file only when it is one that this release may change.
    pub(crate) fn writer(&self) -> Result<Connection, OpenError> {
        if self.path.is_dir() {
            return Err(OpenError::NotADatabase("it is a directory".into()));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&self.path, flags).map_err(refused)?;
        connection.busy_timeout(self.wait).map_err(refused)?;
        self.tables.schema(&connection)?;
        // SQLite opens what it may not write to for reading, and says nothing.
        if connection.is_readonly(MAIN_DB).map_err(refused)? {
            return Err(OpenError::Unreachable("the file is read-only".into()));
        }
        self.write_ahead(&connection)?;
        self.synchronous(&connection)?;
        // A page cache of 16 MiB: the indexes of some 200,000 packages.
        connection.pragma_update(None, "cache_size", -16_384).map_err(refused)?;
        // Some 16 MiB of log between two checkpoints: of many pools, each page is moved into the file at random, and the
        // more of them at once, the cheaper.
        connection
            .pragma_update(None, "wal_autocheckpoint", 4_000)
            .map_err(refused)?;
        self.tables.migrate(&mut connection)?;
        // From here on the writer waits by itself: see `patiently`.
        connection.busy_timeout(Duration::ZERO).map_err(refused)?;
        Ok(connection)
    }

    /// A connection that reads; the file is there.
    pub(crate) fn reader(&self) -> Result<Connection, OpenError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags).map_err(refused)?;
        connection.busy_timeout(self.wait).map_err(refused)?;
        Ok(connection)
    }

    /// Readers beside the writer need the write-ahead log, and so does the durability that is promised.
    fn write_ahead(&self, connection: &Connection) -> Result<(), OpenError> {
        // Two who open a new file at once may be told `busy` without having waited.
        let mode: String = retry(self.wait, || {
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        })
        .map_err(|failure| match failure {
            Failure::Sqlite(error) => refused(error),
            other => OpenError::Unreachable(other.into()),
        })?;
        if mode == "wal" {
            Ok(())
        } else {
            Err(OpenError::UnsafeConfiguration(format!(
                "the journal mode is {mode:?}, and only a file with a write-ahead log will do"
            )))
        }
    }

    fn synchronous(&self, connection: &Connection) -> Result<(), OpenError> {
        let (name, level) = match self.survives {
            Survives::PowerCut => ("FULL", 2),
            Survives::ProcessCrash => ("NORMAL", 1),
        };
        connection.pragma_update(None, "synchronous", name).map_err(refused)?;
        let set: i64 = connection
            .pragma_query_value(None, "synchronous", |row| row.get(0))
            .map_err(refused)?;
        if set == level {
            Ok(())
        } else {
            Err(OpenError::UnsafeConfiguration(format!(
                "synchronous is {set}, not {name}"
            )))
        }
    }
}
