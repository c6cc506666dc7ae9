//! Every rule, by the conformance suite; and after every check, what the rows say of themselves.

mod suite;

use std::process::ExitCode;

fn main() -> ExitCode {
    suite::run(kp_conformance::main)
}
