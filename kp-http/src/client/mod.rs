//! The messenger's half: typed calls on the routes, over reqwest, with TLS by rustls.
//!
//! See [`KeyPackageClient`].

mod builder;
mod calls;
mod error;
mod events;
mod key;
mod send;
mod transport;
mod watcher;

pub use builder::ClientBuilder;
pub use error::{BuildError, ClientError};
pub use events::PoolEvent;
pub use key::{IdempotencyKey, InvalidIdempotencyKey, NoRandomness};
pub use send::KeyPackageClient;
pub use watcher::Watcher;
