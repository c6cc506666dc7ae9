//! A client's metadata.

pub(crate) mod lease;
pub(crate) mod record;
pub(crate) mod rows;
pub(crate) mod store;
