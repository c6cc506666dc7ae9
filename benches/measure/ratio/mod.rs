//! Each store against the floor of its engine, round by round in turn, so that what else the machine does hits both.

use std::sync::Arc;
use std::time::Instant;

use kp_core::server::{KeyPackageStore, KeyPackageStoreExt, OnLapse, Spend, TakeRequest};
use tokio::runtime::Runtime;

use super::Fallible;
use super::backend::Backend;
use super::call::Call;
use super::in_flight::{Run, in_flight};
use super::inputs::{Kind, NOW, PAYLOAD};
use super::stock::Stock;

pub(crate) mod instead;
mod memory;
mod postgres;
mod redis;
mod sqlite;
pub(crate) mod table;

/// 10,000 packages.
const POOLS: u32 = 100;
const CALLERS: usize = 64;

/// What a store did in each round, and what it is compared with.
pub(crate) struct Ratio {
    /// What of ours; what of theirs.
    pub(crate) what: String,
    /// The bytes of each package.
    pub(crate) payload: usize,
    /// What is hoped for (`docs/performance.md`); none of a figure that is none of ours, and of larger packages.
    pub(crate) aim: Option<f64>,
    ours: Vec<f64>,
    theirs: Vec<f64>,
    /// All rounds of ours as one, where 64 callers made them.
    run: Option<Run>,
}

/// Compares a backend with its floor, on packages of this size.
pub(crate) fn ratios(runtime: &Runtime, backend: Backend, payload: usize, rounds: usize) -> Fallible<Vec<Ratio>> {
    let subject = runtime.block_on(backend.open())?;
    let stock = runtime.block_on(Stock::fill(&subject.store, 0..POOLS, Kind::of(payload)?))?;
    let mut ratios = match backend {
        Backend::Memory => memory::ratios(&subject, stock, rounds),
        Backend::Sqlite => sqlite::ratios(runtime, &subject, stock, rounds),
        Backend::RedisEverysec | Backend::RedisAlways => redis::ratios(runtime, &subject, stock, rounds),
        Backend::Postgres => postgres::ratios(runtime, &subject, stock, rounds),
    }?;
    for ratio in &mut ratios {
        ratio.payload = payload;
        ratio.aim = ratio.aim.filter(|_| payload == PAYLOAD);
    }
    Ok(ratios)
}

impl Ratio {
    fn new(what: impl Into<String>, aim: Option<f64>) -> Self {
        Self {
            what: what.into(),
            payload: PAYLOAD,
            aim,
            ours: Vec::new(),
            theirs: Vec::new(),
            run: None,
        }
    }

    fn round(&mut self, ours: f64, theirs: f64) {
        self.ours.push(ours);
        self.theirs.push(theirs);
    }

    fn add(&mut self, run: Run) -> Fallible<()> {
        self.run = Some(match self.run.take() {
            None => run,
            Some(before) => before.and(&run)?,
        });
        Ok(())
    }

    /// A second.
    pub(crate) fn ours(&self) -> f64 {
        median(self.ours.iter().copied())
    }

    /// A second.
    pub(crate) fn theirs(&self) -> f64 {
        median(self.theirs.iter().copied())
    }

    /// How long an answer took 64 callers: half of them, and 99 in a hundred, in microseconds.
    pub(crate) fn percentiles(&self) -> Option<[f64; 2]> {
        self.run.as_ref().map(Run::percentiles)
    }

    /// The median of the rounds, each of which compares what was measured side by side.
    pub(crate) fn ratio(&self) -> f64 {
        median(self.ours.iter().zip(&self.theirs).map(|(ours, theirs)| ours / theirs))
    }
}

/// As many callers as the floors have in flight.
fn together(
    runtime: &Runtime,
    store: &Arc<dyn KeyPackageStore>,
    takes: &[TakeRequest],
    call: fn(TakeRequest) -> Call,
) -> Fallible<Run> {
    let calls = takes.iter().cloned().map(call).collect();
    runtime.block_on(in_flight(store, CALLERS, calls))
}

/// One after the other, with nothing measured in between.
async fn cycles(store: &dyn KeyPackageStore, takes: &[TakeRequest]) -> Fallible<()> {
    for take in takes {
        let reserved = store.reserve_key_package(take, OnLapse::Return, NOW).await?;
        let token = reserved.lease.ok_or("not a one-time package")?.token;
        store.spend_key_package(&token, &Spend::default(), NOW).await?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn per_second(count: usize, work: impl FnOnce() -> Fallible<()>) -> Fallible<f64> {
    let start = Instant::now();
    work()?;
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<_> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
