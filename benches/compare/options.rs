use std::path::PathBuf;

use clap::Parser;

/// Compares the backends on this machine: a table here, and a page with plots.
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// Where the page goes.
    #[arg(short, long, value_name = "FILE", default_value = "target/compare.html")]
    pub(crate) output: PathBuf,
}
