use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kp_core::server::KeyPackageStore;

use crate::{Fault, FaultyStore};

/// How many calls a check has begun: one that is slow goes on, and one that hangs does not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress(Arc<AtomicU64>);

impl Progress {
    /// How many calls were begun so far.
    pub(crate) fn calls(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// The same store, its calls counted.
    pub(crate) fn counting(&self, store: Arc<dyn KeyPackageStore>) -> Arc<dyn KeyPackageStore> {
        let begun = Arc::clone(&self.0);
        let counted = iter::from_fn(move || {
            begun.fetch_add(1, Ordering::Relaxed);
            Some(Fault::None)
        });
        Arc::new(FaultyStore::new(store, counted))
    }
}
