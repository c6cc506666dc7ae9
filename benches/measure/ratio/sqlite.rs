use std::sync::Arc;

use futures::future::try_join_all;
use kp_core::server::{KeyPackageStore, TakeRequest};
use tokio::runtime::Runtime;

use super::{CALLERS, POOLS, Ratio, cycles, per_second, together};
use crate::measure::Fallible;
use crate::measure::backend::{Subject, on_disk};
use crate::measure::call::Call;
use crate::measure::floor::sqlite::SqliteFloor;
use crate::measure::floor::sqlite_apart::SqliteApart;
use crate::measure::in_flight::in_flight;
use crate::measure::stock::Stock;

/// The cycles of one caller, in a round.
const ALONE: u32 = 400;

pub(super) fn ratios(runtime: &Runtime, subject: &Subject, mut stock: Stock, rounds: usize) -> Fallible<Vec<Ratio>> {
    let line = |what: &str, aim| Ratio::new(format!("SQLite: cycle, {what}"), aim);
    let mut plain = line("64 callers; its floor, 64 calls a transaction", Some(0.7));
    let mut single = line("64 callers; its floor, one call a transaction", Some(2.5));
    let mut fewest = line("64 callers; the floor of fewest pages", Some(0.75));
    let mut alone = line("one caller; the floor of fewest pages", Some(0.9));
    let mut shared = line("two stores on one file, 32 callers each; one store", Some(0.6));
    let beside = runtime.block_on(subject.beside())?;
    let dir = on_disk()?;
    let mut floor = SqliteFloor::open(&dir.path().join("floor.db"))?;
    let mut apart = SqliteApart::open(&dir.path().join("apart.db"))?;
    let count = stock.most() / 2;
    for _ in 0..rounds {
        runtime.block_on(stock.restock())?;
        let takes = runtime.block_on(stock.draw(count))?;
        let run = together(runtime, &subject.store, &takes, Call::Cycle)?;
        let ours = run.per_second();
        plain.add(run)?;
        let lone = runtime.block_on(stock.draw(ALONE))?;
        let ours_alone = per_second(lone.len(), || runtime.block_on(cycles(&*subject.store, &lone)))?;

        runtime.block_on(stock.restock())?;
        let halves = runtime.block_on(stock.draw(count))?;
        let (one, other) = halves.split_at(halves.len() / 2);
        let both = per_second(halves.len(), || {
            runtime.block_on(in_turn([&subject.store, &beside], [one, other]))
        })?;
        shared.round(both, ours);

        floor.restock(POOLS, stock.kind)?;
        let theirs = per_second(takes.len(), || floor.cycles(&takes, CALLERS))?;
        plain.round(ours, theirs);

        floor.restock(POOLS, stock.kind)?;
        let few = &takes[..takes.len() / 8];
        let theirs = per_second(few.len(), || floor.cycles(few, 1))?;
        single.round(ours, theirs);

        apart.restock(POOLS, stock.kind)?;
        let theirs = per_second(takes.len(), || apart.cycles(&takes, CALLERS))?;
        fewest.round(ours, theirs);
        let theirs = per_second(lone.len(), || apart.cycles(&lone, 1))?;
        alone.round(ours_alone, theirs);
    }
    Ok(vec![plain, single, fewest, alone, shared])
}

/// Two stores make these cycles, each with half of the callers.
async fn in_turn(stores: [&Arc<dyn KeyPackageStore>; 2], takes: [&[TakeRequest]; 2]) -> Fallible<()> {
    let runs = stores.into_iter().zip(takes).map(|(store, takes)| {
        let calls = takes.iter().cloned().map(Call::Cycle).collect();
        in_flight(store, CALLERS / 2, calls)
    });
    try_join_all(runs).await?;
    Ok(())
}
