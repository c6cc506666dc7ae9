use kp_core::{BackendError, Effect};
use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::link::script::Script;

/// The name of this backend in its errors.
const BACKEND: &str = "redis";

/// What the server says, or the lack of it, means for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorClass {
    /// Not applied: the server does not know the script by its hash.
    SendWhole,
    /// Not applied: another node has the key for now.
    AskAnother,
    /// Not applied, and another try may do: the server loads, a slot moves, another master is elected.
    TryAgain,
    /// Not applied, and the connection leads to the wrong server.
    Reconnect,
    /// Not applied: the server will not have it.
    Refused,
    /// The reply was lost.
    Lost,
}

impl ErrorClass {
    /// What a failed command means. An error reply to a script is one that was given before its first write: the scripts
    /// check all that may fail first, and the server itself stops none that has written.
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

/// The address needs a feature that this build of the crate has not.
///
/// It is the source of an [`OpenError::Unreachable`](kp_core::OpenError::Unreachable).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the address needs the feature `{feature}` of kp-redis, which this build has not")]
#[non_exhaustive]
pub struct MissingFeature {
    /// The name of the feature: `tls`, `cluster` or `sentinel`.
    pub feature: &'static str,
}

/// A reply that is none of ours: another program's script, or a damaged server.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the server's reply is not as the script gives it: {0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

/// A record that was asked for is damaged; the others of its pool are served.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the record of this KeyPackage cannot be read")]
pub(crate) struct Unreadable;

/// Fewer replicas than asked for have the change (`ERR-1`).
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("{found} of {asked} replicas have it in time")]
pub(crate) struct TooFewReplicas {
    pub(crate) found: i64,
    pub(crate) asked: u32,
}

/// No answer within the store's time-out.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("no answer within {0:?}")]
pub(crate) struct TimedOut(pub(crate) std::time::Duration);

/// A failure that the same call again will meet again.
pub(crate) fn failed(operation: &'static str, effect: Effect, source: impl Into<kp_core::BoxError>) -> BackendError {
    BackendError::new(BACKEND, operation, effect, source)
}

/// A failure that may be gone soon.
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
