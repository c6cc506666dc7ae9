//! Every rule, by the conformance suite, on a server that denies functions: the scripts are sent by their hash.

mod suite;

use std::process::ExitCode;

use kp_test_support::servers::Server;
use suite::{Backend, Lazy};

struct WithoutFunctions(Lazy<Server>);

impl Backend for WithoutFunctions {
    fn name(&self) -> &str {
        "redis without functions"
    }

    fn url(&self) -> String {
        self.0.get().url()
    }

    fn stop(&self) {
        if let Some(server) = self.0.if_started() {
            server.kill();
        }
    }
}

fn main() -> ExitCode {
    suite::main(WithoutFunctions(Lazy::new(|| {
        Server::start(&["--user", "default", "on", "nopass", "~*", "&*", "+@all", "-fcall"])
    })))
}
