//! Every rule, by the conformance suite; and after every check, what the rows say of themselves.

mod suite;

use std::process::ExitCode;

use crate::suite::within::WithinSuite;

fn main() -> ExitCode {
    suite::run(|suite| match std::env::var("KP_POSTGRES_WITHIN") {
        Err(_) => kp_conformance::main(suite),
        Ok(library) => kp_conformance::main(WithinSuite(suite, library)),
    })
}
