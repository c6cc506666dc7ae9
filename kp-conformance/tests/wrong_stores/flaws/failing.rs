use kp_core::rules::{PoolRecords, State};
use kp_core::{BackendError, Error, Outcome};

use crate::flaw::{Torn, sure};
use crate::wrong_store::wrong_stores;

wrong_stores! {
    /// A claim whose reply was lost, made again, takes a second package.
    #[breaks("ERR-1", a_dropped_claim_is_found_again_by_its_id)]
    fn a_claim_made_again_takes_another_package(flaw: &mut Flaw) {
        flaw.by_id = |pool, id| sure(pool.by_id(id)).filter(|record| !matches!(record.state, State::Used(_)));
    }

    /// A future that is dropped half-way leaves a package taken under no id.
    #[breaks("ERR-2", a_dropped_reservation_is_found_again_by_its_id)]
    fn a_dropped_future_loses_a_package(flaw: &mut Flaw) {
        flaw.torn = Some(Torn::BindsLater);
    }

    /// One item refused is an outage for the whole batch.
    #[breaks("ERR-3", a_refused_item_keeps_no_other_from_its_answer)]
    fn one_refusal_fails_the_batch(flaw: &mut Flaw) {
        flaw.claimed = |answers| {
            if answers.iter().any(Result::is_err) {
                let failure = BackendError::new("flawed", "claim", Outcome::Unknown, "an item was refused");
                answers.fill(Err(Error::Backend(failure)));
            }
        };
    }

    /// The store prints the ids of its leases.
    #[breaks("ERR-4", nothing_printed_betrays_bytes_or_ids)]
    fn prints_ids(flaw: &mut Flaw) {
        flaw.printed = |pool| {
            let ids = pool.records.iter().filter_map(|(record, _)| record.bound_id());
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
