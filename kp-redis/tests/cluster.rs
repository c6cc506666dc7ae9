//! Every rule, by the conformance suite, on a cluster of three masters.

mod suite;

use std::process::ExitCode;

use kp_test_support::servers::Cluster;
use suite::{Backend, Lazy};

struct Clustered(Lazy<Cluster>);

impl Backend for Clustered {
    fn name(&self) -> &str {
        "redis cluster"
    }

    fn url(&self) -> String {
        self.0.get().url()
    }

    fn stop(&self) {
        for node in self.0.if_started().into_iter().flat_map(|cluster| &cluster.nodes) {
            node.kill();
        }
    }
}

fn main() -> ExitCode {
    suite::main(Clustered(Lazy::new(|| {
        Cluster::start(kp_test_support::servers::redis())
    })))
}
