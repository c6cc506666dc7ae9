//! A client's record of its own KeyPackages.

pub(crate) mod rows;
pub(crate) mod scripts;
pub(crate) mod state;
pub(crate) mod store;
