//! Makes random calls on the reference store, in any order, at any times, and checks what holds after each call.

mod history;
mod loading;
mod operation;

use kp_core::rules::{Limits, Model, Record, settle};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use crate::history::{History, MAX_RECORDS};
use crate::loading::{Row, Storage, Transaction};
use crate::operation::{HORIZON, PACKAGES, POOLS, at, key_package_ref, moments, operations, pool};

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 1_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    }
}

fn empty() -> Model {
    Model::with_limits(Limits::default().max_records(MAX_RECORDS))
}

proptest! {
    #![proptest_config(config())]

    /// One id holds a package (RES-1, SPEND-1, TIME-3). [`History`] checks more after every call.
    #[test]
    fn whatever_is_called_the_invariants_hold(calls in prop::collection::vec((operations(), moments()), 1..80)) {
        let mut history = History::new(empty());
        for (call, now) in &calls {
            history.call(call, *now);
        }
    }

    /// A read answers as if the pool had been settled (TIME-2, READ-1).
    #[test]
    fn a_read_answers_what_it_would_after_a_settlement(
        calls in prop::collection::vec((operations(), moments()), 1..60),
        now in moments(),
    ) {
        let mut model = empty();
        for (call, at) in &calls {
            call.apply(&mut model, *at);
        }
        let mut settled = model.clone();
        settled.release_expired_reservations(now);
        for later in [now, now.plus(10), at(HORIZON)] {
            for pool in (0..POOLS).map(pool) {
                prop_assert_eq!(model.count_by_status(&pool, later), settled.count_by_status(&pool, later));
                prop_assert_eq!(model.list_available(&pool, later), settled.list_available(&pool, later));
                for named in (0..PACKAGES).map(key_package_ref) {
                    prop_assert_eq!(model.get(&pool, &named, later), settled.get(&pool, &named, later));
                }
            }
        }
    }

    /// A call at the same `now` or later is answered the same, settled or not (SWEEP-2).
    #[test]
    fn a_settlement_changes_no_later_answer(
        calls in prop::collection::vec((operations(), moments()), 1..60),
        settled_at in moments(),
        later in prop::collection::vec((operations(), moments()), 1..20),
    ) {
        let mut model = empty();
        for (call, now) in &calls {
            call.apply(&mut model, *now);
        }
        let mut settled = model.clone();
        settled.release_expired_reservations(settled_at);
        for (call, now) in &later {
            let now = settled_at.max(*now);
            prop_assert_eq!(call.apply(&mut model, now), call.apply(&mut settled, now), "{:?}", call);
        }
    }

    /// A refusal changes nothing but what the settlement ended (TIME-2, SAVE-7).
    #[test]
    fn a_refusal_leaves_no_trace(calls in prop::collection::vec((operations(), moments()), 1..80)) {
        let mut model = empty();
        for (call, now) in &calls {
            let mut expected = model.clone();
            let answer = call.apply(&mut model, *now);
            if answer.is_refusal() && let Some(pool) = call.settles() {
                expected.step(pool, |records| settle(records, *now));
                prop_assert_eq!(&model, &expected, "{:?} was answered {:?}", call, answer);
            }
        }
    }

    /// The same request again is answered the same, and changes nothing (RES-5, CLAIM-1, SPEND-3).
    #[test]
    fn a_retry_gets_the_same_answer(calls in prop::collection::vec((operations(), moments()), 1..80)) {
        let mut model = empty();
        for (call, now) in &calls {
            let answer = call.apply(&mut model, *now);
            if history::is_bound(&answer) {
                let before = model.clone();
                prop_assert_eq!(call.apply(&mut model, *now), answer);
                prop_assert_eq!(&model, &before, "{:?} again", call);
            }
        }
    }

    /// Pools that are loaded look-up by look-up, several calls a transaction, answer and write what the model does.
    #[test]
    fn a_loaded_pool_does_what_the_model_does(
        transactions in prop::collection::vec(prop::collection::vec((operations(), moments()), 1..6), 1..20),
        page in 1_usize..4,
        ahead: bool,
    ) {
        let mut model = empty();
        let mut storage = Storage::new(Limits::default().max_records(MAX_RECORDS), page, ahead);
        for calls in &transactions {
            let mut transaction = Transaction::default();
            for (call, now) in calls {
                let expected = call.apply(&mut model, *now);
                prop_assert_eq!(storage.call(&mut transaction, call, *now), expected, "{:?} at {:?}", call, now);
                if ahead && call.names_its_records() {
                    prop_assert_eq!(storage.rounds, 0, "{:?} needs no second round", call);
                }
            }
            storage.commit(transaction);
            for pool in (0..POOLS).map(pool) {
                // Places in the queue may be numbered otherwise, in the same order.
                let facts = |rows: Vec<Row>| -> Vec<_> {
                    rows.into_iter().map(|(record, kept)| (Record { sequence: 0, ..record }, kept)).collect()
                };
                let expected = model.pool(&pool).map(|pool| pool.records.clone()).unwrap_or_default();
                prop_assert_eq!(facts(storage.rows(&pool)), facts(expected));
            }
        }
    }
}
