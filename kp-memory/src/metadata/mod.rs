//! The metadata of a client's KeyPackages.

pub(crate) mod store;
