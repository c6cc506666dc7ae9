//! The program `kp-conformance`, on adapters of this executable's own: it starts again as one when it is told so.

mod adapter;
mod bad_adapters;
mod lines;
mod reports;
mod run;
mod schema;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

use crate::run::Test;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("adapter") {
        return adapter::main(arguments.next().as_deref().unwrap_or_default());
    }
    let tests: [&[Test]; 3] = [bad_adapters::TESTS, reports::TESTS, schema::TESTS];
    let trials = tests.concat().into_iter().map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok::<(), Failed>(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}
