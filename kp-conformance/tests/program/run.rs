use std::process::Command;

/// A test and its name.
pub(crate) type Test = (&'static str, fn());

/// What a run of the program printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs the program.
pub(crate) fn program(arguments: &[&str]) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_kp-conformance"))
        .args(arguments)
        .env_remove("KP_CONFORMANCE")
        .env_remove("KP_CONFORMANCE_SEED")
        .output()
        .expect("the program is built beside its tests");
    Run {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs the program on this executable as an adapter.
pub(crate) fn on_adapter(flaw: &str, options: &[&str]) -> Run {
    let executable = std::env::current_exe().expect("a test knows its own executable");
    let executable = executable.to_str().expect("the path of a test is text");
    program(&[options, &["--adapter", executable, "adapter", flaw]].concat())
}
