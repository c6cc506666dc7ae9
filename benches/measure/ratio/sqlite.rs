use tokio::runtime::Runtime;

use super::{CALLERS, POOLS, Ratio, per_second, together};
use crate::measure::Fallible;
use crate::measure::backend::{Subject, on_disk};
use crate::measure::call::Call;
use crate::measure::floor::sqlite::SqliteFloor;
use crate::measure::stock::Stock;

pub(super) fn ratios(runtime: &Runtime, subject: &Subject, mut stock: Stock, rounds: usize) -> Fallible<Vec<Ratio>> {
    let mut least = Ratio::new(
        "SQLite: cycle, 64 callers; its floor, 64 calls a transaction",
        Some(0.7),
    );
    let mut single = Ratio::new(
        "SQLite: cycle, 64 callers; its floor, one call a transaction",
        Some(2.5),
    );
    let dir = on_disk()?;
    let mut floor = SqliteFloor::open(&dir.path().join("floor.db"))?;
    let count = stock.most() / 2;
    for _ in 0..rounds {
        runtime.block_on(stock.restock())?;
        let takes = runtime.block_on(stock.draw(count))?;
        let run = together(runtime, &subject.store, &takes, Call::Cycle)?;
        let ours = run.per_second();
        least.add(run)?;
        floor.restock(POOLS, stock.kind)?;
        let theirs = per_second(takes.len(), || floor.cycles(&takes, CALLERS))?;
        least.round(ours, theirs);

        floor.restock(POOLS, stock.kind)?;
        let few = &takes[..takes.len() / 8];
        let theirs = per_second(few.len(), || floor.cycles(few, 1))?;
        single.round(ours, theirs);
    }
    Ok(vec![least, single])
}
