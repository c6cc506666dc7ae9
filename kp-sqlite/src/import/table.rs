//! The tables of this project's origin, and how their rows come over.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;

use futures::channel::oneshot;
use kp_core::protocol::Refusal;
use kp_core::server::SaveOutcome;
use kp_core::{BackendError, Effect, OpenError, Timestamp};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use crate::file::error::{Failure, backend_error, refused};

/// What became of the rows of an old table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Imported {
    /// How many came over.
    pub imported: u64,
    /// How many were here before: from an earlier run, for one.
    pub already_here: u64,
    /// The rows that did not come over, and why.
    pub bad_rows: Vec<BadRow>,
}

/// A row that did not come over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("row {rowid} of the old table: {why}")]
pub struct BadRow {
    /// Its `rowid` in the old table.
    pub rowid: i64,
    /// What is wrong with it.
    #[source]
    pub why: RowError,
}

/// What is wrong with a row of an old table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// A column's value is missing, of another type, or out of bounds.
    #[error("{0} is not as it should be")]
    Column(&'static str),
    /// Not one of the origin's statuses.
    #[error("there is no status {0:?}")]
    Status(String),
    /// The package itself is not taken: an expired one, for example.
    #[error("the KeyPackage is refused: {0}")]
    Refused(#[source] Refusal),
    /// The ref is not that of the package beside it.
    #[error("the ref is not that of the KeyPackage")]
    OtherRef,
    /// The pool does not take it.
    #[error("the pool answers {0:?}")]
    NotSaved(SaveOutcome),
}

/// Why an old table was not imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A file could not be opened, or not be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The file has no table `keypackages` with this column: it is another table, or none. No row changed.
    #[error("the file has no table `keypackages` with a column `{0}`")]
    NotTheTable(&'static str),
    /// The rows came over and the old table is gone, but others have the file open, and its log, where the old bytes
    /// still stand, could not be cut. Run it again when they are gone.
    #[error("others have the file open: what was dropped is still in its log")]
    InUse,
    /// The backend failed. It may be run again.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// Looks whether the table `keypackages` has these columns; `Ok(false)` when there is no such table at all.
pub(crate) fn has_table(connection: &Connection, columns: &[&'static str]) -> Result<bool, ImportError> {
    let names = || -> rusqlite::Result<BTreeSet<String>> {
        let mut statement = connection.prepare(include_str!("sql/columns.sql"))?;
        statement.query_map([], |row| row.get(0))?.collect()
    };
    let found = names().map_err(refused)?;
    match columns.iter().find(|column| !found.contains(**column)) {
        _ if found.is_empty() => Ok(false),
        Some(missing) => Err(ImportError::NotTheTable(missing)),
        None => Ok(true),
    }
}

/// Does blocking work beside the executor.
pub(crate) async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ImportError> + Send + 'static,
) -> Result<T, ImportError> {
    let (report, done) = oneshot::channel();
    thread::Builder::new()
        .name("kp-sqlite-import".into())
        // Who dropped the future does not want to know.
        .spawn(move || drop(report.send(work())))
        .map_err(|error| OpenError::Unreachable(error.into()))?;
    done.await
        .unwrap_or_else(|canceled| Err(OpenError::Unreachable(canceled.into()).into()))
}

/// A row of an old table, whose columns are looked at by name and trusted in nothing.
pub(crate) struct OldRow<'a, 'r>(pub(crate) &'a Row<'r>);

impl OldRow<'_, '_> {
    pub(crate) fn rowid(&self) -> rusqlite::Result<i64> {
        self.0.get("key")
    }

    /// A column that a version of the origin did not have is as good as empty.
    pub(crate) fn value(&self, column: &'static str) -> ValueRef<'_> {
        self.0.get_ref(column).unwrap_or(ValueRef::Null)
    }

    pub(crate) fn blob(&self, column: &'static str) -> Result<&[u8], RowError> {
        self.value(column).as_blob().map_err(|_| RowError::Column(column))
    }

    pub(crate) fn text(&self, column: &'static str) -> Result<&str, RowError> {
        self.value(column).as_str().map_err(|_| RowError::Column(column))
    }

    pub(crate) fn integer(&self, column: &'static str) -> Result<i64, RowError> {
        self.value(column).as_i64().map_err(|_| RowError::Column(column))
    }

    pub(crate) fn time(&self, column: &'static str) -> Result<Timestamp, RowError> {
        Timestamp::try_from(self.integer(column)?).map_err(|_| RowError::Column(column))
    }

    /// What may be absent, and what is made of it otherwise.
    pub(crate) fn optional<T>(
        &self,
        column: &'static str,
        make: impl FnOnce(&Self) -> Result<T, RowError>,
    ) -> Result<Option<T>, RowError> {
        match self.value(column) {
            ValueRef::Null => Ok(None),
            _ => make(self).map(Some),
        }
    }
}

/// How far it came is not told apart: it may be run again, and finds out (ERR-1).
impl From<Failure> for ImportError {
    fn from(failure: Failure) -> Self {
        Self::Backend(backend_error("import", Effect::Unknown, Arc::new(failure)))
    }
}

impl From<rusqlite::Error> for ImportError {
    fn from(error: rusqlite::Error) -> Self {
        Failure::from(error).into()
    }
}
