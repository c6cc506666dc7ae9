//! The suite of metadata is itself tested: a store that is wrong in one way must fail the checks of that, and no others.

mod flaw;
mod store;

use std::collections::BTreeSet;
use std::sync::Arc;

use kp_conformance::{Factory, metadata_checks};
use kp_core::client::PoolMetadataStore;
use kp_core::rules::CLIENT_CATALOGUE;

use flaw::Flaw;
use store::Backend;

/// The checks that a store with this flaw fails. Their tasks take turns, so that no race is a matter of luck.
fn failing(flaw: Flaw) -> BTreeSet<&'static str> {
    let backend: Arc<dyn Factory<dyn PoolMetadataStore>> = Arc::new(Backend::new(flaw));
    let failed = metadata_checks().filter(|check| check.run_in_turns(&backend).is_err());
    failed.map(|check| check.name()).collect()
}

/// Which checks a flaw fails: all of them, and no others.
#[track_caller]
fn must_fail(flaw: Flaw, expected: &[&str]) {
    assert_eq!(failing(flaw), expected.iter().copied().collect(), "{flaw:?}");
}

#[test]
fn a_correct_store_fails_nothing() {
    must_fail(Flaw::Nothing, &[]);
}

#[test]
fn flaws_of_creation_are_found() {
    let batches = [
        "a_batch_creates_all_its_rows_or_none",
        "changes_of_every_kind_are_one_step",
        "one_creation_wins",
        "a_row_is_created_once_in_every_state",
    ];
    must_fail(Flaw::CreatesAgain, &batches);
    must_fail(Flaw::CreatesHalf, &batches[..3]);
    must_fail(Flaw::OverlooksTwins, &batches[..2]);
    let anew = [
        "a_batch_with_a_step_that_is_refused_takes_none",
        "a_row_is_created_once_in_every_state",
        "changes_of_every_kind_are_one_step",
        "counts_by_status_add_up",
        "the_available_are_counted_by_ciphersuite",
        "the_bounds_of_every_field_are_kept",
        "what_a_row_does_not_say_is_not_made_up",
    ];
    must_fail(Flaw::CreatesAnew, &anew);
}

#[test]
fn flaws_of_offers_are_found() {
    let offers = ["a_package_is_first_offered_once", "changes_of_every_kind_are_one_step"];
    must_fail(Flaw::OffersAnew, &offers[..1]);
    must_fail(Flaw::StepsForgetOffers, &offers[..1]);
    must_fail(Flaw::OffersUnknown, &offers);
}

#[test]
fn flaws_of_steps_are_found() {
    let all = "changes_of_every_kind_are_one_step";
    let in_order = "a_step_sees_the_ones_before_in_its_batch";
    let refused = "a_batch_with_a_step_that_is_refused_takes_none";
    let marked = "a_join_is_marked_with_its_holder_and_end";
    must_fail(
        Flaw::StepsHalf,
        &[all, in_order, refused, marked, "a_package_is_first_offered_once"],
    );
    must_fail(Flaw::StepsAside, &[in_order]);
    must_fail(
        Flaw::HasNoTable,
        &[all, in_order, refused, marked, "one_final_step_wins"],
    );
    must_fail(Flaw::PassesOver, &[all, refused]);
    let times = [
        all,
        in_order,
        "a_batch_takes_all_its_steps",
        "a_whole_life_leaves_its_times",
        "any_time_will_do",
        "what_was_answered_outlives_the_handle",
    ];
    let mut without_times = failing(Flaw::KeepsNoTimes);
    // It fails where `Spent` wins, which is as good as any other step.
    without_times.remove("one_final_step_wins");
    assert_eq!(without_times, BTreeSet::from(times));
}

#[test]
fn flaws_of_marks_and_lifetimes_are_found() {
    let wrong = [
        "a_join_is_marked_with_its_holder_and_end",
        "what_a_row_does_not_say_is_not_made_up",
        "a_row_is_created_once_in_every_state",
        "a_whole_life_leaves_its_times",
        "the_bounds_of_every_field_are_kept",
    ];
    must_fail(Flaw::LosesMarks, &wrong);
    must_fail(Flaw::KeepsMarks, &wrong[..2]);
    must_fail(Flaw::KeepsHolders, &wrong[..1]);
    must_fail(Flaw::MakesUpMarks, &wrong[..2]);
    must_fail(Flaw::MakesUpBegins, &wrong[1..2]);
    // And every other check that looks at a whole row.
    let lost = failing(Flaw::LosesBegins);
    assert!(wrong.iter().all(|check| lost.contains(check)), "{lost:?}");
}

