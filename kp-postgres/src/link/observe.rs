//! Metrics of the store, where they are wanted: the feature `metrics`.

/// A call that waits or is under way, until this is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay(());

impl UnderWay {
    pub(crate) fn begin() -> Self {
        instruments::calls(1.0);
        Self(())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        instruments::calls(-1.0);
    }
}

pub(crate) use instruments::{committed, connected, retried};

#[cfg(feature = "metrics")]
mod instruments {
    use std::time::Duration;

    use metrics::{counter, gauge, histogram};

    const BACKEND: &str = "postgres";

    pub(super) fn calls(more: f64) {
        gauge!("keypackage_store_calls", "backend" => BACKEND).increment(more);
    }

    /// Counts an attempt that is to be made again.
    pub(crate) fn retried() {
        counter!("keypackage_store_retries_total", "backend" => BACKEND).increment(1);
    }

    /// Counts a connection that was made.
    pub(crate) fn connected() {
        counter!("keypackage_store_connects_total", "backend" => BACKEND).increment(1);
    }

    /// Measures a commit, and counts the calls that shared it.
    pub(crate) fn committed(calls: usize, took: Duration) {
        histogram!("keypackage_store_batch_calls", "backend" => BACKEND).record(calls as f64);
        histogram!("keypackage_store_commit_seconds", "backend" => BACKEND).record(took);
    }
}

#[cfg(not(feature = "metrics"))]
mod instruments {
    use std::time::Duration;

    pub(super) fn calls(_: f64) {}

    pub(crate) fn retried() {}

    pub(crate) fn connected() {}

    pub(crate) fn committed(_: usize, _: Duration) {}
}
