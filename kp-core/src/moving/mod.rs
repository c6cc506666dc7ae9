//! Moves pools from one store to another, whole: records, order, bindings, windows and what is remembered
//! ([`MOVE`](crate::contract::MOVE)).
//!
//! A store that can do it implements [`MovePools`]. A [`PoolExport`] holds one pool; as bytes, it has one versioned form. A
//! backend in Rust imports by [`import`], inside its atomic step.

mod consistency;
mod export;
mod form;
mod import;
mod move_pools;

pub(crate) use consistency::Consistency;
pub use consistency::Contradiction;
pub use export::PoolExport;
pub use form::InvalidPoolExport;
pub use import::{ImportRejection, import};
pub use move_pools::MovePools;
