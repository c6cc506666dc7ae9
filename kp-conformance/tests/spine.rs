//! No rule is without a check, and no check without a rule.

use std::collections::BTreeSet;

use kp_core::rules::CATALOGUE;

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
