//! A client's metadata.

pub(crate) mod rows;
pub(crate) mod store;
