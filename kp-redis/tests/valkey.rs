//! Every rule, by the conformance suite, on Valkey: the server that VALKEY_SERVER names.

mod suite;

use std::path::PathBuf;
use std::process::ExitCode;

use kp_test_support::servers::Server;
use libtest_mimic::{Arguments, Completion, Trial};
use suite::{Backend, Lazy};

struct Valkey(Lazy<Server>);

impl Backend for Valkey {
    fn name(&self) -> &str {
        "valkey"
    }

    fn url(&self) -> String {
        self.0.get().url()
    }

    fn apart(&self) -> Option<PathBuf> {
        kp_test_support::servers::valkey()
    }

    fn stop(&self) {
        if let Some(server) = self.0.if_started() {
            server.kill();
        }
    }
}

fn main() -> ExitCode {
    if kp_test_support::servers::valkey().is_some() {
        let start = || Server::start_binary(kp_test_support::servers::valkey().expect("it is named"), &[]);
        return suite::main(Valkey(Lazy::new(start)));
    }
    let reason = "VALKEY_SERVER names no server";
    let trial = Trial::ignorable_test("the conformance suite on Valkey", move || {
        Ok(Completion::ignored_with(reason))
    })
    .with_kind(reason)
    .with_ignored_flag(true);
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit_code()
}
