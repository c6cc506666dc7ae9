use std::sync::Arc;
use std::time::Duration;

use kp_core::server::KeyPackageStore;
use kp_redis::RedisStore;
use tokio::runtime::Runtime;

use super::{CALLERS, Ratio, cycles, per_second, together};
use crate::measure::Fallible;
use crate::measure::backend::Subject;
use crate::measure::call::Call;
use crate::measure::floor::redis::{Bare, Recorder};
use crate::measure::stock::Stock;

pub(super) fn ratios(runtime: &Runtime, subject: &Subject, mut stock: Stock, rounds: usize) -> Fallible<Vec<Ratio>> {
    let server = subject.server.as_ref().ok_or("no server")?.port();
    let recorder = Recorder::before(server)?;
    // The recorder takes one connection, and a store makes a new one whenever this has passed.
    let recorded = RedisStore::builder(recorder.url()).timeout(Duration::from_secs(600));
    let recorded: Arc<dyn KeyPackageStore> = Arc::new(runtime.block_on(recorded.open())?);
    let mut bare = Bare::connect(server)?;
    let name = subject.backend.name();
    let mut reserve = Ratio::new(
        format!("{name}: reserve, 64 in flight; the same script, bare"),
        Some(0.8),
    );
    let mut cycle = Ratio::new(
        format!("{name}: cycle, 64 in flight; the same scripts, bare"),
        Some(0.8),
    );

    // The same requests in each round, on the same packages, so that what is recorded once can be sent again.
    let takes = runtime.block_on(stock.draw(stock.most() / 2))?;
    runtime.block_on(cycles(&*recorded, &takes[..1]))?; // The scripts are on the server from now on.
    runtime.block_on(stock.restock())?;
    recorder.commands()?;
    runtime.block_on(cycles(&*recorded, &takes))?;
    let commands = recorder.commands()?;
    let reserves: Vec<_> = commands.iter().step_by(2).cloned().collect();

    for _ in 0..rounds {
        let lines = [
            (&mut reserve, Call::Reserve as fn(_) -> _, &reserves),
            (&mut cycle, Call::Cycle, &commands),
        ];
        for (line, call, commands) in lines {
            runtime.block_on(stock.restock())?;
            let run = together(runtime, &subject.store, &takes, call)?;
            let ours = run.per_second();
            line.add(run)?;
            runtime.block_on(stock.restock())?;
            let theirs = per_second(takes.len(), || bare.send(commands, CALLERS))?;
            line.round(ours, theirs);
        }
    }
    Ok(vec![reserve, cycle])
}
