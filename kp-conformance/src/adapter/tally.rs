use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::adapters::Adapters;
use super::process::{Adapter, Asked, Unmet};
use super::wire::Call;
use crate::Method;

/// What one check asked of its stores.
#[derive(Debug)]
pub(super) struct Tally {
    adapters: Arc<Adapters>,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    open: usize,
    calls: u64,
    not_offered: Option<Method>,
    /// The stores whose closing was asked for.
    closing: Vec<(Arc<Adapter>, Asked)>,
}

impl Tally {
    pub(super) fn new(adapters: &Arc<Adapters>) -> Self {
        Self {
            adapters: Arc::clone(adapters),
            counts: Mutex::default(),
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call of a store: each item of a batch.
    ///
    /// # Panics
    ///
    /// When the backend does not offer the method: the check ends here, and has shown nothing.
    pub(super) fn call(&self, call: &Call) {
        let mut counts = self.counts();
        counts.calls += call.items().max(1) as u64;
        if let Some(method) = call.method().filter(|method| !self.adapters.offers(*method)) {
            counts.not_offered = Some(method);
            drop(counts);
            panic!("`{method}` is not offered");
        }
    }

    /// Counts a store that was opened.
    pub(super) fn opened(&self) {
        self.counts().open += 1;
    }

    /// Counts a store that was dropped, whose adapter was asked to close it.
    pub(super) fn closing(&self, adapter: &Arc<Adapter>, asked: Asked) {
        let mut counts = self.counts();
        counts.open -= 1;
        counts.closing.push((Arc::clone(adapter), asked));
    }

    /// Waits until every store is closed that was dropped.
    pub(super) async fn closed(&self) -> Result<(), Unmet> {
        let closing = mem::take(&mut self.counts().closing);
        for (adapter, asked) in closing {
            adapter.answer::<()>(asked).await?;
        }
        Ok(())
    }

    /// How many stores are open.
    pub(super) fn open(&self) -> usize {
        self.counts().open
    }

    /// How many calls were made, each item of a batch counted.
    pub(super) fn calls(&self) -> u64 {
        self.counts().calls
    }

    /// The method that was called although the backend does not offer it.
    pub(super) fn not_offered(&self) -> Option<Method> {
        self.counts().not_offered
    }
}
