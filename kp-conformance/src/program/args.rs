use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Parser;

use crate::adapter::Profile;
use crate::level::{LEVEL, Level, SEED};

/// Holds a server in any language to the contract of MLS KeyPackage pools.
///
/// The suite speaks to an adapter, an executable that reads a JSON object a line from its standard input and answers on
/// its standard output. The protocol is in docs/adapter-protocol.md.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT)]
pub(super) struct Args {
    /// The adapter: an executable and its arguments. Arguments that begin with a hyphen come at the end, after `--`.
    #[arg(long, value_name = "COMMAND", num_args = 1.., required_unless_present_any = ["list", "print_schema"])]
    pub(super) adapter: Vec<OsString>,
    /// Which rules the server is held to.
    #[arg(long, value_enum, default_value = "full")]
    pub(super) profile: Profile,
    /// Runs only the checks whose rules or name contain this, as it is written. May be given several times.
    #[arg(long = "check", value_name = "NAME")]
    pub(super) checks: Vec<String>,
    /// How much of what is drawn at random or raced.
    #[arg(long, value_enum, env = LEVEL, default_value = "default")]
    pub(super) level: Level,
    /// The first of the seeds.
    #[arg(long, value_name = "NUMBER", env = SEED, default_value_t = 0)]
    pub(super) seed: u64,
    /// How many checks run at once. Default: one for each core.
    #[arg(long, value_name = "NUMBER")]
    pub(super) jobs: Option<NonZeroUsize>,
    /// How many seconds an answer may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) timeout: u64,
    /// Writes the report as JUnit XML.
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<PathBuf>,
    /// Writes the report as JSON.
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Shows every line that goes to an adapter or comes from one, on standard error.
    #[arg(long)]
    pub(super) trace: bool,
    /// Lists the checks, and runs none.
    #[arg(long)]
    pub(super) list: bool,
    /// Prints the protocol as JSON Schema, and runs no check.
    #[arg(long)]
    pub(super) print_schema: bool,
    /// Further arguments of the adapter.
    #[arg(last = true, value_name = "ARGUMENT")]
    pub(super) adapter_arguments: Vec<OsString>,
}

const EXIT: &str = "\
Ends with
  0  when every check that applies has passed
  1  when a check failed, or was not run because the adapter kept failing
  2  when the command line is wrong
  3  when the adapter cannot be started, or does not greet as the protocol has it: no check was run
  4  when a report cannot be written";
