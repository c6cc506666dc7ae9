//! The programs under test: examples of this package, which cargo has built beside the test.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The binary of an example. `cargo test` builds it; `cargo test --test server` alone does not, so one that is missing, or
/// older than its sources, is refused rather than tested.
pub(crate) fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let profile = test.ancestors().nth(2).expect("target/PROFILE/deps/TEST");
    let binary = profile.join("examples").join(name);
    let built = changed(&binary).unwrap_or_else(|| panic!("build it first: cargo build --example {name}"));
    // TARGET: SOURCE SOURCE ..., where a space in a name is "\ ".
    let sources = std::fs::read_to_string(binary.with_extension("d")).expect("cargo's list of its sources");
    let (_, sources) = sources.split_once(": ").expect("a rule of make");
    for source in sources.replace("\\ ", "\0").split_whitespace() {
        let source = source.replace('\0', " ");
        let fresh = changed(Path::new(&source)).is_some_and(|changed| changed <= built);
        assert!(fresh, "{source} is newer: cargo build --example {name}");
    }
    binary
}

fn changed(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|metadata| metadata.modified()).ok()
}
