//! The operator's command `kp`: looks at the KeyPackage pools of a store, cleans up, and copies pools between stores.
//!
//! `docs/moving.md` of the repository and `kp help` have the commands. What the command prints holds no KeyPackage, no
//! reservation id, no party and no group.

mod args;
mod commands;
mod confirm;
mod failure;
mod pool_name;
mod report;
mod store_url;
mod stores;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::Args;
use crate::failure::Failure;

fn main() -> ExitCode {
    let args = Args::parse();
    let done = tokio::runtime::Runtime::new()
        .map_err(Failure::Runtime)
        .and_then(|runtime| runtime.block_on(commands::run(args)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.is_closed_pipe() {
                report::say(&format!("kp: {failure}\n"));
            }
            failure.exit_code()
        }
    }
}
