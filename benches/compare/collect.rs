use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::runtime::{Builder, Runtime};

use crate::machine::Machine;
use crate::measure::Fallible;
use crate::measure::backend::Backend;
use crate::measure::footprint::bytes_per_package;
use crate::measure::inputs::{Kind, PAYLOAD, PAYLOADS, PER_POOL, X_WING};
use crate::measure::instead::Instead;
use crate::measure::ratio::instead::against;
use crate::measure::ratio::ratios;
use crate::measure::stock::Stock;
use crate::measure::work::Work;
use crate::report::{Figure, Report};

const CALLERS: [usize; 5] = [1, 4, 16, 64, 256];
const STORED: [u32; 3] = [1_000, 10_000, 100_000];
/// Of the first table, and while the number of callers changes.
const USUAL: u32 = 10_000;
const EACH: Duration = Duration::from_millis(150);
const ROUNDS: usize = 3;

/// Measures everything, and shows how far it is. Where it fails, it says what was measured.
pub(crate) fn collect() -> Fallible<Report> {
    let bar = ProgressBar::no_length();
    let report = everything(&bar).inspect_err(|_| eprintln!("failed: {}", bar.message()))?;
    bar.finish_and_clear();
    Ok(report)
}

fn everything(bar: &ProgressBar) -> Fallible<Report> {
    let (backends, missing): (Vec<_>, Vec<_>) = Backend::ALL.into_iter().partition(|backend| backend.is_here());
    let each = 2 * Work::ALL.len() - 1 + CALLERS.len() + STORED.len() + PAYLOADS.len() + 2;
    let peers = Instead::ALL
        .into_iter()
        .filter(|instead| backends.contains(&instead.ours()));
    let peers: Vec<_> = peers.collect();
    bar.set_length((each * backends.len() + peers.len()) as u64);
    bar.set_style(ProgressStyle::with_template(
        "{bar:40} {pos}/{len} [{elapsed}] {wide_msg}",
    )?);
    bar.enable_steady_tick(Duration::from_millis(200));

    // What the process needs is to be seen before it has needed anything else.
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let mut report = Report {
        missing,
        footprint: Vec::new(),
        calls: Vec::new(),
        callers: Vec::new(),
        stored: Vec::new(),
        sizes: Vec::new(),
        ratios: Vec::new(),
        instead: Vec::new(),
        machine: Machine::look()?,
    };
    for backend in &backends {
        step(bar, format!("{backend}: bytes"));
        let mut bytes = [0.0; PAYLOADS.len()];
        for (bytes, payload) in bytes.iter_mut().zip(PAYLOADS) {
            *bytes = runtime.block_on(bytes_per_package(*backend, payload))?;
        }
        report.footprint.push((*backend, bytes));
    }
    for backend in &backends {
        figures(&runtime, bar, *backend, &mut report)?;
        growth(&runtime, bar, *backend, &mut report)?;
        sizes(&runtime, bar, *backend, &mut report)?;
        step(bar, format!("{backend}: against its floor"));
        for payload in [PAYLOAD, X_WING] {
            report.ratios.extend(ratios(&runtime, *backend, payload, ROUNDS)?);
        }
    }
    for instead in peers {
        step(bar, format!("{}: against {instead}", instead.ours()));
        report.instead.push((instead, against(&runtime, instead, ROUNDS)?));
    }
    Ok(report)
}

fn step(bar: &ProgressBar, what: String) {
    bar.set_message(what);
    bar.inc(1);
}

/// Every call, and then the cycle with more and more callers.
fn figures(runtime: &Runtime, bar: &ProgressBar, backend: Backend, report: &mut Report) -> Fallible<()> {
    let subject = runtime.block_on(backend.open())?;
    let mut stock = runtime.block_on(Stock::fill(&subject.store, 0..USUAL / PER_POOL, Kind::usual()?))?;
    let mut measure = |work: Work, callers: usize| {
        step(bar, format!("{backend}: {work}, {callers} in flight"));
        let run = runtime.block_on(work.keep_on(&mut stock, callers, EACH))?;
        Fallible::Ok(Figure::new(backend, work, callers, USUAL, &run))
    };
    for work in Work::ALL {
        for callers in [1, 64].into_iter().filter(|callers| *callers == 1 || work.is_shared()) {
            report.calls.push(measure(work, callers)?);
        }
    }
    for callers in CALLERS {
        report.callers.push(measure(Work::Cycle, callers)?);
    }
    Ok(())
}

/// The cycle in a store that grows.
fn growth(runtime: &Runtime, bar: &ProgressBar, backend: Backend, report: &mut Report) -> Fallible<()> {
    let subject = runtime.block_on(backend.open())?;
    let mut stock = runtime.block_on(Stock::fill(&subject.store, 0..0, Kind::usual()?))?;
    for stored in STORED {
        step(bar, format!("{backend}: {} with {stored} stored", Work::Cycle));
        runtime.block_on(stock.grow(stored / PER_POOL))?;
        let run = runtime.block_on(Work::Cycle.keep_on(&mut stock, 64, EACH))?;
        report.stored.push(Figure::new(backend, Work::Cycle, 64, stored, &run));
    }
    Ok(())
}

/// The cycle with packages of each size.
fn sizes(runtime: &Runtime, bar: &ProgressBar, backend: Backend, report: &mut Report) -> Fallible<()> {
    for payload in PAYLOADS {
        step(bar, format!("{backend}: {} of {payload} bytes", Work::Cycle));
        let subject = runtime.block_on(backend.open())?;
        let kind = Kind::of(payload)?;
        let mut stock = runtime.block_on(Stock::fill(&subject.store, 0..USUAL / PER_POOL, kind))?;
        let run = runtime.block_on(Work::Cycle.keep_on(&mut stock, 64, EACH))?;
        let figure = Figure::new(backend, Work::Cycle, 64, USUAL, &run);
        report.sizes.push((payload, figure));
    }
    Ok(())
}
