use std::sync::Arc;
use std::time::Duration;

use kp_core::{BackendError, Effect, OpenError};
use rusqlite::ErrorCode;

/// Why a step failed, before it is known which call it was of.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// SQLite said no.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// A row, or what belongs to it, is not as this crate wrote it.
    #[error("a row of the file is damaged: {0}")]
    Damaged(#[from] Damage),
    /// Others wrote to the file for as long as this store waits.
    #[error("other writers kept the file locked for {waited:?}")]
    Locked {
        waited: Duration,
        #[source]
        source: rusqlite::Error,
    },
    /// A clone of the store was closed.
    #[error("the store is closed")]
    Closed,
    /// The thread that had the call ended without an answer.
    #[error("the store's thread ended before it answered")]
    NoReply,
}

/// What is wrong with a row. Names the column, never its content (ERR-4).
#[derive(Debug, thiserror::Error)]
#[error("{column} of record {key}")]
pub(crate) struct Damage {
    /// The record's sequence, or its pool's key.
    pub(crate) key: i64,
    pub(crate) column: &'static str,
}

impl Failure {
    fn is_transient(&self) -> bool {
        match self {
            Self::Locked { .. } => true,
            Self::Sqlite(error) => is_busy(error),
            Self::Damaged(_) | Self::Closed | Self::NoReply => false,
        }
    }
}

/// Whether somebody else has the lock.
pub(crate) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// The failure of one call. The only place where the backend and the operation are named.
pub(crate) fn backend_error(operation: &'static str, outcome: Effect, failure: Arc<Failure>) -> BackendError {
    let make = if failure.is_transient() {
        BackendError::transient
    } else {
        BackendError::new
    };
    make("sqlite", operation, outcome, failure)
}

/// Why a file could not be opened.
pub(crate) fn refused(error: rusqlite::Error) -> OpenError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => OpenError::NotADatabase(error.to_string()),
        _ => OpenError::Unreachable(error.into()),
    }
}
