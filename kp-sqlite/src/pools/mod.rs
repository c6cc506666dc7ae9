//! A server's pools.

mod audit;
pub(crate) mod cache;
pub(crate) mod cursor;
mod moving;
pub(crate) mod pool_row;
pub(crate) mod queue;
pub(crate) mod records;
pub(crate) mod rows;
pub(crate) mod store;
pub(crate) mod sweep;
pub(crate) mod within;
