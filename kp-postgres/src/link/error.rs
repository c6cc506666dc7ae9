use std::sync::Arc;
use std::time::Duration;

use kp_core::moving::Contradiction;
use kp_core::rules::Interrupted;
use kp_core::{BackendError, Effect, OpenError};
use tokio_postgres::error::{Severity, SqlState};

/// The name of this backend in its errors.
const BACKEND: &str = "postgres";

/// The reason why a call failed, without the name of the call.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The server answered with an error. The text has no details, which may hold ids and refs (ERR-4).
    #[error("{severity} {}: {message}{}", code.code(), hint(code))]
    Server {
        severity: String,
        code: SqlState,
        message: String,
        /// Whether the server ended the connection with the error.
        fatal: bool,
    },
    /// The connection failed, or could not be made.
    #[error("{}", whole(.0))]
    Connection(#[source] tokio_postgres::Error),
    /// The address cannot be read. The cause may name a piece of it, so the text does not.
    #[error(
        "{0}: of options for TLS it has `sslmode` alone, as disable, prefer or require; `root_certificates` sets a certificate \
         authority of your own"
    )]
    Address(#[source] tokio_postgres::Error),
    /// A connection of sqlx failed.
    #[cfg(feature = "sqlx")]
    #[error("{0}")]
    Sqlx(#[source] sqlx::Error),
    /// No answer came in time.
    #[error("no answer within {0:.1?}: the server does not answer, or another transaction holds the lock of the pool")]
    TimedOut(Duration),
    /// The connection leads to a server that takes no changes.
    #[error("the server is a standby, or transactions of the role are read-only (default_transaction_read_only)")]
    Standby,
    /// A wait for a standby was cancelled: the commit took effect on the primary alone.
    #[error("the commit succeeded with a warning: a standby may not have it")]
    CommitWarned,
    /// A pool was deleted while a save waited for its lock.
    #[error("the pool was deleted meanwhile")]
    PoolDeleted,
    /// Rows are missing, or hold a value that this crate would not write.
    #[error("a row is damaged: {0}")]
    Damaged(#[from] Damage),
    /// The rows of a pool are whole, and cannot all be true.
    #[error("the rows of a pool are damaged: {0}")]
    Contradiction(#[from] Contradiction),
    /// The record that the call asks for is damaged.
    #[error("a record is damaged: {0}")]
    Unreadable(Interrupted),
    /// The server is refused.
    #[error(transparent)]
    Refused(#[from] OpenError),
    /// A transaction of the server is not as it must be (TX-1).
    #[error("the transaction is refused: {0}")]
    Transaction(String),
    /// The store was closed by a clone, or its runtime has ended.
    #[error("the store is closed")]
    Closed,
}

/// Says what a wait that ended was for.
fn hint(code: &SqlState) -> &'static str {
    match *code {
        SqlState::LOCK_NOT_AVAILABLE => ": another transaction holds the lock of the pool",
        SqlState::QUERY_CANCELED => ": another transaction holds the lock of the pool, or the server is slow",
        _ => "",
    }
}

/// Returns the text of an error with those of its causes, which the driver leaves out.
fn whole(error: &tokio_postgres::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Names the damaged column of a row, never its content (ERR-4).
#[derive(Debug, thiserror::Error)]
#[error("{column} of record {key}")]
pub(crate) struct Damage {
    /// The record's sequence, or its pool's key.
    pub(crate) key: i64,
    pub(crate) column: &'static str,
}

/// What to do about a failure before the commit was sent, which changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// The same again on the same connection: a lock, a conflict of transactions.
    Again,
    /// The same again on another connection: this one is lost, or its statements are.
    Reconnect,
    /// Fail for now: the server has no room, or may not be the one that takes changes.
    ForNow,
    /// Fail for good.
    Never,
}

impl Failure {
    /// Returns what to do about a failure that changed nothing.
    pub(crate) fn remedy(&self) -> Remedy {
        match self {
            Self::Server { fatal: true, .. } | Self::Connection(_) | Self::TimedOut(_) | Self::Standby => {
                Remedy::Reconnect
            }
            Self::Server { code, .. } => of_code(code),
            #[cfg(feature = "sqlx")]
            Self::Sqlx(sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_)) => Remedy::Reconnect,
            #[cfg(feature = "sqlx")]
            Self::Sqlx(_) => Remedy::Never,
            Self::PoolDeleted => Remedy::Again,
            Self::CommitWarned
            | Self::Damaged(_)
            | Self::Contradiction(_)
            | Self::Unreadable(_)
            | Self::Refused(_)
            | Self::Address(_)
            | Self::Transaction(_)
            | Self::Closed => Remedy::Never,
        }
    }

    /// Returns whether a commit that the server answered so certainly changed nothing. Whatever else came of a commit,
    /// it may have taken effect.
    pub(crate) fn is_rolled_back(&self) -> bool {
        match self {
            Self::Server { fatal, code, .. } => {
                let class = code.code().get(..2);
                let unclear = [SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN, SqlState::INTERNAL_ERROR].contains(code);
                !fatal && !unclear && class != Some("08") && class != Some("57")
            }
            _ => false,
        }
    }

    /// Returns whether the error may be a pooler's, which lost the server: the answers to all that was sent may be lost.
    pub(crate) fn is_of_link(&self) -> bool {
        matches!(self, Self::Server { code, .. } if code.code().starts_with("08"))
    }

    fn is_transient(&self) -> bool {
        match self {
            Self::CommitWarned => true,
            other => other.remedy() != Remedy::Never,
        }
    }
}

fn of_code(code: &SqlState) -> Remedy {
    // Statements that are no longer prepared, or prepared for tables that have changed since; a change on a standby.
    let is_stale = [
        SqlState::INVALID_SQL_STATEMENT_NAME,
        SqlState::DUPLICATE_PSTATEMENT,
        SqlState::FEATURE_NOT_SUPPORTED,
    ]
    .contains(code);
    match code.code().get(..2) {
        _ if is_stale => Remedy::Reconnect,
        // Serialization, deadlocks; lock_timeout; statement_timeout and cancelled.
        Some("40") => Remedy::Again,
        _ if *code == SqlState::LOCK_NOT_AVAILABLE || *code == SqlState::QUERY_CANCELED => Remedy::Again,
        // A standby; the server stops or starts; the connection.
        _ if *code == SqlState::READ_ONLY_SQL_TRANSACTION => Remedy::Reconnect,
        Some("57" | "08") => Remedy::Reconnect,
        _ if *code == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => Remedy::Reconnect,
        // No disk, memory or connection is left.
        Some("53") => Remedy::ForNow,
        _ => Remedy::Never,
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            None => Self::Connection(error),
            Some(server) => Self::Server {
                severity: server.severity().to_owned(),
                code: server.code().clone(),
                message: server.message().to_owned(),
                fatal: matches!(server.parsed_severity(), Some(Severity::Fatal | Severity::Panic)),
            },
        }
    }
}

/// Converts a failure while a store is opened.
impl From<Failure> for OpenError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refused) => refused,
            Failure::Standby => Self::UnsafeConfiguration(failure.to_string()),
            Failure::Server { ref code, .. } if *code == SqlState::INSUFFICIENT_PRIVILEGE => {
                Self::UnsafeConfiguration(format!("the role lacks a right that the store needs: {failure}"))
            }
            other => Self::Unreachable(other.into()),
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
    make(BACKEND, operation, effect, failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ERR-1: of a commit that was cut short, nobody knows whether it took effect.
    #[test]
    fn a_commit_that_was_cut_short_is_not_taken_for_rolled_back() {
        let failed = |code: &str| Failure::Server {
            severity: "ERROR".to_owned(),
            code: SqlState::from_code(code),
            message: String::new(),
            fatal: false,
        };
        for code in ["57014", "57P01", "08006", "40003", "XX000"] {
            assert!(!failed(code).is_rolled_back(), "{code}");
        }
        for code in ["40001", "23503"] {
            assert!(failed(code).is_rolled_back(), "{code}");
        }
    }
}
