use std::io;
use std::process::ExitCode;

use kp_core::OpenError;

use crate::store_url::InvalidUrl;

/// Says why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("no runtime: {0}")]
    Runtime(#[source] io::Error),
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
    #[error("the answer cannot be read: {0}")]
    Input(#[source] io::Error),
    /// A call on a store failed.
    #[error(transparent)]
    Store(#[from] kp_core::Error),
    #[error("{url}: {source}")]
    Open {
        /// Without what it says of a password.
        url: String,
        source: OpenError,
    },
    #[error("{url}: {source}")]
    Url {
        /// Without what it says of a password.
        url: String,
        source: InvalidUrl,
    },
    /// The arguments are wrong together.
    #[error("{0}")]
    Usage(&'static str),
    #[error("{0}")]
    Refused(&'static str),
    /// The command ran to its end, and found something wrong.
    #[error("{0}")]
    Found(String),
}

impl Failure {
    pub(crate) const NO_POOL: Self = Self::Refused("there is no such pool: it holds nothing");

    /// Returns whether who reads the output has gone, as in `kp pools STORE | head -1`.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Returns the exit code, as `kp help` documents it. clap ends with 2 where the arguments are wrong.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            // As a shell says it of a command that SIGPIPE ended.
            closed if closed.is_closed_pipe() => 141,
            Self::Runtime(_) | Self::Output(_) | Self::Input(_) | Self::Store(_) => 1,
            Self::Url { .. } | Self::Usage(_) => 2,
            Self::Open { .. } => 3,
            Self::Refused(_) => 4,
            Self::Found(_) => 5,
        })
    }
}
