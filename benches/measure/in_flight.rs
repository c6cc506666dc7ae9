use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use kp_core::server::KeyPackageStore;
use tokio::task::JoinSet;

use super::Fallible;
use super::call::Call;

/// What came of some calls.
pub(crate) struct Run {
    pub(crate) calls: usize,
    pub(crate) elapsed: Duration,
    /// Of every answer, in nanoseconds.
    pub(crate) latencies: Histogram<u64>,
}

impl Run {
    pub(crate) fn per_second(&self) -> f64 {
        self.calls as f64 / self.elapsed.as_secs_f64()
    }

    /// Of an answer, half of them and 99 in a hundred, in microseconds.
    pub(crate) fn percentiles(&self) -> [f64; 2] {
        [0.5, 0.99].map(|quantile| self.latencies.value_at_quantile(quantile) as f64 / 1e3)
    }

    /// Both, as if they were one.
    pub(crate) fn and(mut self, other: &Self) -> Fallible<Self> {
        self.calls += other.calls;
        self.elapsed += other.elapsed;
        self.latencies.add(&other.latencies)?;
        Ok(self)
    }
}

/// Makes these calls with so many callers at once, each a task that has one call in flight, in the runtime of the caller.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
pub(crate) async fn in_flight(store: &Arc<dyn KeyPackageStore>, callers: usize, calls: Vec<Call>) -> Fallible<Run> {
    let (calls, next) = (Arc::new(calls), Arc::new(AtomicUsize::new(0)));
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for _ in 0..callers {
        let (store, calls, next) = (Arc::clone(store), Arc::clone(&calls), Arc::clone(&next));
        tasks.spawn(async move {
            let mut latencies = Histogram::new(3)?;
            while let Some(call) = calls.get(next.fetch_add(1, Ordering::Relaxed)) {
                call.make(&*store, &mut latencies).await?;
            }
            Fallible::Ok(latencies)
        });
    }
    let mut latencies = Histogram::new(3)?;
    while let Some(done) = tasks.join_next().await {
        latencies.add(done??)?;
    }
    Ok(Run {
        calls: calls.len(),
        elapsed: start.elapsed(),
        latencies,
    })
}
