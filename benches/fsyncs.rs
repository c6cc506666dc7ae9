//! How often a store syncs its disk for 1,000 answers, with 64 callers. SQLite's are counted by strace, under which this runs
//! itself; those of PostgreSQL's log by the server.
//!
//! `cargo bench --bench fsyncs`; a word behind `--` chooses: `-- SQLite`.

use std::process::Command;

use measure::Fallible;
use measure::backend::{Backend, is_chosen, on_disk};
use measure::call::Call;
use measure::floor::postgres::connect;
use measure::in_flight::in_flight;
use measure::inputs::Kind;
use measure::stock::Stock;

mod measure;

const CALLERS: usize = 64;
const CYCLES: u32 = 8_000;

fn main() -> Fallible<()> {
    let traced = std::env::args().skip_while(|argument| argument != "--cycles").nth(1);
    if let Some(cycles) = traced {
        return run(sqlite(cycles.parse()?));
    }
    if is_chosen(Backend::Sqlite) {
        // What opening, filling and closing cost is none of the calls.
        show(Backend::Sqlite, traced_syncs(CYCLES)? - traced_syncs(0)?);
    }
    if is_chosen(Backend::Postgres) {
        show(Backend::Postgres, run(postgres())?);
    }
    Ok(())
}

fn show(backend: Backend, syncs: u32) {
    let per_thousand = 1e3 * f64::from(syncs) / f64::from(2 * CYCLES);
    println!("{backend}: {per_thousand:.1} syncs for 1,000 answers to {CALLERS} callers");
}

fn run<T>(work: impl Future<Output = Fallible<T>>) -> Fallible<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(work)
}

/// The syncs of a process that reserves and spends so often.
fn traced_syncs(cycles: u32) -> Fallible<u32> {
    let dir = on_disk()?;
    let counts = dir.path().join("counts");
    let status = Command::new("strace")
        .args(["-f", "-c", "--seccomp-bpf", "-e", "trace=fsync,fdatasync", "-o"])
        .arg(&counts)
        .arg(std::env::current_exe()?)
        .args(["--cycles", &cycles.to_string()])
        .status()
        .map_err(|error| format!("strace, which counts: {error}"))?;
    if !status.success() {
        return Err(format!("it ended with {status}").into());
    }
    // % time, seconds, microseconds a call, calls, sometimes errors, and the name.
    let counts = std::fs::read_to_string(counts)?;
    let calls = counts.lines().filter(|line| line.ends_with("sync")).map(|line| {
        let calls = line.split_whitespace().nth(3).ok_or("not strace's table")?;
        Ok(calls.parse::<u32>()?)
    });
    calls.sum()
}

async fn sqlite(cycles: u32) -> Fallible<()> {
    let subject = Backend::Sqlite.open().await?;
    let mut stock = Stock::fill(&subject.store, 0..100, Kind::usual()?).await?;
    let calls = stock.draw(cycles).await?.into_iter().map(Call::Cycle).collect();
    in_flight(&subject.store, CALLERS, calls).await?;
    Ok(())
}

/// The syncs of the server's log, those of its writers included.
async fn postgres() -> Fallible<u32> {
    let subject = Backend::Postgres.open().await?;
    let client = connect(&subject.postgres()?.url()).await?;
    let mut stock = Stock::fill(&subject.store, 0..100, Kind::usual()?).await?;
    let calls = stock.draw(CYCLES).await?.into_iter().map(Call::Cycle).collect();
    // A process of the server tells what it did when it has been idle for a while.
    let idle = std::time::Duration::from_secs(12);
    let syncs = async || {
        tokio::time::sleep(idle).await;
        let row = client.query_one("SELECT wal_sync FROM pg_stat_wal", &[]).await?;
        Fallible::Ok(row.get::<_, i64>(0))
    };
    let before = syncs().await?;
    in_flight(&subject.store, CALLERS, calls).await?;
    Ok(u32::try_from(syncs().await? - before)?)
}
