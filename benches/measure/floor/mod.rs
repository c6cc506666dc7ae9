//! The floors: the least that has to be done on an engine for the same work, without the rules. `docs/performance.md`
//! says what each does and leaves out.

pub(crate) mod memory;
pub(crate) mod postgres;
pub(crate) mod redis;
pub(crate) mod sqlite;
pub(crate) mod sqlite_apart;
