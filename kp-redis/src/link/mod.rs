//! Reaches the server: addresses, connections, requests and their retries, and the checks of the server at opening.

pub(crate) mod address;
pub(crate) mod builder;
pub(crate) mod calls;
pub(crate) mod connection;
pub(crate) mod connections;
pub(crate) mod error;
pub(crate) mod library;
pub(crate) mod observe;
pub(crate) mod probe;
pub(crate) mod proof;
pub(crate) mod request;
pub(crate) mod schema;
pub(crate) mod script;
pub(crate) mod server;
