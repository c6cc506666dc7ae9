use kp_core::{BackendError, Effect};
use redis::{ErrorKind, RedisError};

use crate::link::script::Script;

/// The name of this backend in its errors.
const BACKEND: &str = "redis";

/// The class of a server's error: what the error means for the call, and what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorClass {
    /// Not applied: the server does not know the script by its hash, or has no such function. Send more of it.
    SendWhole,
    /// Not applied: another node has the key for now. Ask that node.
    AskAnother,
    /// Not applied for now: a slot moves, a master is elected, a script runs. Send the command again.
    TryAgain,
    /// Not applied: the connection leads to a server that is no master, or not yet. Connect again.
    Reconnect,
    /// Not applied: the server takes no changes, which may pass, but hardly within this call. Fail for now.
    ForNow,
    /// Not applied, as for `ForNow`: a master without its replicas may have been replaced. The next call connects anew.
    Isolated,
    /// Not applied: the server refuses the command for good.
    Refused,
    /// The script failed at a command that may have come after its first write.
    Unclear,
    /// The reply was lost: the command may have been applied.
    Lost,
}

impl ErrorClass {
    /// Classifies the error of a command. `changes` tells whether the command may have written before it failed.
    pub(crate) fn of(error: &RedisError, changes: bool) -> Self {
        match error.code() {
            Some("ERR")
                if error
                    .detail()
                    .is_some_and(|detail| detail.starts_with("Function not found")) =>
            {
                Self::SendWhole
            }
            Some(code) => Self::of_code(code, changes),
            None => match error.kind() {
                ErrorKind::ClusterConnectionNotFound => Self::TryAgain,
                ErrorKind::InvalidClientConfig => Self::Refused,
                _ if error.is_connection_refusal() => Self::Reconnect,
                _ => Self::Lost,
            },
        }
    }

    /// Classifies the code with which the server's error begins.
    ///
    /// Scripts check everything that may fail before their first write, and the server refuses no command of a script
    /// that has written, but for one that its user may not run or that it does not have. So a known code is one of an
    /// error before the first write, and any other may have come after it.
    fn of_code(code: &str, changes: bool) -> Self {
        match code {
            "NOSCRIPT" => Self::SendWhole,
            "ASK" => Self::AskAnother,
            "MOVED" | "TRYAGAIN" | "CLUSTERDOWN" | "BUSY" => Self::TryAgain,
            // A replica that copies its new master loads its data; one without its master answers MASTERDOWN.
            "READONLY" | "MASTERDOWN" | "LOADING" | "UNBLOCKED" => Self::Reconnect,
            "OOM" | "MISCONF" => Self::ForNow,
            "NOREPLICAS" => Self::Isolated,
            "WRONGTYPE" | "CROSSSLOT" | "NOAUTH" | "WRONGPASS" => Self::Refused,
            _ if changes => Self::Unclear,
            _ => Self::Refused,
        }
    }

    /// Classifies the answer of a server that was asked whether it is a master: see
    /// [`Proof::Role`](crate::link::proof::Proof::Role).
    pub(crate) fn of_no_master(error: &RedisError) -> Self {
        match error.code() {
            Some("ERR") if !is_denied(error) => Self::Reconnect,
            _ => Self::of(error, false),
        }
    }

    /// Returns whether an error met while connecting may pass.
    pub(crate) fn may_connect_later(error: &RedisError) -> bool {
        let for_good = match error.kind() {
            ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig | ErrorKind::RESP3NotSupported => true,
            _ => matches!(
                error.code(),
                Some("NOAUTH" | "WRONGPASS" | "NOPERM" | "NOPROTO" | "DENIED")
            ),
        };
        !for_good
    }
}

/// Returns whether the server denies the command for good: its user may not run it, or it is renamed.
pub(crate) fn is_denied(error: &RedisError) -> bool {
    let unknown = |detail: &str| detail.to_ascii_lowercase().starts_with("unknown command");
    error.code() == Some("NOPERM") || error.detail().is_some_and(unknown)
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
#[derive(Debug, Clone, thiserror::Error)]
#[error("no answer within {after:?}")]
pub(crate) struct TimedOut {
    pub(crate) after: std::time::Duration,
    /// Why the request was refused when it was sent before, if it was.
    #[source]
    pub(crate) refused: Option<RedisError>,
}

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

/// Makes the failure of a call of several steps, of which some were taken.
pub(crate) fn in_part(operation: &'static str, step: BackendError) -> BackendError {
    if step.is_transient() {
        failed_for_now(operation, Effect::Unknown, step)
    } else {
        failed(operation, Effect::Unknown, step)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Every code that Redis and Valkey have for a script or for a read.
    #[test]
    fn every_code_of_the_servers_has_its_class() {
        use ErrorClass::*;
        let table = [
            ("NOSCRIPT", SendWhole, SendWhole),
            ("ASK", AskAnother, AskAnother),
            ("MOVED", TryAgain, TryAgain),
            ("TRYAGAIN", TryAgain, TryAgain),
            ("CLUSTERDOWN", TryAgain, TryAgain),
            ("BUSY", TryAgain, TryAgain),
            ("READONLY", Reconnect, Reconnect),
            ("MASTERDOWN", Reconnect, Reconnect),
            ("LOADING", Reconnect, Reconnect),
            ("UNBLOCKED", Reconnect, Reconnect),
            ("OOM", ForNow, ForNow),
            ("MISCONF", ForNow, ForNow),
            ("NOREPLICAS", Isolated, Isolated),
            ("WRONGTYPE", Refused, Refused),
            ("CROSSSLOT", Refused, Refused),
            ("NOAUTH", Refused, Refused),
            ("WRONGPASS", Refused, Refused),
            ("NOPERM", Refused, Unclear),
            ("ERR", Refused, Unclear),
            ("NEWCODE", Refused, Unclear),
        ];
        for (code, reading, changing) in table {
            let reply = format!("-{code} for a reason\r\n");
            let error = redis::parse_redis_value(reply.as_bytes())
                .unwrap()
                .extract_error()
                .unwrap_err();
            assert_eq!(ErrorClass::of(&error, false), reading, "{code}, of a read");
            assert_eq!(ErrorClass::of(&error, true), changing, "{code}, of a change");
        }
    }
}
