//! Adapters that go wrong: the report says what they did, and the run ends.

use crate::run::{Test, on_adapter, program};

pub(crate) const TESTS: &[Test] = &[
    ("an_adapter_that_goes_wrong_in_a_call_fails_the_check", in_a_call),
    (
        "an_adapter_that_goes_wrong_in_its_greeting_runs_no_check",
        in_its_greeting,
    ),
    ("an_adapter_that_goes_on_without_input_is_killed", does_not_end),
    ("an_adapter_that_keeps_failing_ends_the_run", keeps_failing),
    ("what_cannot_be_started_runs_no_check", cannot_be_started),
];

/// A check that claims.
const CHECK: &[&str] = &["--check", "the_same_claim_returns_the_same_package", "--timeout", "2"];

fn in_a_call() {
    for (flaw, says) in [
        ("dies", "the adapter ended (exit status: 7)"),
        ("dies", "| no such table: key_packages"),
        (
            "hangs",
            "the adapter hangs: no answer to `claim_key_packages` within 2 s",
        ),
        ("hangs", "| waiting for a lock"),
        ("prints-rubbish", "expected value at line 1 column 1): claimed one!"),
        (
            "has-no-id",
            "the adapter printed what is no answer (no `id` of a request): {\"ok\":[]}",
        ),
        ("answers-and-fails", "the adapter printed what is no answer"),
        ("answers-twice", "twice"),
        ("answers-unasked", "which was never made"),
        ("forgets-an-item", "0 answers to 1 items"),
        ("invents-a-code", "unknown variant `out_of_stock`"),
        ("invents-a-time", "a lifetime must begin before it ends"),
        ("does-not-close", "a store cannot be closed: the file is busy"),
        ("never-ends-a-line", "a line of more than 16777216 bytes"),
    ] {
        let run = on_adapter(flaw, CHECK);
        assert_eq!(run.code, Some(1), "{flaw}: {run:?}");
        let first: Vec<_> = run.out.lines().take(20).collect();
        assert!(first.join("\n").contains(says), "{flaw}: {run:?}");
        // What hangs, or is not closed, may be the server's fault against a rule.
        let is_the_adapters = !matches!(flaw, "hangs" | "does-not-close");
        let of_the_adapter = "The adapter failed: 1 of the checks say nothing of the rules. Begin with CLAIM-1,";
        assert_eq!(
            first.join("\n").contains(of_the_adapter),
            is_the_adapters,
            "{flaw}: {run:?}"
        );
    }
}

fn in_its_greeting() {
    for (flaw, says) in [
        ("dies-at-once", "no check was run: the adapter ended (exit status: 7)"),
        ("dies-at-once", "| no such table: key_packages"),
        (
            "hangs-at-once",
            "no check was run: the adapter hangs: no answer to `hello` within 1 s",
        ),
        ("greets-in-words", "listening on port 8080"),
        (
            "speaks-another-version",
            "the adapter speaks version 2 of the protocol, and this program version 1",
        ),
        (
            "only-saves",
            "does not offer `claim_key_packages`, which the profile `claim-only` demands",
        ),
        ("invents-a-call", "there is no call `take_key_package`"),
    ] {
        let run = on_adapter(flaw, &["--profile", "claim-only", "--timeout", "1"]);
        assert_eq!(run.code, Some(3), "{flaw}: {run:?}");
        assert!(run.err.contains(says), "{flaw}: {run:?}");
        assert_eq!(run.out, "", "{flaw}");
    }
    let run = on_adapter("only-claims", &[]);
    assert_eq!(run.code, Some(3), "{run:?}");
    assert!(
        run.err
            .contains("does not offer `reserve_key_packages`, which the profile `full` demands"),
        "{run:?}"
    );
}

fn does_not_end() {
    let run = on_adapter("goes-on", CHECK);
    assert_eq!(run.code, Some(0), "{run:?}");
    let says = "1 adapters did not end with their standard input, and were killed";
    assert!(run.err.contains(says), "{run:?}");
    assert!(!on_adapter("", CHECK).err.contains("were killed"));
}

fn keeps_failing() {
    let run = on_adapter("dies", &["--level", "quick", "--jobs", "2"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.out.contains(" were not run: adapters kept failing."), "{run:?}");
}

fn cannot_be_started() {
    let run = program(&["--adapter", "./there-is-no-such-adapter"]);
    assert_eq!(run.code, Some(3), "{run:?}");
    assert!(
        run.err.contains("`./there-is-no-such-adapter` cannot be started"),
        "{run:?}"
    );
    let run = program(&["--check", "no such check", "--adapter", "./there-is-no-such-adapter"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    // One name of two is wrong.
    let run = program(&["--list", "--check", "SAVE-1", "--check", "no such check"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.err.contains("no check is called so: no such check"), "{run:?}");
    assert_eq!(program(&["--timeout", "0", "--adapter", "./any"]).code, Some(2));
    assert_eq!(program(&["--level", "fast", "--adapter", "./any"]).code, Some(2));
    assert_eq!(program(&[]).code, Some(2));
}
