//! What each call costs on each backend, with one caller and with 64.
//!
//! `cargo bench --bench calls`, with 10,000 packages stored; `STORED=1000000 cargo bench --bench calls` with a million,
//! which takes minutes to fill. A word behind `--` chooses: `-- SQLite`, `-- claim`.

use std::cell::RefCell;
use std::time::Duration;

use criterion::{Criterion, SamplingMode, Throughput};
use measure::Fallible;
use measure::backend::{Backend, Subject};
use measure::in_flight::in_flight;
use measure::inputs::{Kind, PER_POOL};
use measure::stock::Stock;
use measure::work::Work;
use tokio::runtime::Runtime;

mod measure;

/// A filled store, and the runtime that its callers are in.
struct Filled {
    runtime: Runtime,
    subject: Subject,
    stock: Stock,
}

fn main() -> Fallible<()> {
    let stored = std::env::var("STORED").map_or(Ok(10_000), |stored| stored.parse::<u32>())?;
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1_500))
        .configure_from_args();
    for backend in Backend::ALL.into_iter().filter(|backend| backend.is_here()) {
        // Filled when it is first asked for: not for what was not chosen.
        let filled = RefCell::new(None);
        for callers in [1, 64] {
            let mut group = criterion.benchmark_group(format!("{backend}, {callers} in flight"));
            group
                .sampling_mode(SamplingMode::Flat)
                .throughput(Throughput::Elements(1));
            for work in Work::ALL.into_iter().filter(|work| callers == 1 || work.is_shared()) {
                group.bench_function(work.name(), |bencher| {
                    let mut filled = filled.borrow_mut();
                    let filled = filled.get_or_insert_with(|| Filled::new(backend, stored).expect("a filled store"));
                    bencher.iter_custom(|times| filled.time(work, callers, times).expect("what was prepared"));
                });
            }
        }
    }
    criterion.final_summary();
    Ok(())
}

impl Filled {
    fn new(backend: Backend, stored: u32) -> Fallible<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let subject = runtime.block_on(backend.open())?;
        let stock = runtime.block_on(Stock::fill(&subject.store, 0..stored / PER_POOL, Kind::usual()?))?;
        Ok(Self {
            runtime,
            subject,
            stock,
        })
    }

    /// How long it takes to do this so often, what it takes to prepare it left out.
    fn time(&mut self, work: Work, callers: usize, times: u64) -> Fallible<Duration> {
        let (mut left, mut elapsed) = (times, Duration::ZERO);
        while left > 0 {
            let lot = left.min(work.most(&self.stock).into());
            let calls = self.runtime.block_on(work.prepare(&mut self.stock, lot as u32))?;
            elapsed += self
                .runtime
                .block_on(in_flight(&self.subject.store, callers, calls))?
                .elapsed;
            left -= lot;
        }
        Ok(elapsed)
    }
}
