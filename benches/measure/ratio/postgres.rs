use std::time::Duration;

use tokio::runtime::Runtime;

use super::{CALLERS, POOLS, Ratio, per_second, together};
use crate::measure::Fallible;
use crate::measure::backend::{Subject, postgres_cpu};
use crate::measure::call::Call;
use crate::measure::floor::postgres::PostgresFloor;
use crate::measure::stock::Stock;

/// As many as a store writes with.
const FEW: usize = 2;
/// Half of the callers' calls, over both: the others wait for their answers meanwhile.
const LOT: usize = CALLERS / FEW / 2;
/// Calls that are not batched need more.
const MANY: usize = 8;

pub(super) fn ratios(runtime: &Runtime, subject: &Subject, mut stock: Stock, rounds: usize) -> Fallible<Vec<Ratio>> {
    let server = subject.postgres()?;
    let line = |what: &str, aim| Ratio::new(format!("PostgreSQL: cycle, 64 callers; {what}"), aim);
    let mut batched = line("its floor, 16 calls a transaction", None);
    let mut batched_cpu = line("the same, a second of the server's CPU", Some(0.5));
    let mut single = line("its floor, one call a transaction", None);
    let mut single_cpu = line("the same, a second of the server's CPU", Some(1.2));
    let mut alone = Ratio::new("PostgreSQL: cycle, one caller; its floor", None);
    let url = server.url();
    let mut few = runtime.block_on(PostgresFloor::open(&url, FEW))?;
    let many = runtime.block_on(PostgresFloor::open(&url, MANY))?;
    let one = runtime.block_on(PostgresFloor::open(&url, 1))?;
    let cpu = || postgres_cpu(server);
    for _ in 0..rounds {
        runtime.block_on(stock.restock())?;
        let takes = runtime.block_on(stock.draw(stock.most() / 2))?;
        let before = cpu()?;
        let run = together(runtime, &subject.store, &takes, Call::Cycle)?;
        let ours = (run.per_second(), rate(takes.len(), cpu()? - before));
        batched.add(run)?;
        let lone = runtime.block_on(stock.draw(200))?;
        let ours_alone = per_second(lone.len(), || runtime.block_on(super::cycles(&*subject.store, &lone)))?;

        let mut floor = |floor: Option<&PostgresFloor>, takes: &[_], per_transaction| {
            runtime.block_on(few.restock(POOLS, stock.kind))?;
            let floor = floor.unwrap_or(&few);
            let before = cpu()?;
            let rate_of_time = per_second(takes.len(), || runtime.block_on(floor.cycles(takes, per_transaction)))?;
            Fallible::Ok((rate_of_time, rate(takes.len(), cpu()? - before)))
        };
        let theirs = floor(None, &takes, LOT)?;
        batched.round(ours.0, theirs.0);
        batched_cpu.round(ours.1, theirs.1);
        let theirs = floor(Some(&many), &takes[..takes.len() / 4], 1)?;
        single.round(ours.0, theirs.0);
        single_cpu.round(ours.1, theirs.1);
        let theirs = floor(Some(&one), &lone, 1)?;
        alone.round(ours_alone, theirs.0);
    }
    Ok(vec![batched, batched_cpu, single, single_cpu, alone])
}

fn rate(cycles: usize, cpu: Duration) -> f64 {
    cycles as f64 / cpu.as_secs_f64()
}
