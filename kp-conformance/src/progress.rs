use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kp_core::server::KeyPackageStore;

use crate::{Fault, FaultyStore};

/// How many calls a check has begun, and what its other processes have told: one that is slow goes on, and one that hangs does
/// not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress(Arc<AtomicU64>);

impl Progress {
    /// How far it has come.
    pub(crate) fn steps(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// It has come a step further.
    pub(crate) fn step(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The same store, its calls counted.
    pub(crate) fn counting(&self, store: Arc<dyn KeyPackageStore>) -> Arc<dyn KeyPackageStore> {
        let progress = self.clone();
        let counted = iter::from_fn(move || {
            progress.step();
            Some(Fault::None)
        });
        Arc::new(FaultyStore::new(store, counted))
    }
}
