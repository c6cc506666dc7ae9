//! Reads the older tables `keypackages`, and reports what became of their rows.

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

/// Reports an import.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Imported {
    /// The number of imported rows.
    pub imported: u64,
    /// The number of rows whose KeyPackage was here before, for example from an earlier import.
    pub already_here: u64,
    /// The rows that were not imported.
    pub bad_rows: Vec<BadRow>,
}

/// Reports a row that was not imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("row {rowid} of the old table: {why}")]
#[non_exhaustive]
pub struct BadRow {
    /// The `rowid` of the row in the old table.
    pub rowid: i64,
    /// The reason.
    #[source]
    pub why: RowError,
}

/// Tells why a row of an old table was not imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// The value of this column is missing, of another type, or out of bounds.
    #[error("{0} is not as it should be")]
    Column(&'static str),
    /// The old table had no such status.
    #[error("there is no status {0:?}")]
    Status(String),
    /// The admission refused the KeyPackage: it has expired, for example.
    #[error("the KeyPackage is refused: {0}")]
    Refused(#[source] Refusal),
    /// The ref does not belong to the KeyPackage in the row.
    #[error("the ref is not that of the KeyPackage")]
    OtherRef,
    /// The pool refused the KeyPackage.
    #[error("the pool answers {0:?}")]
    NotSaved(SaveOutcome),
}

/// Tells why an old table was not imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A file could not be opened or read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The file has no table `keypackages` with this column. No row was changed.
    #[error("the file has no table `keypackages` with a column `{0}`")]
    NotTheTable(&'static str),
    /// The rows were imported and the old table was dropped, but another connection has the file open. So the write-ahead
    /// log could not be truncated, and still holds the old bytes. Repeat the import when the file is closed.
    #[error("others have the file open: what was dropped is still in its log")]
    InUse,
    /// The store failed. Repeat the import.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// Checks that the table `keypackages` has these columns. Returns `false` if there is no such table.
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

/// Runs blocking work on a thread of its own.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ImportError> + Send + 'static,
) -> Result<T, ImportError> {
    let (report, done) = oneshot::channel();
    thread::Builder::new()
        .name("kp-sqlite-import".into())
        // The caller may have dropped the future.
        .spawn(move || drop(report.send(work())))
        .map_err(|error| OpenError::Unreachable(error.into()))?;
    done.await
        .unwrap_or_else(|canceled| Err(OpenError::Unreachable(canceled.into()).into()))
}

/// Reads a row of an old table by the names of its columns, and checks every value.
pub(crate) struct OldRow<'a, 'r>(pub(crate) &'a Row<'r>);

impl OldRow<'_, '_> {
    pub(crate) fn rowid(&self) -> rusqlite::Result<i64> {
        self.0.get("key")
    }

    /// Returns the value of a column: NULL if the table does not have the column.
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

    /// Reads a value that may be NULL.
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

/// The effect is unknown: a repeated import finds out (ERR-1).
impl From<Failure> for ImportError {
    fn from(failure: Failure) -> Self {
        Self::Backend(backend_error("import_client_table", Effect::Unknown, Arc::new(failure)))
    }
}

impl From<rusqlite::Error> for ImportError {
    fn from(error: rusqlite::Error) -> Self {
        Failure::from(error).into()
    }
}
