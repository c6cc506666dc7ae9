//! Marks a file and its log, and refuses a log whose marks do not fit.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use kp_core::OpenError;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior};

use crate::file::error::Failure;
use crate::file::log::{self, Base, Log, Salts};
use crate::file::mark::{Generation, Mark};
use crate::file::migrations::not_ours;

/// The length to which a log shrinks when it begins anew: about that of 4,000 pages, so that it is not cut off in the usual
/// case.
pub(crate) const LOG_BYTES: u64 = 4_096 * 4_400;

/// Refuses a file beside which the log of another one lies. SQLite would replay the log.
pub(crate) fn check(path: &Path) -> Result<(), OpenError> {
    /// While others use the file, what is read of the log and of the file may be of different moments.
    const TRIES: u32 = 4;

    let log_path = log::path_of(path);
    for _ in 0..TRIES {
        let log = Log::read(&log_path).map_err(|error| OpenError::Unreachable(error.into()))?;
        let Some(log) = log else { return Ok(()) };
        // A log begins when the file has at least a page. SQLite would delete it without a word.
        let is_empty = std::fs::metadata(path).map_or(true, |found| found.len() == 0);
        // What cannot be read may be in the middle of a checkpoint, of which the log has the rest.
        if !is_empty && base(path).is_none_or(|base| log.may_belong_to(base)) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Err(OpenError::UnsafeConfiguration(format!(
        "the write-ahead log {} belongs to another file than the one beside it: was a backup put there, and the log left?",
        log_path.display()
    )))
}

/// Reads the file without its log. `None`: not as it is now.
fn base(path: &Path) -> Option<Base> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let read = || -> rusqlite::Result<Base> {
        let file = Connection::open_with_flags(address(path), flags)?;
        let page = page(&file)?;
        let mark = page.map(|_| read_mark(&file)).transpose()?.flatten();
        Ok(Base {
            page,
            generation: mark.map(|mark| mark.generation),
            cookie: cookie(&file)?,
        })
    };
    read().ok()
}

/// Returns the address by which SQLite reads a file as if nobody changed it, and so without its log.
fn address(path: &Path) -> PathBuf {
    #[cfg(unix)]
    let bytes = std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str());
    #[cfg(not(unix))]
    let text = format!("/{}", path.to_string_lossy().replace('\\', "/"));
    #[cfg(not(unix))]
    let bytes = text.as_bytes();
    let mut address = OsString::from("file://");
    for byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' | b':' => {
                address.push(char::from(*byte).to_string());
            }
            other => address.push(format!("%{other:02X}")),
        }
    }
    address.push("?immutable=1");
    address.into()
}

/// Returns the page of the mark. `None`: the file has no table for it.
fn page(connection: &Connection) -> rusqlite::Result<Option<u32>> {
    connection
        .query_row(include_str!("../sql/schema_log_page.sql"), [], |row| row.get(0))
        .optional()
}

/// Refuses a file in which somebody else has made something of the name of the mark's table.
pub(crate) fn check_table(connection: &Connection) -> Result<(), Failure> {
    let is_ours = match page(connection)? {
        None => true,
        Some(0) => false,
        // Looks at the column.
        Some(_) => connection.prepare(include_str!("../sql/schema_log_read.sql")).is_ok(),
    };
    if is_ours {
        Ok(())
    } else {
        Err(not_ours("keypackage_pool_log"))
    }
}

fn read_mark(connection: &Connection) -> rusqlite::Result<Option<Mark>> {
    let mark = connection
        .query_row(include_str!("../sql/schema_log_read.sql"), [], |row| {
            Ok(row.get_ref(0)?.as_blob().ok().and_then(Mark::from_bytes))
        })
        .optional()?;
    Ok(mark.flatten())
}

fn cookie(connection: &Connection) -> rusqlite::Result<u32> {
    let cookie: i64 = connection.pragma_query_value(None, "schema_version", |row| row.get(0))?;
    // SQLite takes the four bytes for a number with a sign.
    Ok(cookie as u32)
}

/// Writes marks into the log of a file.
#[derive(Debug)]
pub(crate) struct Marker {
    path: PathBuf,
    /// The log, once it has been there.
    log: Option<File>,
    /// The salts of the log that was marked last.
    marked: Option<Salts>,
    growth: Growth,
}

impl Marker {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            log: None,
            marked: None,
            growth: Growth::default(),
        }
    }

    /// Marks the file and its log, when the file is opened. Then a copy of the file that was made before does not pass for
    /// the file.
    pub(crate) fn begin(&mut self, connection: &Connection) -> Result<(), Failure> {
        self.mark(connection)?;
        // The mark goes into the file, and the log begins anew, unless others use it just now.
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        self.mark(connection)
    }

    /// Marks the log if it has begun anew, and warns when it grows.
    pub(crate) fn follow(&mut self, connection: &Connection) -> Result<(), Failure> {
        let length = self.log.as_ref().and_then(|log| Some(log.metadata().ok()?.len()));
        if let Some(length) = length
            && self.growth.is_news(length)
        {
            tracing::warn!(
                bytes = length,
                "the write-ahead log grows, since a reader keeps a transaction open: it cannot be moved into the file"
            );
        }
        if self.salts() == self.marked {
            return Ok(());
        }
        self.mark(connection)
    }

    fn salts(&mut self) -> Option<Salts> {
        if self.log.is_none() {
            self.log = File::open(log::path_of(&self.path)).ok();
        }
        self.log.as_ref().and_then(log::salts)
    }

    fn mark(&mut self, connection: &Connection) -> Result<(), Failure> {
        let step = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
        step.execute_batch(include_str!("../sql/schema_log_create.sql"))?;
        let before = read_mark(&step)?.map_or_else(Generation::default, |mark| mark.generation);
        let cookie = cookie(&step)?;
        let file = base(&self.path);
        let mark = Mark {
            generation: step.query_row(include_str!("../sql/schema_log_generation.sql"), [], |row| row.get(0))?,
            before,
            file_cookie: file.map_or(cookie, |file| file.cookie),
            cookie,
            file_page: file
                .filter(|file| file.generation == Some(before))
                .and_then(|file| file.page)
                .unwrap_or(0),
        };
        step.execute(include_str!("../sql/schema_log_store.sql"), [mark.to_bytes()])?;
        step.commit()?;
        self.marked = self.salts();
        Ok(())
    }
}

/// Watches the length of a log that cannot be moved into the file.
#[derive(Debug)]
pub(crate) struct Growth {
    next: u64,
}

impl Default for Growth {
    fn default() -> Self {
        Self { next: Self::FIRST }
    }
}

impl Growth {
    /// The length that is worth a warning. From `LOG_BYTES` on, each commit tries to move the log into the file; by now, a
    /// great many came back short.
    pub(crate) const FIRST: u64 = 4 * LOG_BYTES;

    /// Returns whether a length is worth a warning: the first that is, and then each that is twice as long.
    pub(crate) fn is_news(&mut self, length: u64) -> bool {
        if length < Self::FIRST {
            self.next = Self::FIRST;
        }
        let is_news = length >= self.next;
        if is_news {
            self.next = length.saturating_mul(2);
        }
        is_news
    }
}
