//! What a report says of a wrong store: where to begin.

use kp_conformance::{Report, checks, report_of};
use kp_core::rules::CATALOGUE;
use libtest_mimic::{Failed, Trial};

use crate::backend::Backend;
use crate::wrong_store::WrongStore;

/// The wrong stores whose reports are looked at each time; those of the others with `--ignored`.
const SAMPLE: [&str; 3] = ["drops_idempotency", "hands_out_what_is_reserved", "says_saved_again"];
/// How much of a report is read before it is put away, in lines.
const READ: usize = 20;

/// What the checks say of it, but for those that make every kind of call.
fn reported(wrong: &WrongStore) -> Report {
    let chosen: Vec<_> = checks()
        .filter(|check| check.relies_on().len() < CATALOGUE.len())
        .map(ToString::to_string)
        .collect();
    report_of(Backend::of(wrong.flaw()), |name| {
        chosen.iter().any(|check| check == name)
    })
}

/// The report begins with a check of the rule that the store breaks.
fn begins_with_the_fault(wrong: &WrongStore) -> Result<(), Failed> {
    let report = reported(wrong);
    let text = report.to_string();
    let read: Vec<_> = text.lines().take(READ).collect();
    let shown = read.join("\n");
    let Some(first) = report.begin_with() else {
        return Err(format!("no check has failed:\n{shown}").into());
    };
    if !first.rules.contains(&wrong.rule) || !shown.contains(&format!("Begin with {first}\n")) {
        return Err(format!("{} of {} is where to begin:\n{shown}", wrong.check, wrong.rule).into());
    }
    Ok(())
}

/// A trial for each store that is wrong without a race or an outage.
pub(crate) fn trials(stores: impl Iterator<Item = &'static WrongStore>) -> impl Iterator<Item = Trial> {
    let plain = stores.filter(|wrong| !wrong.is_arranged());
    plain.map(|wrong| {
        let trial = Trial::test(format!("report {}", wrong.name), || begins_with_the_fault(wrong));
        trial.with_ignored_flag(!SAMPLE.contains(&wrong.name))
    })
}
