use kp_core::rules::{PoolRecords, State};
use kp_core::{BackendError, Effect, Error};

use crate::flaw::{Torn, sure};
use crate::wrong_store::wrong_stores;

wrong_stores! {
    /// A call may name as many items as it likes.
    #[breaks("COST-1", a_list_has_a_thousand_items_at_most)]
    fn takes_lists_of_any_length(flaw: &mut Flaw) {
        flaw.bounds_lists = false;
    }

    /// A claim whose reply was lost, made again, takes a second package.
    #[breaks("ERR-1", failures_lose_no_package_and_use_none_twice)]
    fn a_claim_made_again_takes_another_package(flaw: &mut Flaw) {
        flaw.by_id = |pool, id| sure(pool.by_id(id)).filter(|record| !matches!(record.state, State::Used(_)));
    }

    /// A claim that fails after it was made says that it was not applied.
    #[breaks("ERR-1", a_call_that_failed_did_what_it_says)]
    fn denies_what_it_did(flaw: &mut Flaw) {
        flaw.failed = |bound| (!bound).then_some(Effect::NotApplied);
    }

    /// The same, found out by what others see meanwhile.
    #[breaks("ERR-1", histories_with_unknown_outcomes_are_linearizable)]
    fn denies_what_others_have_seen(flaw: &mut Flaw) {
        flaw.failed = |bound| (!bound).then_some(Effect::NotApplied);
    }

    /// A future that is dropped half-way leaves a package taken under no id.
    #[breaks("ERR-2", a_call_dropped_at_any_await_happens_wholly_or_not_at_all)]
    fn a_dropped_future_loses_a_package(flaw: &mut Flaw) {
        flaw.torn = Some(Torn::BindsLater);
    }

    /// A claim whose future is dropped half-way leaves a reservation.
    #[breaks("ERR-2", a_call_dropped_at_any_await_happens_wholly_or_not_at_all)]
    fn a_dropped_claim_leaves_a_reservation(flaw: &mut Flaw) {
        flaw.torn = Some(Torn::SpendsLater);
    }

    /// A save whose future is dropped half-way leaves a part of its batch.
    #[breaks("ERR-2", a_call_dropped_at_any_await_happens_wholly_or_not_at_all)]
    fn a_dropped_save_leaves_a_part(flaw: &mut Flaw) {
        flaw.torn = Some(Torn::ItemByItem);
    }

    /// A claim whose future is dropped half-way keeps its lock.
    #[breaks("ERR-2", a_call_dropped_at_any_await_happens_wholly_or_not_at_all)]
    fn a_dropped_claim_keeps_its_lock(flaw: &mut Flaw) {
        flaw.torn = Some(Torn::KeepsItsLock);
    }

    /// One item refused is an outage for the whole batch.
    #[breaks("ERR-3", a_batch_has_an_answer_for_each_item)]
    fn one_refusal_fails_the_batch(flaw: &mut Flaw) {
        flaw.claimed = |answers| {
            if answers.iter().any(Result::is_err) {
                let failure = BackendError::new("flawed", "claim", Effect::Unknown, "an item was refused");
                answers.fill(Err(Error::Backend(failure)));
            }
        };
    }

    /// The store prints the ids of its leases.
    #[breaks("ERR-4", nothing_printed_betrays_bytes_or_ids)]
    fn prints_ids(flaw: &mut Flaw) {
        flaw.printed = |pool| {
            let ids = pool.records.iter().filter_map(|(record, _)| record.state.bound_id());
            format!("{:02x?}", ids.map(|id| id.as_bytes()).collect::<Vec<_>>())
        };
    }

    /// Leases are kept in memory alone, and are gone when the store is opened again.
    #[breaks("ERR-5", what_was_answered_outlives_the_handles)]
    fn forgets_leases_when_closed(flaw: &mut Flaw) {
        flaw.reopened = |records| {
            records.alter(|record| {
                if matches!(record.state, State::Reserved(_)) {
                    record.state = State::Free;
                }
            });
        };
    }

    /// A spend is answered before it is written, and is gone when the store is opened again.
    #[breaks("ERR-5", what_was_answered_outlives_the_handles)]
    fn answers_before_its_commit(flaw: &mut Flaw) {
        flaw.reopened = |records| records.forget(|record| matches!(record.state, State::Used(_)));
    }
}
