//! The pools of delivery services: the store, its scripts, and the sweeps over all pools.

pub(crate) mod replies;
pub(crate) mod requests;
pub(crate) mod store;
pub(crate) mod sweep;
