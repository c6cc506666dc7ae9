use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use kp_core::server::TakeRequest;
use tokio::runtime::Builder;

use super::{POOLS, Ratio, cycles, per_second};
use crate::measure::Fallible;
use crate::measure::backend::Subject;
use crate::measure::floor::memory::MemoryFloor;
use crate::measure::inputs::{Kind, pool_id};
use crate::measure::stock::{Stock, delete};

/// The pools of a thread.
const EACH: u32 = POOLS / 2;

pub(super) fn ratios(subject: &Subject, mut stock: Stock, rounds: usize) -> Fallible<Vec<Ratio>> {
    let runtime = Builder::new_current_thread().build()?;
    let kind = stock.kind;
    let mut least = Ratio::new("memory: cycle, one thread; its floor", Some(0.75));
    let mut threads = Ratio::new("memory: cycle, two threads on different pools; one thread", Some(1.8));
    let mut machine = Ratio::new("the machine: two floors, a thread each; one", None);
    // A round is a few milliseconds.
    for _ in 0..4 * rounds {
        let takes = runtime.block_on(stock.draw(stock.most()))?;
        let ours = per_second(takes.len(), || runtime.block_on(cycles(&*subject.store, &takes)))?;
        let floor = MemoryFloor::fill(POOLS, stock.kind)?;
        let theirs = per_second(takes.len(), || floor_cycles(&floor, &takes))?;
        least.round(ours, theirs);

        let one = side_by_side(subject, kind, 1)?;
        threads.round(side_by_side(subject, kind, 2)?, one);

        let first_behind = pool_id(EACH)?;
        let half: Vec<_> = takes.into_iter().filter(|take| take.pool < first_behind).collect();
        let one = floors_side_by_side(&half, kind, 1)?;
        machine.round(floors_side_by_side(&half, kind, 2)?, one);
    }
    Ok(vec![least, threads, machine])
}

/// Cycles a second of so many threads, each on pools that it filled itself: else they would meet in the allocator, when
/// they free what another thread allocated.
fn side_by_side(subject: &Subject, kind: Kind, threads: u32) -> Fallible<f64> {
    let prepare = |thread| {
        let runtime = Builder::new_current_thread().build()?;
        let pools = thread * EACH..(thread + 1) * EACH;
        let takes = runtime.block_on(async {
            delete(&subject.store, pools.clone()).await?;
            let mut stock = Stock::fill(&subject.store, pools, kind).await?;
            stock.draw(stock.most()).await
        })?;
        Fallible::Ok((runtime, takes))
    };
    on_threads(threads, prepare, |(runtime, takes)| {
        runtime.block_on(cycles(&*subject.store, &takes))?;
        Ok(takes.len())
    })
}

/// The same of floors that share nothing.
fn floors_side_by_side(takes: &[TakeRequest], kind: Kind, threads: u32) -> Fallible<f64> {
    on_threads(
        threads,
        |_| MemoryFloor::fill(EACH, kind),
        |floor| {
            floor_cycles(&floor, takes)?;
            Ok(takes.len())
        },
    )
}

fn floor_cycles(floor: &MemoryFloor, takes: &[TakeRequest]) -> Fallible<()> {
    for take in takes {
        floor.reserve(take).ok_or("nothing left")?;
        floor.spend(&take.pool, take.id).ok_or("not reserved")?;
    }
    Ok(())
}

/// How much so many threads get done in a second, from when all of them are prepared.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn on_threads<P>(
    threads: u32,
    prepare: impl Fn(u32) -> Fallible<P> + Sync,
    work: impl Fn(P) -> Fallible<usize> + Sync,
) -> Fallible<f64> {
    let ready = Barrier::new(threads as usize);
    let run = |thread| {
        let prepared = prepare(thread);
        ready.wait();
        let prepared = prepared?;
        let start = Instant::now();
        let done = work(prepared)?;
        Fallible::Ok((done, start.elapsed()))
    };
    let (mut done, mut longest) = (0, Duration::ZERO);
    thread::scope(|scope| {
        let run = &run;
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run(thread))).collect();
        for thread in running {
            let (did, elapsed) = thread.join().map_err(|_| "a thread panicked")??;
            done += did;
            longest = longest.max(elapsed);
        }
        Fallible::Ok(())
    })?;
    Ok(done as f64 / longest.as_secs_f64())
}
