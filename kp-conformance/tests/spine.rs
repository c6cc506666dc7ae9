//! No rule is without its place in the docs, nor without a check.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use kp_core::rules::CATALOGUE;

/// The ids that are written in a text: `RES-10` is not `RES-1`.
fn ids(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').collect()
}

/// All Rust files of a folder of the workspace, one after the other.
fn sources(folder: &str) -> String {
    fn read(path: &Path, into: &mut String) {
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read(&path, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                into.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut text = String::new();
    read(
        &PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(folder),
        &mut text,
    );
    text
}

/// Which of the ids the text lacks.
fn missing<'a>(ids_wanted: impl IntoIterator<Item = &'a str>, text: &str) -> Vec<&'a str> {
    let found = ids(text);
    ids_wanted.into_iter().filter(|id| !found.contains(id)).collect()
}

#[test]
fn every_rule_stands_in_the_docs_of_the_trait() {
    let docs: String = include_str!("../../kp-core/src/store.rs")
        .lines()
        .filter(|line| line.trim_start().starts_with("///"))
        .collect::<Vec<_>>()
        .join("\n");
    let lacking = missing(CATALOGUE.iter().map(|rule| rule.id), &docs);
    assert!(
        lacking.is_empty(),
        "rules that the trait's docs do not name: {lacking:?}"
    );
}

#[test]
fn every_rule_has_a_check_and_every_check_a_rule() {
    let known: BTreeSet<_> = CATALOGUE.iter().map(|rule| rule.id).collect();
    let checked: BTreeSet<_> = kp_conformance::checks()
        .flat_map(|check| check.rules())
        .copied()
        .collect();
    assert_eq!(checked, known);
}

#[test]
fn every_check_has_a_name_of_its_own() {
    let names: Vec<_> = kp_conformance::checks().map(kp_conformance::Check::name).collect();
    assert_eq!(BTreeSet::from_iter(&names).len(), names.len());
}

#[test]
fn every_rule_of_the_admission_stands_in_its_docs_and_in_a_test() {
    let rules = ["ADM-1", "ADM-2", "ADM-3"];
    assert_eq!(
        missing(rules, include_str!("../../kp-core/src/admission.rs")),
        [""; 0],
        "in the docs"
    );
    assert_eq!(missing(rules, &sources("kp-openmls/tests")), [""; 0], "in a test");
}

#[test]
fn every_rule_of_the_directory_stands_in_its_docs_and_in_a_test() {
    let rules = ["DIR-1", "DIR-2", "DIR-3", "DIR-4"];
    assert_eq!(missing(rules, &sources("kp-service/src")), [""; 0], "in the docs");
    assert_eq!(missing(rules, &sources("kp-service/tests")), [""; 0], "in a test");
}
