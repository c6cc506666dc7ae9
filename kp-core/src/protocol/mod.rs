//! Holds what travels between a client and its delivery service.
//!
//! A client uploads KeyPackages and is told an [`UploadOutcome`] for each. A client names its KeyPackages and is told a
//! [`SyncReport`]. [`KeyPackageTransport`] is the way between client and server.
//!
//! With the feature `serde` the types go over the wire. A client reads an outcome or a health of a later release as
//! `Unknown`.

mod fault;
mod refusal;
mod requirement;
mod status;
mod sync;
mod transport;
mod upload;

pub use fault::{KeyFault, LeafFault, PublicKeyField};
pub use refusal::Refusal;
pub use requirement::Requirement;
pub use status::{CiphersuiteStatus, Health, PoolStatus};
pub use sync::{HeldKeyPackage, SyncReport};
pub use transport::{KeyPackageTransport, TransportError};
pub use upload::UploadOutcome;
