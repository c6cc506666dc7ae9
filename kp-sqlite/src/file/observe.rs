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

pub(crate) use instruments::{committed, log, retried, shared};

#[cfg(feature = "metrics")]
mod instruments {
    use std::time::Duration;

    use metrics::{counter, gauge, histogram};

    use crate::file::place::Place;

    const BACKEND: &str = "sqlite";

    pub(super) fn calls(more: f64) {
        gauge!("keypackage_store_calls", "backend" => BACKEND).increment(more);
    }

    /// Counts an attempt that is to be made again.
    pub(crate) fn retried() {
        counter!("keypackage_store_retries_total", "backend" => BACKEND).increment(1);
    }

    /// Counts the calls that shared a commit.
    pub(crate) fn shared(calls: usize) {
        histogram!("keypackage_store_batch_calls", "backend" => BACKEND).record(calls as f64);
    }

    /// Measures a commit.
    pub(crate) fn committed(took: Duration) {
        histogram!("keypackage_store_commit_seconds", "backend" => BACKEND).record(took);
    }

    /// Measures the log beside the file.
    pub(crate) fn log(place: &Place) {
        if let Some(bytes) = place.log_bytes() {
            gauge!("keypackage_store_log_bytes", "backend" => BACKEND).set(bytes as f64);
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod instruments {
    use std::time::Duration;

    use crate::file::place::Place;

    pub(super) fn calls(_: f64) {}

    pub(crate) fn retried() {}

    pub(crate) fn shared(_: usize) {}

    pub(crate) fn committed(_: Duration) {}

    pub(crate) fn log(_: &Place) {}
}
