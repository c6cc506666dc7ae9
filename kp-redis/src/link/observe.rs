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

pub(crate) use instruments::{connected, retried};

#[cfg(feature = "metrics")]
mod instruments {
    use metrics::{counter, gauge};

    const BACKEND: &str = "redis";

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
}

#[cfg(not(feature = "metrics"))]
mod instruments {
    pub(super) fn calls(_: f64) {}

    pub(crate) fn retried() {}

    pub(crate) fn connected() {}
}
