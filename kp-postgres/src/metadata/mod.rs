//! The metadata of clients.

pub(crate) mod rows;
pub(crate) mod store;
pub(crate) mod writer;