#[test]
fn flaws_of_whole_calls_and_records_are_found() {
    must_fail(Flaw::ChangesApart, &["changes_of_every_kind_are_one_step"]);
    must_fail(Flaw::RecordsApart, &["changes_of_every_kind_are_one_step"]);
    must_fail(Flaw::MergesRecords, &["the_record_is_replaced_as_a_whole"]);
    let wrong = [
        "an_older_fence_changes_nothing",
        "another_handle_sees_what_was_answered",
        "changes_of_every_kind_are_one_step",
        "the_record_is_replaced_as_a_whole",
    ];
    must_fail(Flaw::KeepsKnownNumbers, &wrong);
}

#[test]
fn flaws_of_leases_are_found() {
    let granted = [
        "a_lease_is_granted_when_free_ended_or_ones_own",
        "one_of_many_is_granted_the_lease",
        "what_was_answered_outlives_the_handle",
        "an_older_fence_changes_nothing",
        "nobody_writes_after_the_next_grant",
    ];
    for (flaw, failed) in [
        (Flaw::TrustsClocks, 1),
        (Flaw::KeepsEnds, 1),
        (Flaw::ReleasesAll, 1),
        (Flaw::RefusesRenewals, 2),
        (Flaw::RaisesAlways, 2),
        (Flaw::GrantsAll, 3),
        (Flaw::NeverEnds, 5),
        (Flaw::EndsLate, 5),
        (Flaw::RaisesNever, 5),
    ] {
        must_fail(flaw, &granted[..failed]);
    }
    must_fail(Flaw::ReleasesForgetfully, &[granted[0], granted[3]]);
    must_fail(Flaw::HasOneLease, &[granted[0], granted[3]]);
    must_fail(Flaw::ForgetsLeases, &granted[2..3]);
}

#[test]
fn flaws_of_fences_are_found() {
    let fences = ["an_older_fence_changes_nothing", "nobody_writes_after_the_next_grant"];
    for flaw in [Flaw::LetsNewerWrite, Flaw::FencesLast, Flaw::FencesReleased] {
        must_fail(flaw, &fences[..1]);
    }
    for flaw in [Flaw::LetsAllWrite, Flaw::FencesSteps] {
        let mut failing = failing(flaw);
        // Whether an older write comes last is a matter of whose turn it is.
        failing.remove(fences[1]);
        assert_eq!(failing, BTreeSet::from([fences[0]]), "{flaw:?}");
    }
}

#[test]
fn flaws_of_reading_and_deleting_are_found() {
    must_fail(
        Flaw::ListsByRef,
        &[
            "a_thousand_rows_are_created_at_once",
            "rows_are_listed_by_age_then_by_ref",
        ],
    );
    let deleting = [
        "a_row_is_deleted_once",
        "changes_of_every_kind_are_one_step",
        "nothing_is_there_at_first",
        "what_is_not_there_can_be_deleted",
    ];
    must_fail(Flaw::CountsRefs, &deleting);
    must_fail(Flaw::MissesRows, &deleting);
    must_fail(Flaw::Forgets, &["what_was_answered_outlives_the_handle"]);
}

/// How many of the races are lost is a matter of whose turn it is; that the first is, is not: all tasks read, and then all
/// write.
#[test]
fn flaws_of_concurrency_are_found() {
    let lost = failing(Flaw::LetsOthersIn);
    let races = ["one_final_step_wins", "no_step_is_lost", "a_deleted_row_stays_deleted"];
    assert!(lost.contains("one_final_step_wins"), "{lost:?}");
    assert!(lost.iter().all(|check| races.contains(check)), "{lost:?}");
    must_fail(Flaw::GrantsTwice, &["one_of_many_is_granted_the_lease"]);
    must_fail(Flaw::FencesBefore, &["nobody_writes_after_the_next_grant"]);
    let apart = failing(Flaw::KeepsToItself);
    assert!(apart.contains("another_handle_sees_what_was_answered"), "{apart:?}");
}

/// Every rule of the client's catalogue is the business of a check.
#[test]
fn every_rule_is_checked() {
    for rule in CLIENT_CATALOGUE {
        // META-4 is measured, in a line of its own, and is a matter of types otherwise.
        let named = metadata_checks().any(|check| check.rules().contains(&rule.id));
        assert!(named || rule.id == "META-4", "no check names {}", rule.id);
    }
}
