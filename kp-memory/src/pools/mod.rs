//! The pools of a delivery service.

mod moving;
pub(crate) mod records;
pub(crate) mod store;
pub(crate) mod sweep;
pub(crate) mod table;
