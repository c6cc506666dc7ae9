//! Each store against the floor of its engine: the least work for the same result, measured in turn with it.
//!
//! `cargo bench --bench ratios`; a word behind `--` chooses: `-- SQLite`. Nothing is asserted: the figures are for people
//! to judge, and `docs/performance.md` says what limits them.

use measure::Fallible;
use measure::backend::{Backend, is_chosen};
use measure::inputs::{PAYLOAD, PAYLOADS};
use measure::ratio::ratios;
use measure::ratio::table::table;

mod measure;

const ROUNDS: usize = 15;

/// Of packages that take longer to put back.
const ROUNDS_OF_LARGER: usize = 5;

fn main() -> Fallible<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    for backend in Backend::ALL.into_iter().filter(|backend| is_chosen(*backend)) {
        let mut lines = Vec::new();
        for payload in PAYLOADS {
            let rounds = if payload == PAYLOAD { ROUNDS } else { ROUNDS_OF_LARGER };
            lines.extend(ratios(&runtime, backend, payload, rounds)?);
        }
        println!("{}", table(&lines));
    }
    Ok(())
}
