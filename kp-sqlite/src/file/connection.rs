use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kp_core::OpenError;
use rusqlite::{Connection, MAIN_DB, OpenFlags};

use crate::file::busy::{Wait, retry};
use crate::file::codes::is_damage;
use crate::file::error::{Failure, refused};
use crate::file::marker::{self, LOG_BYTES, Marker};
use crate::file::migrations::{Tables, check_names};
use crate::file::place::{self, Identity, Place};

/// Names the failure of the machine that an answered call survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Survives {
    /// A power cut. Every commit is synced to the disk before its calls are answered (`synchronous=FULL`). The default.
    #[default]
    PowerCut,
    /// A killed process, but no power cut (`synchronous=NORMAL`).
    ///
    /// A power cut may undo the last answered calls, so that a KeyPackage is handed out a second time. The file stays
    /// sound.
    ProcessCrash,
}

/// What the writer of a store works with.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) connection: Connection,
    pub(crate) place: Arc<Place>,
    /// `None`: the file is damaged where its mark is.
    pub(crate) marker: Option<Marker>,
}

/// Opens the connections of a store.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    pub(crate) path: PathBuf,
    pub(crate) survives: Survives,
    pub(crate) timeout: Duration,
    /// Whether the whole file is checked for damage when it is opened.
    pub(crate) check: bool,
    /// Whether the file and its tables are made if there are none.
    pub(crate) create: bool,
    /// The tables that the file is opened for.
    pub(crate) tables: &'static Tables,
}

impl Connector {
    pub(crate) fn new(path: PathBuf, tables: &'static Tables) -> Self {
        Self {
            path,
            survives: Survives::default(),
            timeout: Duration::from_secs(5),
            check: false,
            create: true,
            tables,
        }
    }

    /// Opens the writer's connection, and brings the tables up to date. A file that is refused is not changed.
    pub(crate) fn writer(&self) -> Result<Opened, OpenError> {
        let path = place::absolute(&self.path)?;
        if !self.create
            && !path
                .try_exists()
                .map_err(|error| OpenError::Unreachable(error.into()))?
        {
            return Err(OpenError::Missing);
        }
        marker::check(&path)?;
        place::create(&path);
        let (mut connection, opened) = open(&path)?;
        // SQLite would add up the pauses that it asks for: `busy::retry` waits instead.
        connection.busy_timeout(Duration::ZERO).map_err(refused)?;
        // Made before the file is read: as long as anybody reads it, nobody can switch to the write-ahead log.
        let names = self.tables.names()?;
        retry(Wait::begin(self.timeout), || self.prepare(&mut connection, &names))?;
        let mut marker = Marker::new(&path);
        let wait = Wait::begin(self.timeout.min(MARK_TIMEOUT));
        let marked = retry(wait, || marker.begin(&connection));
        let place = Place::of(&path).map_err(|error| OpenError::Unreachable(error.into()))?;
        if place.database() == Some(opened) {
            Ok(Opened {
                connection,
                place: Arc::new(place),
                marker: is_marked(marked)?.then_some(marker),
            })
        } else {
            Err(Failure::Lost.into())
        }
    }

