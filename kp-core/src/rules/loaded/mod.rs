//! A pool in memory, for backends that cannot look a record up while the rules run: every asynchronous one.

mod change;
mod entry;
mod known;
mod look_up;
mod pool;
mod records;

pub use change::Change;
pub use look_up::{Extent, Interrupted, LookUp};
pub use pool::LoadedPool;
