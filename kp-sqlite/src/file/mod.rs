//! The way to the file: its connections, its migrations, and the threads that use them.

pub(crate) mod builder;
pub(crate) mod busy;
pub(crate) mod calls;
pub(crate) mod codes;
pub(crate) mod columns;
pub(crate) mod connection;
pub(crate) mod error;
pub(crate) mod guard;
pub(crate) mod log;
pub(crate) mod mark;
pub(crate) mod marker;
pub(crate) mod migrations;
pub(crate) mod observe;
pub(crate) mod place;
pub(crate) mod threads;
pub(crate) mod writer;