    /// Sets up the writer's connection. May be repeated.
    fn prepare(&self, connection: &mut Connection, names: &[String]) -> Result<(), Failure> {
        // In one snapshot: another process may run the migrations just now.
        let look = connection.transaction()?;
        if self.tables.schema(&look)? == 0 {
            if !self.create {
                return Err(OpenError::Missing.into());
            }
            check_names(&look, names)?;
        }
        marker::check_table(&look)?;
        drop(look);
        // SQLite silently opens a file without write permission as read-only.
        if connection.is_readonly(MAIN_DB)? {
            return Err(OpenError::Unreachable("the file is read-only".into()).into());
        }
        write_ahead(connection)?;
        self.synchronous(connection)?;
        // A page cache of 16 MiB: the indexes of about 200,000 KeyPackages.
        connection.pragma_update(None, "cache_size", -16_384)?;
        // About 16 MiB of log between two checkpoints. A checkpoint writes pages at random places of the file, and is
        // cheaper the more pages it writes at once.
        let page_size: i64 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_BYTES / page_size.max(1))?;
        // A reader that stays open lets the log grow. Once it is gone, the log shrinks when it begins anew.
        connection.query_row(&format!("PRAGMA journal_size_limit = {LOG_BYTES}"), [], |_| Ok(()))?;
        if self.check {
            check(connection)?;
        }
        self.tables.migrate(connection)
    }

    /// Opens a reader's connection to the file that the writer has opened.
    pub(crate) fn reader(&self, place: &Place) -> Result<Connection, OpenError> {
        place.check()?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(place::absolute(&self.path)?, flags).map_err(refused)?;
        connection.busy_timeout(Duration::ZERO).map_err(refused)?;
        place.check()?;
        Ok(connection)
    }

    /// Sets when SQLite syncs the disk.
    fn synchronous(&self, connection: &Connection) -> Result<(), Failure> {
        let (name, level) = match self.survives {
            Survives::PowerCut => ("FULL", 2),
            Survives::ProcessCrash => ("NORMAL", 1),
        };
        connection.pragma_update(None, "synchronous", name)?;
        let set: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
        if set == level {
            Ok(())
        } else {
            Err(OpenError::UnsafeConfiguration(format!("synchronous is {set}, not {name}")).into())
        }
    }
}

/// Opens the file at a path, and tells which file it is: the one that is there before and after.
fn open(path: &Path) -> Result<(Connection, Identity), OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // An overlay of file systems replaces a file by a copy when it is first opened to be written to.
    for _ in 0..3 {
        let before = Identity::at(path).ok();
        let connection = Connection::open_with_flags(path, flags).map_err(refused)?;
        match Identity::at(path) {
            Ok(after) if Some(after) == before => return Ok((connection, after)),
            _ => {}
        }
    }
    Err(Failure::Lost.into())
}

/// Refuses a file in which a table of ours is damaged. An application's own tables in the file may need what only the
/// application has, a collation for example.
fn check(connection: &Connection) -> Result<(), Failure> {
    let mut tables = connection.prepare(include_str!("../sql/schema_tables.sql"))?;
    let tables = tables
        .query_map([], |row| row.get(0))?
        .collect::<Result<Vec<String>, _>>()?;
    for table in tables {
        let check = format!("PRAGMA integrity_check('{table}')");
        let found: String = connection.query_row(&check, [], |row| row.get(0))?;
        if found != "ok" {
            return Err(OpenError::NotADatabase(format!("the file is damaged: {found}")).into());
        }
    }
    Ok(())
}

/// How much log there is between two checkpoints.
const CHECKPOINT_BYTES: i64 = 4_000 * 4_096;

/// How long an opening waits for other writers, to mark the file: else the first commit marks it.
const MARK_TIMEOUT: Duration = Duration::from_millis(500);

/// Returns whether the file can be marked. A damaged mark does not keep the rest of the file from being used.
fn is_marked(marked: Result<(), Failure>) -> Result<bool, Failure> {
    match marked {
        Err(Failure::Locked { .. }) => Ok(true),
        Err(Failure::Sqlite(error)) if is_damage(&error) => {
            tracing::warn!(%error, "the file cannot be marked, so that a log of another file would not be noticed");
            Ok(false)
        }
        marked => marked.map(|()| true),
    }
}

/// Switches to the write-ahead log: readers beside the writer need it, and so does durability.
fn write_ahead(connection: &Connection) -> Result<(), Failure> {
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode == "wal" {
        Ok(())
    } else {
        Err(OpenError::UnsafeConfiguration(format!("the journal mode is {mode:?}, not a write-ahead log")).into())
    }
}
