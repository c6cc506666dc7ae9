//! No rule is without a check, and no check without a rule.

use std::collections::BTreeSet;

use kp_conformance::decisions::{Cell, Event, State, cells};
use kp_conformance::{Check, checks, metadata_checks};
use kp_core::contract;
use kp_core::rules::CATALOGUE;

#[test]
fn every_rule_has_a_check_and_every_check_a_rule() {
    let known: BTreeSet<_> = CATALOGUE.iter().map(|rule| rule.id).collect();
    let checked: BTreeSet<_> = checks().flat_map(|check| check.rules()).copied().collect();
    assert_eq!(checked, known);
}

#[test]
fn every_check_has_a_name_of_its_own() {
    let names: Vec<_> = checks().map(Check::name).collect();
    assert_eq!(BTreeSet::from_iter(&names).len(), names.len());
}

#[test]
fn every_state_by_every_event_is_a_cell_with_a_name_of_its_own() {
    let names: BTreeSet<_> = cells().map(Cell::name).collect();
    assert_eq!(names.len(), State::ALL.len() * Event::ALL.len());
    assert_eq!(names.len(), cells().count());
}

/// A text that says no more than its title is none.
#[test]
fn every_rule_that_is_checked_has_a_text() {
    let of_stores = checks().flat_map(|check| check.rules());
    for id in of_stores.chain(metadata_checks().flat_map(|check| check.rules())) {
        let rule = contract::ALL.iter().find(|rule| rule.id == *id);
        let rule = rule.unwrap_or_else(|| panic!("{id} is checked, and no rule of the contract"));
        assert!(
            rule.text.trim().len() > rule.about.len(),
            "{id} has no text: {:?}",
            rule.text
        );
    }
}
