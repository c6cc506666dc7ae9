//! The suite of a client's metadata.

mod suite;

use std::process::ExitCode;

fn main() -> ExitCode {
    suite::run(kp_conformance::metadata_main)
}
