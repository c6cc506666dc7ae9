//! Every rule, by the conformance suite, on one server.

mod suite;

use std::path::PathBuf;
use std::process::ExitCode;

use kp_test_support::servers::Server;
use suite::{Backend, Lazy};

struct Standalone(Lazy<Server>);

impl Backend for Standalone {
    fn name(&self) -> &str {
        "redis"
    }

    fn url(&self) -> String {
        self.0.get().url()
    }

    fn apart(&self) -> Option<PathBuf> {
        Some(kp_test_support::servers::redis())
    }

    fn stop(&self) {
        if let Some(server) = self.0.if_started() {
            server.kill();
        }
    }
}

fn main() -> ExitCode {
    suite::main(Standalone(Lazy::new(|| Server::start(&[]))))
}
