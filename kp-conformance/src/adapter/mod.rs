//! A store in any language: the suite speaks to an *adapter*, any executable, by JSON lines over its standard input and
//! output.
//!
//! [`wire`] has the protocol. The program `kp-conformance` does the rest.

mod adapters;
mod error;
mod process;
mod profile;
mod session;
mod store;
mod tally;
pub mod wire;

pub(crate) use adapters::Adapters;
pub use error::AdapterError;
pub(crate) use process::Start;
pub(crate) use profile::Profile;
pub(crate) use session::Session;
