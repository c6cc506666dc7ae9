//! What a report says of a wrong store: where to begin.

use kp_conformance::{Check, Report, checks, report_of};
use kp_core::rules::CATALOGUE;
use libtest_mimic::{Failed, Trial};

use crate::backend::Backend;
use crate::wrong_store::WrongStore;

/// The wrong stores whose reports are looked at each time; those of all others with `--ignored`.
const SAMPLE: [&str; 4] = [
    "hands_out_the_newest",
    "lists_by_ref",
    "a_used_id_is_free_again",
    "settles_nothing",
];
/// Whose pools lose something when they are moved, and the check that moves them between random calls.
const MOVED: &str = "the_order_stays_behind";
const MOVES: &str = "after_a_move_every_sequence_is_answered_as_without_it";
/// A sequence has some three hundred steps. A save, a move and a look are needed to see what a move has lost; what else is left
/// must be little.
const STEPS: usize = 12;
/// How much of a report is read before it is put away, in lines.
const READ: usize = 20;
/// Of a hundred reports, so many have to begin with a check of the rule that the store breaks, and so many with the very check
/// that is meant for it.
const BEGIN_WITH_THE_RULE: usize = 80;
const BEGIN_WITH_THE_CHECK: usize = 60;
/// What takes long, beside the checks that make every kind of call.
const LONG: [&str; 3] = [
    "a_pool_remembers_ten_thousand_one_time_packages",
    "a_sweep_leaves_a_large_pool_whole",
    "batches_over_pools_in_opposite_orders_are_all_answered",
];

/// The checks that take a moment, and make some kinds of calls.
fn short() -> impl Iterator<Item = &'static Check> {
    checks().filter(|check| check.relies_on().len() < CATALOGUE.len() && !LONG.contains(&check.name()))
}

/// What the checks say of it.
fn reported(wrong: &WrongStore) -> Report {
    let chosen: Vec<_> = short().map(ToString::to_string).collect();
    report_of(Backend::of(wrong.flaw()), |name| {
        chosen.iter().any(|check| check == name)
    })
}

/// The beginning of the report leads to the rule that the store breaks: to the check that is meant for it, with what was seen and
/// what the rule wants.
fn leads_to_the_fault(wrong: &WrongStore) -> Result<(), Failed> {
    let report = reported(wrong);
    let text = report.to_string();
    let read: Vec<_> = text.lines().take(READ).collect();
    let shown = read.join("\n");
    let begins = report.begin_with().is_some_and(|first| {
        let told = shown.contains(&format!("Begin with {first}\n"));
        told && first.name == wrong.check && first.rules.contains(&wrong.rule)
    });
    let tells = shown.contains("seen ") && shown.contains("wants") && !shown.contains("left:");
    if begins && tells {
        return Ok(());
    }
    Err(format!("{} of {} is where to begin:\n{shown}", wrong.check, wrong.rule).into())
}

/// Of a random sequence that fails after a move, the steps that matter are told, the move among them.
fn a_sequence_with_a_move_is_shortened(wrong: &WrongStore) -> Result<(), Failed> {
    let text = report_of(Backend::of(wrong.flaw()), |name| name.ends_with(MOVES)).to_string();
    let told = text.lines().skip_while(|line| !line.contains("all of them:")).skip(1);
    let steps: Vec<_> = told.take_while(|line| !line.trim().is_empty()).collect();
    let moves = steps.iter().filter(|step| step.trim().starts_with("Move(")).count();
    if moves > 0 && steps.len() <= STEPS && text.contains("KP_CONFORMANCE_SEED=") {
        return Ok(());
    }
    Err(format!("{} steps, {moves} of them moves, are told:\n{text}", steps.len()).into())
}

/// Most reports lead to the fault: of these stores, each wrong without a race or an outage.
fn most_lead_to_the_fault(stores: &[&WrongStore]) -> Result<(), Failed> {
    let (mut by_rule, mut by_check, mut elsewhere) = (0, 0, Vec::new());
    for wrong in stores {
        let report = reported(wrong);
        let first = report.begin_with();
        let is_of_the_rule = first.is_some_and(|first| first.rules.contains(&wrong.rule));
        by_rule += usize::from(is_of_the_rule);
        by_check += usize::from(first.is_some_and(|first| first.name == wrong.check));
        if !is_of_the_rule {
            elsewhere.push(format!("{} of {}: {first:?}", wrong.name, wrong.rule));
        }
    }
    let all = stores.len();
    println!("of {all} reports, {by_rule} begin with the rule, and {by_check} with the check that is meant");
    if 100 * by_rule >= BEGIN_WITH_THE_RULE * all && 100 * by_check >= BEGIN_WITH_THE_CHECK * all {
        return Ok(());
    }
    Err(format!(
        "{by_rule} and {by_check} of {all}; others begin elsewhere:\n{}",
        elsewhere.join("\n")
    )
    .into())
}

/// A trial for each of the sample, and one for all.
pub(crate) fn trials(stores: impl Iterator<Item = &'static WrongStore>) -> impl Iterator<Item = Trial> {
    let stores: Vec<_> = stores.collect();
    let moved = stores.clone().into_iter().filter(|wrong| wrong.name == MOVED);
    let moved =
        moved.map(|wrong| Trial::test(format!("report {MOVED}"), || a_sequence_with_a_move_is_shortened(wrong)));
    let plain = stores
        .into_iter()
        .filter(|wrong| !wrong.is_arranged() && short().any(|check| check.name() == wrong.check));
    let plain: Vec<_> = plain.collect();
    let sample = plain.clone().into_iter().filter(|wrong| SAMPLE.contains(&wrong.name));
    let each = sample.map(|wrong| Trial::test(format!("report {}", wrong.name), || leads_to_the_fault(wrong)));
    let all = Trial::test("report all", move || most_lead_to_the_fault(&plain)).with_ignored_flag(true);
    each.chain(moved).chain([all])
}
