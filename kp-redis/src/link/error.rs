use kp_core::{BackendError, Effect};
use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::link::script::Script;

/// The name of this backend in its errors.
const BACKEND: &str = "redis";

/// The class of a server's error: what the error means for the call, and what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorClass {
    /// Not applied: the server does not know the hash of the script. Send the source.
    SendWhole,
    /// Not applied: another node has the key for now. Ask that node.
    AskAnother,
    /// Not applied for now: the server loads, a slot moves, a master is elected. Send the command again.
    TryAgain,
    /// Not applied: the connection leads to the wrong server. Connect again.
    Reconnect,
    /// Not applied: the server refuses the command.
    Refused,
    /// The reply was lost: the command may have been applied.
    Lost,
}

impl ErrorClass {
    /// Classifies the error of a command. A script that replies with an error has written nothing: scripts check
    /// everything that may fail before their first write, and the server stops no script that has written.
    pub(crate) fn of(error: &RedisError) -> Self {
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::NoScript) => Self::SendWhole,
            ErrorKind::Server(ServerErrorKind::Ask) => Self::AskAnother,
            ErrorKind::Server(ServerErrorKind::ReadOnly) => Self::Reconnect,
            ErrorKind::Server(
                ServerErrorKind::Moved
                | ServerErrorKind::TryAgain
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::MasterDown
                | ServerErrorKind::BusyLoading,
            )
            | ErrorKind::ClusterConnectionNotFound => Self::TryAgain,
            ErrorKind::Extension if error.code() == Some("BUSY") => Self::TryAgain,
            ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::InvalidClientConfig => Self::Refused,
            _ if error.is_connection_refusal() => Self::Reconnect,
            _ => Self::Lost,
        }
    }
}

/// Names the feature that an address needs, and this build of the crate has not.
///
/// The error is the source of an [`OpenError::Unreachable`](kp_core::OpenError::Unreachable).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the address needs the feature `{feature}` of kp-redis, which this build has not")]
#[non_exhaustive]
pub struct MissingFeature {
    /// The name of the feature: `tls`, `cluster` or `sentinel`.
    pub feature: &'static str,
}

/// The reply is not one that the script gives.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the server's reply is not as the script gives it: {0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

/// The record asked for is damaged. The other records of the pool are served.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the record of this KeyPackage cannot be read")]
pub(crate) struct Unreadable;

/// Fewer replicas than asked for acknowledged the change in time (`ERR-1`).
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("{found} of {asked} replicas acknowledged in time")]
pub(crate) struct TooFewReplicas {
    pub(crate) found: i64,
    pub(crate) asked: u32,
}

/// The answer did not come within the store's time-out.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("no answer within {0:?}")]
pub(crate) struct TimedOut(pub(crate) std::time::Duration);

/// Makes a failure that repeating the call will not mend.
pub(crate) fn failed(operation: &'static str, effect: Effect, source: impl Into<kp_core::BoxError>) -> BackendError {
    BackendError::new(BACKEND, operation, effect, source)
}

/// Makes a failure that may be gone soon.
pub(crate) fn failed_for_now(
    operation: &'static str,
    effect: Effect,
    source: impl Into<kp_core::BoxError>,
) -> BackendError {
    BackendError::transient(BACKEND, operation, effect, source)
}

/// Makes the failure of a script whose reply cannot be read. The script may have written.
pub(crate) fn malformed(script: &Script, source: Malformed) -> BackendError {
    let effect = if script.changes {
        Effect::Unknown
    } else {
        Effect::NotApplied
    };
    failed(script.operation, effect, source)
}
