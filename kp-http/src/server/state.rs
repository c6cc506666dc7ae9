use std::sync::Arc;
use std::time::Duration;

use kp_server::KeyPackageDirectory;

use crate::server::busy::Busy;
use crate::server::events::Streams;
use crate::server::identify::Identify;
use crate::server::secret::Secret;

/// What every handler shares.
pub(crate) type Shared = Arc<State>;

pub(crate) struct State {
    pub(crate) directory: KeyPackageDirectory,
    pub(crate) identify: Box<dyn Identify>,
    pub(crate) secret: Secret,
    pub(crate) limits: Limits,
    pub(crate) busy: Busy,
    /// `None`: the server has no notices to tell.
    pub(crate) streams: Option<Streams>,
}

#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) body: usize,
    pub(crate) body_time: Duration,
    pub(crate) time: Duration,
    pub(crate) requests: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 1024 * 1024,
            body_time: Duration::from_secs(10),
            time: Duration::from_secs(30),
            requests: 32,
        }
    }
}
