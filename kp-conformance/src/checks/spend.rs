use kp_core::Rejection::{AlreadySpent, Expired, NoLiveReservation, NotFound};
use kp_core::server::{OnLapse, Spend};
use kp_core::{Cause, Status};

use crate::Context;
use crate::check::checks;
use crate::packages::{
    Altered, DAY, at, group, key_package_ref, last_resort, no_usage, one_time, one_times, party, spent, usage,
};
use crate::pool::answered;

checks! {
    /// Exactly one of two spends by different parties succeeds, and the package never returns.
    #[rules("SPEND-1", "SPEND-2")]
    async fn a_package_is_spent_once(context: &Context) {
        let pool = context.stocked(one_times([1])).await;
        let token = pool.lease(&pool.take(1), at(0)).await;
        let receipt = pool.spent(&token, &usage("club", "alice"), at(5)).await;
        assert_eq!((receipt.key_package_ref, receipt.spent_at), (key_package_ref(1), at(5)));
        for other in [usage("club", "bob"), usage("other", "alice"), no_usage()] {
            assert_eq!(pool.spend(&token, &other, at(6)).await, Err(AlreadySpent), "{other:?}");
        }
        for now in [5, 60, 5_000] {
            let used = spent(5, Cause::Used);
            assert_eq!(pool.status(1, at(now)).await, used, "at {now}");
            assert_eq!(pool.available(at(now)).await, []);
        }
    }

    /// The same spend again gets the same receipt: later, after the lease would have ended, and past `not_after`.
    #[rules("SPEND-3", "SPEND-2")]
    async fn the_same_spend_gets_the_same_receipt(context: &Context) {
        let pool = context.stocked((1..=4).map(|n| one_time(n).valid(-DAY, 100)).collect()).await;
        let group_only = Spend::new().group(group("club"));
        let party_only = Spend::new().by(party("alice"));
        let usages = [usage("club", "alice"), group_only, party_only, no_usage()];
        for (n, usage) in (1..).zip(&usages) {
            let token = pool.lease(&pool.take(n), at(0)).await;
            let receipt = pool.spend(&token, usage, at(3)).await;
            assert!(receipt.is_ok());
            for now in [3, 4, 60, 99, 100, 5_000, 2] {
                assert_eq!(pool.spend(&token, usage, at(now)).await, receipt, "at {now}");
            }
            for other in usages.iter().filter(|other| *other != usage) {
                assert_eq!(pool.spend(&token, other, at(99)).await, Err(AlreadySpent));
                assert_eq!(pool.spend(&token, other, at(100)).await, Err(Expired));
            }
        }
    }

    /// A receipt is kept until the record is swept, or saved anew past its `not_after`.
    #[rules("SPEND-3", "SWEEP-1", "SAVE-7")]
    async fn a_receipt_ends_with_its_record(context: &Context) {
        let pool = context.stocked((1..=2).map(|n| one_time(n).valid(-DAY, 100)).collect()).await;
        for n in 1..=2 {
            let token = pool.lease(&pool.take(n), at(0)).await;
            pool.spent(&token, &no_usage(), at(0)).await;
        }
        pool.stock(one_times([2]), at(100)).await;
        assert_eq!(
            pool.spend(&pool.token(2, 2), &no_usage(), at(100)).await,
            Err(NoLiveReservation)
        );
        pool.spent(&pool.token(1, 1), &no_usage(), at(100)).await;
        assert_eq!(pool.cleanup(at(100), 10).await, 1);
        assert_eq!(pool.spend(&pool.token(1, 1), &no_usage(), at(100)).await, Err(NotFound));
    }

    /// Only the id of the live reservation spends: not one that lapsed, was released or superseded, or that never was.
    #[rules("SPEND-2", "REL-1", "TIME-3")]
    async fn a_stale_reservation_is_fenced_off(context: &Context) {
        let pool = context.stocked(one_times([1])).await;
        let lapsed = pool.lease(&pool.take(1), at(0)).await;
        assert_eq!(
            pool.spend(&lapsed, &no_usage(), at(60)).await,
            Err(NoLiveReservation),
            "lapsed"
        );
        assert_eq!(
            pool.spend(&lapsed, &no_usage(), at(59)).await,
            Err(NoLiveReservation),
            "and for good"
        );
        let released = pool.lease(&pool.take(2), at(60)).await;
        pool.released(&released, at(61)).await;
        assert_eq!(
            pool.spend(&released, &no_usage(), at(61)).await,
            Err(NoLiveReservation),
            "released"
        );
        let live = pool.lease(&pool.take(3), at(62)).await;
        for stale in [&lapsed, &released, &pool.token(1, 99)] {
            assert_eq!(
                pool.spend(stale, &no_usage(), at(62)).await,
                Err(NoLiveReservation),
                "superseded"
            );
        }
        pool.spent(&live, &no_usage(), at(121)).await;
        for stale in [&lapsed, &released, &pool.token(1, 99)] {
            assert_eq!(
                pool.spend(stale, &no_usage(), at(122)).await,
                Err(AlreadySpent),
                "used by another"
            );
        }
    }

    /// What was never reserved, was withdrawn or retired, or is a last resort, cannot be spent; what is not there is not
    /// found; what is past its `not_after` has expired, also with a lease of its own.
    #[rules("SPEND-2", "RES-4", "DEL-3", "RES-9")]
    async fn without_a_live_reservation_nothing_is_spent(context: &Context) {
        let pool = context.pool().await;
        let batch = vec![
            one_time(1).valid(-DAY, 100),
            one_time(2),
            one_time(3),
            one_time(4),
            last_resort(5),
        ];
        pool.stock(batch, at(0)).await;
        let expires = pool.lease(&pool.take(1), at(50)).await;
        let (retires, _) = pool.lease_until(&pool.take(2), OnLapse::Retire, at(50)).await;
        let withdrawn = pool.lease(&pool.take(3), at(50)).await;
        pool.withdraw([3], at(50)).await;
        assert_eq!(pool.spend(&expires, &no_usage(), at(100)).await, Err(Expired));
        for token in [retires, withdrawn, pool.token(4, 4), pool.token(5, 5)] {
            assert_eq!(
                pool.spend(&token, &no_usage(), at(110)).await,
                Err(NoLiveReservation),
                "{token:?}"
            );
        }
        assert_eq!(pool.spend(&pool.token(9, 1), &no_usage(), at(110)).await, Err(NotFound));
        let stranger = pool.beside("nobody");
        assert_eq!(
            stranger.spend(&stranger.token(4, 4), &no_usage(), at(110)).await,
            Err(NotFound)
        );
    }

    /// A recalled reservation is still spent by its id, and by no other.
    #[rules("SPEND-2", "DEL-2", "DEL-3")]
    async fn a_recalled_reservation_is_spent_by_its_id(context: &Context) {
        let pool = context.stocked(one_times([1, 2])).await;
        let first = pool.lease(&pool.take(1), at(0)).await;
        let second = pool.lease(&pool.take(2), at(0)).await;
        pool.withdraw([1], at(1)).await;
        pool.retire(at(1), at(1)).await;
        for (token, n) in [(first, 1), (second, 2)] {
            let other = pool.token(n, 9);
            assert_eq!(pool.spend(&other, &no_usage(), at(2)).await, Err(NoLiveReservation));
            pool.spent(&token, &no_usage(), at(2)).await;
            let used = spent(2, Cause::Used);
            assert_eq!(pool.status(n, at(60)).await, used);
        }
    }

    /// A spent record keeps its facts, its cause and its time, and shows no bytes.
    #[rules("SPEND-4", "READ-4")]
    async fn a_spent_record_keeps_its_facts_and_no_bytes(context: &Context) {
        let pool = context.stocked(one_times([1])).await;
        let token = pool.lease(&pool.take(1), at(0)).await;
        pool.spent(&token, &usage("club", "alice"), at(9)).await;
        for now in [9, 60, 5_000] {
            let stored = pool.get(1, at(now)).await.expect("it is remembered");
            assert_eq!(stored.info, one_time(1).info);
            assert_eq!(
                stored.status,
                Status::Spent {
                    at: at(9),
                    cause: Cause::Used
                }
            );
            assert_eq!(stored.bytes, None);
        }
    }

    /// A batch of spends has a receipt or a refusal for each, in order, each item after the ones before it.
    #[rules("SPEND-1", "ERR-3")]
    async fn a_batch_of_spends_has_an_answer_for_each(context: &Context) {
        let bob = context.pool().await;
        let carol = bob.beside("carol/laptop");
        bob.stock(one_times([1, 2]), at(0)).await;
        carol.stock(one_times([1]), at(0)).await;
        let first = bob.lease(&bob.take(1), at(0)).await;
        let second = bob.lease(&bob.take(2), at(0)).await;
        let carols = carol.lease(&carol.take(1), at(0)).await;
        let tokens = [second, bob.token(9, 9), carols, first.clone(), bob.token(1, 9), first];
        let answers = bob.store.spend_key_packages(&tokens, &no_usage(), at(1)).await;
        let answers: Vec<_> = answers
            .into_iter()
            .map(|answer| answered(answer).map(|receipt| receipt.key_package_ref))
            .collect();
        let [one, two] = [1, 2].map(key_package_ref);
        let expected = [
            Ok(two),
            Err(NotFound),
            Ok(one.clone()),
            Ok(one.clone()),
            Err(AlreadySpent),
            Ok(one),
        ];
        assert_eq!(answers, expected);
        assert!(bob.store.spend_key_packages(&[], &no_usage(), at(1)).await.is_empty());
    }
}
