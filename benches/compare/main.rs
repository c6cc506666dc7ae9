//! The backends side by side, on this machine: `cargo run --release --example compare`. It takes some four minutes,
//! prints a table, and writes a page with plots. `docs/performance.md` explains the figures.

use clap::Parser;
use measure::Fallible;
use options::Options;

mod collect;
mod figures;
mod machine;
#[path = "../measure/mod.rs"]
mod measure;
mod options;
mod page;
mod plot;
mod report;
mod tables;

fn main() -> Fallible<()> {
    let options = Options::parse();
    let report = collect::collect()?;
    println!("{}", tables::all(&report));
    if let Some(dir) = options.output.parent() {
        std::fs::create_dir_all(dir)?;
    }
    std::fs::write(&options.output, page::page(&report)?)?;
    println!("with plots: {}", options.output.display());
    Ok(())
}
