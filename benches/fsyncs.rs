//! How often SQLite syncs its file for 1,000 answers, with 64 callers: counted by strace, under which this runs itself.
//!
//! `cargo bench --bench fsyncs`.

use std::process::Command;

use measure::Fallible;
use measure::backend::{Backend, on_disk};
use measure::call::Call;
use measure::in_flight::in_flight;
use measure::inputs::Kind;
use measure::stock::Stock;

mod measure;

const CALLERS: usize = 64;
const CYCLES: u32 = 8_000;

fn main() -> Fallible<()> {
    let traced = std::env::args().skip_while(|argument| argument != "--cycles").nth(1);
    match traced {
        Some(cycles) => cycle(cycles.parse()?),
        None => {
            // What opening, filling and closing cost is none of the calls.
            let calls = count(CYCLES)? - count(0)?;
            let per_thousand = 1e3 * f64::from(calls) / f64::from(2 * CYCLES);
            println!("{per_thousand:.1} syncs for 1,000 answers to {CALLERS} callers");
            Ok(())
        }
    }
}

/// The syncs of a process that reserves and spends so often.
fn count(cycles: u32) -> Fallible<u32> {
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

#[tokio::main]
async fn cycle(cycles: u32) -> Fallible<()> {
    let subject = Backend::Sqlite.open().await?;
    let mut stock = Stock::fill(&subject.store, 0..100, Kind::usual()?).await?;
    let calls = stock.draw(cycles).await?.into_iter().map(Call::Cycle).collect();
    in_flight(&subject.store, CALLERS, calls).await?;
    Ok(())
}
