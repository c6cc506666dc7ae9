use std::time::Duration;

use kp_core::BoxError;

use crate::wire::Problem;

/// Says why a call has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The server refuses the call, and did nothing. The problem's `code` says why.
    #[error("the server refuses the call: {} ({})", problem.detail, problem.code)]
    Refused {
        /// What the server says.
        problem: Box<Problem>,
        /// When to try again, if the server says so.
        retry_after: Option<Duration>,
    },
    /// The server failed. The problem's `effect` says what is known; the same call again finds out.
    #[error("the server failed: {} ({})", problem.detail, problem.status)]
    Failed {
        /// What the server says.
        problem: Box<Problem>,
        /// When to try again, if the server says so.
        retry_after: Option<Duration>,
    },
    /// No answer came: no connection, or none in time. The call may be applied; the same call again finds out.
    #[error("no answer came")]
    NoAnswer(#[source] BoxError),
    /// The answer cannot be read. The call may be applied. Is this the address of the routes?
    #[error("the answer cannot be read")]
    Unreadable(#[source] BoxError),
}

impl ClientError {
    /// Returns the code of the server's problem; `None` if no problem came.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.problem().map(|problem| problem.code.as_str())
    }

    /// Returns the server's problem; `None` if none came.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused { problem, .. } | Self::Failed { problem, .. } => Some(problem),
            Self::NoAnswer(_) | Self::Unreadable(_) => None,
        }
    }

    /// When the server wants to be asked again.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } | Self::Failed { retry_after, .. } => *retry_after,
            Self::NoAnswer(_) | Self::Unreadable(_) => None,
        }
    }

    /// Whether the same call may have an answer soon.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::NoAnswer(_) | Self::Failed { .. } => true,
            Self::Refused { problem, .. } => problem.status == 408 || problem.code == "too_many_requests",
            Self::Unreadable(_) => false,
        }
    }
}

/// Says why a client cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The address is not `https://...` or `http://...`.
    #[error("not the address of a server: {0}")]
    Address(#[source] BoxError),
    /// TLS is not to be had: a certificate that cannot be read, or no trusted one on this system.
    #[error("no TLS: {0}")]
    Tls(#[source] BoxError),
    /// The HTTP client does not start.
    #[error("no HTTP client: {0}")]
    Http(#[source] BoxError),
}
