//! What travels between a client and its delivery service.
//!
//! A client sends KeyPackages and is told an [`UploadOutcome`] for each; it names its KeyPackages and is told a
//! [`SyncReport`]. [`KeyPackageTransport`] is the way between the two. With the feature `serde` all of it goes over the
//! wire, and a client reads an outcome or a health of a later release as `Unknown`.

mod refusal;
mod status;
mod sync;
mod transport;
mod upload;

pub use refusal::Refusal;
pub use status::{CiphersuiteStatus, Health, PoolStatus};
pub use sync::SyncReport;
pub use transport::{KeyPackageTransport, TransportError};
pub use upload::UploadOutcome;
