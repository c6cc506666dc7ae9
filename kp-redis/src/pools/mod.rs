//! The pools of delivery services: the store, its scripts, and what goes over all pools.

mod audit;
pub(crate) mod batch;
pub(crate) mod listing;
mod moving;
pub(crate) mod replies;
pub(crate) mod requests;
pub(crate) mod runner;
pub(crate) mod scripts;
pub(crate) mod store;
pub(crate) mod sweep;
