//! The server's store.

pub(crate) mod access;
mod audit;
pub(crate) mod cursor;
pub(crate) mod load;
mod moving;
pub(crate) mod operations;
pub(crate) mod pool_row;
pub(crate) mod repairer;
pub(crate) mod rows;
pub(crate) mod server_transaction;
pub(crate) mod store;
pub(crate) mod sweep;
pub(crate) mod transaction;
pub(crate) mod within;
pub(crate) mod write;
pub(crate) mod writer;
