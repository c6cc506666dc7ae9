//! The delivery service's half: an axum router over a [`KeyPackageDirectory`](kp_server::KeyPackageDirectory).
//!
//! See [`KeyPackageRoutes`].

mod busy;
mod events;
mod handing_out;
mod identify;
mod input;
mod known;
mod own_pool;
mod refusal;
mod routes;
mod schema;
mod secret;
mod state;

pub use identify::{Caller, Device, Identify, IdentifyError};
pub use routes::KeyPackageRoutes;
pub use secret::{Secret, SecretError};
