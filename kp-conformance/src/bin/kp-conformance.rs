//! Holds a server in any language to the contract of KeyPackage pools: `kp-conformance --adapter ./my-adapter`.

use std::process::ExitCode;

fn main() -> ExitCode {
    kp_conformance::program::main()
}
