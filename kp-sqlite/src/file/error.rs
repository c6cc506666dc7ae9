use std::sync::Arc;
use std::time::Duration;

use kp_core::moving::Contradiction;
use kp_core::{BackendError, Effect, OpenError};

use crate::file::codes::{is_content, is_foreign_key, meaning};

/// The reason why a call failed, without the name of the call.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// SQLite failed.
    #[error("{0}")]
    Sqlite(#[source] rusqlite::Error),
    /// A row holds a value that this crate would not write.
    #[error("a row of the file is damaged: {0}")]
    Damaged(#[from] Damage),
    /// The rows of a pool are whole, and cannot all be true.
    #[error("the rows of a pool are damaged: {0}")]
    Contradiction(#[from] Contradiction),
    /// Other writers held the lock of the file until the timeout.
    #[error("other writers kept the file locked for {waited:?}")]
    Locked {
        waited: Duration,
        #[source]
        source: rusqlite::Error,
    },
    /// The file that the store has open is no longer the one at its path.
    #[error("the file was replaced, moved or deleted under the running store: open the store again")]
    Lost,
    /// The file is not opened.
    #[error(transparent)]
    Refused(#[from] OpenError),
    /// The store was closed by a clone.
    #[error("the store is closed")]
    Closed,
    /// The transaction of a server's closure ended before the closure did, or because of a call beside it.
    #[error(
        "the transaction was rolled back: by a full disk, a statement such as INSERT OR ROLLBACK, a deferred foreign key, or a call \
         beside the closure"
    )]
    RolledBack,
    /// A server's closure panicked.
    #[error("the closure panicked")]
    Panicked,
    /// A server's closure called a store.
    #[error("a closure that calls a store would wait for itself")]
    InClosure,
    /// The thread of the call ended without an answer.
    #[error("the store's thread ended before it answered")]
    NoReply,
}

/// Names the damaged column of a row, never its content (ERR-4).
#[derive(Debug, thiserror::Error)]
#[error("{column} of record {key}")]
pub(crate) struct Damage {
    /// The record's sequence, or its pool's key.
    pub(crate) key: i64,
    pub(crate) column: &'static str,
}

impl Failure {
    /// Returns whether a commit that failed so, and left no transaction behind, certainly changed nothing.
    pub(crate) fn is_undone(&self) -> bool {
        matches!(self, Self::Sqlite(error) if meaning(error).is_undone)
    }

    /// Returns whether a commit that failed so was refused for the rows of a call: a deferred foreign key is looked at then.
    pub(crate) fn is_of_rows(&self) -> bool {
        matches!(self, Self::Sqlite(error) if is_foreign_key(error))
    }

    fn is_transient(&self) -> bool {
        match self {
            Self::Locked { .. } | Self::RolledBack => true,
            Self::Sqlite(error) => meaning(error).is_transient,
            Self::Damaged(_)
            | Self::Contradiction(_)
            | Self::Lost
            | Self::Refused(_)
            | Self::Closed
            | Self::Panicked
            | Self::InClosure
            | Self::NoReply => false,
        }
    }
}

/// Returns the failure of a call, with the names of the backend and of the operation.
pub(crate) fn backend_error(operation: &'static str, effect: Effect, failure: Arc<Failure>) -> BackendError {
    let make = if failure.is_transient() {
        BackendError::transient
    } else {
        BackendError::new
    };
    make("sqlite", operation, effect, failure)
}

/// Converts a failure while a file is opened.
impl From<Failure> for OpenError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refused) => refused,
            Failure::Sqlite(error) => refused(error),
            Failure::Damaged(damage) => Self::NotADatabase(damage.to_string()),
            other => Self::Unreachable(other.into()),
        }
    }
}

/// Converts a failure of SQLite while a file is opened.
pub(crate) fn refused(error: rusqlite::Error) -> OpenError {
    let error = without_statement(error);
    if is_content(&error) {
        OpenError::NotADatabase(error.to_string())
    } else {
        OpenError::Unreachable(error.into())
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(without_statement(error))
    }
}

/// Leaves the statement out of an error: it may be a whole migration.
fn without_statement(error: rusqlite::Error) -> rusqlite::Error {
    match error {
        // The kind is there where SQLite is new enough for it, as the bundled one is.
        #[cfg(feature = "bundled")]
        rusqlite::Error::SqlInputError { error, msg, .. } => rusqlite::Error::SqliteFailure(error, Some(msg)),
        other => other,
    }
}
