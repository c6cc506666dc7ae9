//! The suite is itself tested: stores that are wrong in one way each, at least one for every rule, must be caught by a
//! check of the rule that they break; and a store without a flaw by none. The report has to begin with that rule.
//!
//! With `--ignored`: each race and outage 20 times, and the reports of all wrong stores.
//!
//! Also the table of all that, in `docs/conformance.md`: `UPDATE_DOCS=1` writes it anew.

mod backend;
mod engine;
mod flaw;
mod flaws;
mod gate;
mod locks;
mod reports;
mod store;
mod table;
mod wrong_store;

use std::collections::BTreeSet;
use std::process::ExitCode;

use kp_core::Effect;
use kp_core::rules::CATALOGUE;
use libtest_mimic::{Arguments, Failed, Trial};

use crate::flaw::Flaw;
use crate::wrong_store::WrongStore;

/// All wrong stores, by rule.
fn wrong_stores() -> impl Iterator<Item = &'static WrongStore> {
    flaws::ALL.iter().copied().flatten()
}

fn without_a_flaw_nothing_is_caught() -> Result<(), Failed> {
    let caught: Vec<_> = kp_conformance::checks()
        .filter_map(|check| Some((check, backend::caught_by(check, Flaw::NONE)?)))
        .collect();
    if caught.is_empty() {
        Ok(())
    } else {
        Err(format!("{caught:#?}").into())
    }
}

/// A store that fails now and then, and says so, obeys `ERR-1`: the checks that meet failures do not blame it.
fn a_store_that_owns_up_is_not_blamed() -> Result<(), Failed> {
    let mut owns_up = Flaw::NONE;
    owns_up.failed = |bound| (!bound).then_some(Effect::Unknown);
    let checks = [
        "a_call_that_failed_did_what_it_says",
        "a_call_dropped_at_any_await_happens_wholly_or_not_at_all",
        "failures_lose_no_package_and_use_none_twice",
    ];
    for name in checks {
        let check = kp_conformance::checks().find(|check| check.name() == name);
        let check = check.ok_or_else(|| format!("{name} is no check"))?;
        if let Some(blame) = backend::caught_by(check, owns_up) {
            return Err(blame.into());
        }
    }
    Ok(())
}

fn every_rule_has_a_wrong_store() -> Result<(), Failed> {
    let rules: BTreeSet<_> = CATALOGUE.iter().map(|rule| rule.id).collect();
    let broken: BTreeSet<_> = wrong_stores().map(|wrong| wrong.rule).collect();
    if rules == broken {
        Ok(())
    } else {
        let difference: Vec<_> = rules.symmetric_difference(&broken).collect();
        Err(format!("without a wrong store, or no rules: {difference:?}").into())
    }
}

fn every_wrong_store_has_a_name_of_its_own() -> Result<(), Failed> {
    let mut names = BTreeSet::new();
    match wrong_stores().find(|wrong| !names.insert(wrong.name)) {
        None => Ok(()),
        Some(twice) => Err(format!("there are two {}", twice.name).into()),
    }
}

fn main() -> ExitCode {
    // That checks panic is what is hoped for here.
    std::panic::set_hook(Box::new(|_| ()));
    let mut trials: Vec<_> = wrong_stores().map(WrongStore::trial).collect();
    let arranged = wrong_stores().filter(|wrong| wrong.is_arranged());
    trials.extend(arranged.map(WrongStore::long_trial));
    trials.extend(reports::trials(wrong_stores()));
    trials.extend([
        Trial::test("without_a_flaw_nothing_is_caught", without_a_flaw_nothing_is_caught),
        Trial::test("a_store_that_owns_up_is_not_blamed", a_store_that_owns_up_is_not_blamed),
        Trial::test("every_rule_has_a_wrong_store", every_rule_has_a_wrong_store),
        Trial::test(
            "every_wrong_store_has_a_name_of_its_own",
            every_wrong_store_has_a_name_of_its_own,
        ),
        Trial::test("the_table_in_the_docs_is_of_today", || {
            table::compare().map_err(Failed::from)
        }),
    ]);
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
