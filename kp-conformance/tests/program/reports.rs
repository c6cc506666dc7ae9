//! The reports of whole runs.

use kp_conformance::{Facets, checks, decisions};
use quick_junit::Report;
use serde_json::Value;

use crate::run::{Test, on_adapter};

pub(crate) const TESTS: &[Test] = &[
    ("the_reference_passes_and_every_line_is_by_the_schema", reference_passes),
    ("a_server_that_only_claims_is_asked_for_no_reservation", only_claims),
    ("a_report_that_cannot_be_written_is_an_error", cannot_be_written),
    ("a_check_by_name_runs_alone", by_name),
];

/// A file in a directory that goes with the guard.
fn file(dir: &tempfile::TempDir, name: &str) -> String {
    dir.path().join(name).to_str().expect("a short path").to_owned()
}

/// Runs on the reference, and returns the JSON and the JUnit report.
fn reported(flaw: &str, options: &[&str]) -> (Value, Report) {
    let dir = tempfile::tempdir().expect("there is room for reports");
    let (json, junit) = (file(&dir, "report.json"), file(&dir, "report.xml"));
    let run = on_adapter(flaw, &[options, &["--json", &json, "--junit", &junit]].concat());
    assert_eq!(run.code, Some(0), "{run:?}");
    let read = |path| std::fs::read_to_string(path).expect("the report is written");
    let json = serde_json::from_str(&read(&json)).expect("the report is JSON");
    (
        json,
        Report::deserialize_from_str(&read(&junit)).expect("the report is JUnit XML"),
    )
}

fn reference_passes() {
    let (json, junit) = reported("by-the-schema", &["--level", "quick"]);
    let has = Facets::NONE.handles().limits();
    let ignored = checks().filter(|check| has.missing(check.needs()).is_some()).count();
    let all = checks().count() + decisions::cells().count();
    assert_eq!(json["totals"]["passed"], all - ignored, "{json}");
    assert_eq!(
        (&json["totals"]["failed"], &json["totals"]["not_offered"]),
        (&0.into(), &0.into())
    );
    assert_eq!(json["totals"]["ignored"], ignored);
    let suite = &junit.test_suites[0];
    assert_eq!((suite.tests, suite.failures, suite.skipped), (all, 0, ignored));
}

fn only_claims() {
    let (json, _) = reported("only-claims", &["--level", "quick", "--profile", "claim-only"]);
    let totals = &json["totals"];
    assert!(
        totals["not_offered"].as_u64() > Some(0) && totals["passed"].as_u64() > Some(0),
        "{totals}"
    );
    // Of the rules that are about reservations alone, nothing is passed.
    for rule in [
        "RES-1", "RES-9", "SPEND-2", "SPEND-3", "REL-1", "REL-2", "REL-3", "REN-1", "REN-2",
    ] {
        assert_eq!(json["rules"][rule]["passed"], 0, "{rule}");
        assert!(json["rules"][rule]["not_offered"].as_u64() > Some(0), "{rule}");
    }
    let passed = |name: &str| {
        let findings = json["findings"].as_array().expect("a list");
        let found = findings.iter().find(|finding| finding["name"] == name);
        found.expect("there is such a check")["verdict"] == "passed"
    };
    for name in [
        "every_sequence_is_answered_as_by_the_rules",
        "every_history_is_linearizable",
        "concurrent_claims_get_distinct_packages",
        "the_same_claim_returns_the_same_package",
        "A (available) x claim (the same claim)",
    ] {
        assert!(passed(name), "{name} needs no reservation");
    }
}

fn cannot_be_written() {
    let options = [
        "--check",
        "an_expired_package_is_refused",
        "--json",
        "/there/is/no/such/directory",
    ];
    let run = on_adapter("", &options);
    assert_eq!(run.code, Some(4), "{run:?}");
    assert!(run.err.contains("the report cannot be written"), "{run:?}");
}

fn by_name() {
    let run = on_adapter("", &["--check", "an_expired_package_is_refused", "--trace"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.out.starts_with("reference: 1 passed, 0 failed;"), "{run:?}");
    assert!(
        run.err.contains("\"call\":\"save_key_packages\""),
        "every line is shown: {run:?}"
    );
}
