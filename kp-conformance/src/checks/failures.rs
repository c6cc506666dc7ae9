use std::collections::HashSet;

use crate::asking::Asking as _;
use kp_core::server::{Answers, LastResort, OnLapse, SaveOutcome, WithdrawOutcome, Withdrawal};
use kp_core::{Cause, Ciphersuite, KeyPackageRef, Rejection, Status};

use crate::Context;
use crate::check::checks;
use crate::packages::{
    SUITE, at, group, id, key_package_ref, last_resort, no_usage, one_time, one_times, reserved, ttl, usage,
};
use crate::pool::{Pool, answered, works};

/// What refused each item of a batch.
fn rejections<T>(answers: Answers<T>) -> Vec<Option<Rejection>> {
    let rejection = |answer: kp_core::Result<T>| answer.err()?.rejection().copied();
    answers.into_iter().map(rejection).collect()
}

checks! {
    /// Every refusal has a code of its own, which never changes.
    #[rules("ERR-3")]
    async fn refusals_have_stable_codes(_context: &Context) {
        let codes: Vec<_> = Rejection::ALL.iter().map(|rejection| rejection.code()).collect();
        let stable = [
            "pool_exhausted",
            "nothing_fits",
            "already_spent",
            "already_reserved",
            "expired",
            "not_found",
            "unsuitable",
            "reservation_conflict",
            "too_many_reservations",
            "no_live_reservation",
            "too_many_items",
            "invalid_cursor",
        ];
        assert_eq!(codes, stable);
        assert_eq!(codes.iter().collect::<HashSet<_>>().len(), codes.len());
    }

    /// In a batch a refused item keeps no other from its answer, and changes nothing of its own.
    #[rules("ERR-3", "SPEND-1")]
    async fn a_refused_item_keeps_no_other_from_its_answer(context: &Context) {
        let pool = context.stocked(one_times([1, 2])).await;
        let missing = pool.take(9).only(key_package_ref(9));
        let takes = [missing.clone(), pool.take(1), missing.clone(), pool.take(2), missing];
        let answers = pool.store.claim_key_packages(&takes, None, at(0)).await;
        let answers: Vec<_> = answers.into_iter().map(answered).collect();
        let none = Err(Rejection::NotFound);
        assert_eq!(
            answers,
            [none.clone(), Ok(one_time(1)), none.clone(), Ok(one_time(2)), none]
        );
        assert_eq!(pool.count(SUITE, at(0)).await.total(), 2);
    }

    /// A list of more than 1,000 items is refused as a whole, whatever the call, and settles nothing; one of 1,000 is not.
    #[rules("COST-1", "ERR-3", "TIME-2")]
    async fn a_list_has_a_thousand_items_at_most(context: &Context) {
        let pool = context.stocked(one_times([1, 2])).await;
        pool.lease(&pool.take(1), at(0)).await;
        let refs: Vec<_> = (1..=1_001).map(key_package_ref).collect();
        let takes: Vec<_> = (1..=1_001).map(|n| pool.take(n).last_resort(LastResort::Never)).collect();
        let tokens: Vec<_> = (1..=1_001).map(|n| pool.token(n, n)).collect();
        let suites = pool.take(2).ciphersuites((0..1_001).map(Ciphersuite));
        let store = &pool.store;
        let all = Withdrawal::Refs(refs.clone());
        let refused = |rejections: Vec<Option<Rejection>>, items: usize| {
            assert_eq!(rejections, vec![Some(Rejection::TooManyItems); items]);
        };
        let late = at(60);
        refused(rejections(store.reserve_key_packages(&takes, OnLapse::Return, late).await), 1_001);
        refused(rejections(store.claim_key_packages(&takes, None, late).await), 1_001);
        let beside = [pool.take(3), suites];
        refused(rejections(store.claim_key_packages(&beside, None, late).await), 2);
        refused(rejections(store.reserve_key_packages(&beside, OnLapse::Return, late).await), 2);
        refused(rejections(store.spend_key_packages(&tokens, &no_usage(), late).await), 1_001);
        refused(rejections(store.release_key_packages(&tokens, late).await), 1_001);
        refused(rejections(store.renew_key_packages(&tokens, ttl(60), late).await), 1_001);
        let whole = [
            store.get_statuses(&pool.id, &refs, late).await.err(),
            store.withdraw_key_packages(&pool.id, &all, late).await.err(),
        ];
        refused(whole.iter().map(|error| error.as_ref()?.rejection().copied()).collect(), 2);
        assert_eq!(pool.status(1, at(59)).await, reserved(60), "nothing was done, nor settled");

        assert_eq!(works(store.get_statuses(&pool.id, &refs[..1_000], at(0)).await).len(), 1_000);
        let takes = &takes[1..];
        let handed = store.claim_key_packages(takes, None, at(0)).await;
        assert_eq!(handed.iter().filter(|answer| answer.is_ok()).count(), 1, "one was left");
    }

    /// What was answered is there when the space is opened again, each step of it: packages, leases, receipts, replays,
    /// withdrawals, and what a refused call has settled.
    #[rules("ERR-5", "SPEND-3", "CLAIM-1")]
    #[needs(reopens)]
    async fn what_was_answered_outlives_the_handles(context: &Context) {
        let mut packages = one_times(1..=5);
        packages.push(last_resort(6));
        context.pool().await.stock(packages, at(0)).await;

        let reopened = context.pool().await;
        assert_eq!(reopened.available(at(0)).await, [1, 2, 3, 4, 5].map(key_package_ref));
        let token = reopened.lease(&reopened.take(1), at(0)).await;
        drop(reopened);

        let reopened = context.pool().await;
        assert_eq!(reopened.lease(&reopened.take(1), at(1)).await, token);
        let receipt = reopened.spend(&token, &usage("club", "alice"), at(2)).await;
        assert!(receipt.is_ok());
        drop(reopened);

        let reopened = context.pool().await;
        assert_eq!(reopened.spend(&token, &usage("club", "alice"), at(3)).await, receipt);
        assert_eq!(
            reopened.spend(&token, &no_usage(), at(3)).await,
            Err(Rejection::AlreadySpent)
        );
        let club = group("club");
        assert_eq!(
            reopened.claim(&reopened.take(2), Some(&club), at(4)).await,
            Ok(one_time(2))
        );
        reopened.lease(&reopened.take(3), at(4)).await;
        assert_eq!(reopened.withdraw([3, 4], at(5)).await, [WithdrawOutcome::Withdrawn; 2]);
        let last = reopened.take(7).last_resort(kp_core::server::LastResort::Only);
        assert_eq!(reopened.claim(&last, None, at(5)).await, Ok(last_resort(6)));
        let before = reopened.picture(1..=6, at(6)).await;
        drop(reopened);

        let reopened = context.pool().await;
        assert_eq!(reopened.picture(1..=6, at(6)).await, before);
        assert_eq!(
            reopened.claim(&reopened.take(2), Some(&club), at(6)).await,
            Ok(one_time(2))
        );
        assert_eq!(
            reopened.save(one_times([1, 4]), at(6)).await,
            [SaveOutcome::AlreadySpent; 2]
        );
        assert_eq!(
            reopened.spend(&reopened.token(9, 9), &no_usage(), at(64)).await,
            Err(Rejection::NotFound)
        );
        drop(reopened);

        let reopened = context.pool().await;
        let stale = reopened.spend(&reopened.token(3, 3), &no_usage(), at(6)).await;
        assert_eq!(
            stale,
            Err(Rejection::NoLiveReservation),
            "the refused call settled this lease for good"
        );
        let settled = Status::Spent {
            at: at(64),
            cause: Cause::Withdrawn,
        };
        assert_eq!(reopened.status(3, at(6)).await, Some(settled));
        reopened.stock(one_times([8]), at(65)).await;
        assert_eq!(
            reopened.available(at(65)).await,
            [5, 8].map(key_package_ref),
            "the order goes on"
        );
        reopened.delete().await;
        drop(reopened);
        assert!(context.pool().await.counts(at(65)).await.is_empty());
    }

    /// What a call answered is seen at once, by every later call through the same handle or another.
    #[rules("LIN-1", "READ-1")]
    async fn an_answer_is_seen_at_once_through_every_handle(context: &Context) {
        let pools = context.pools(3).await;
        let turn = |n: u64| &pools[n as usize % pools.len()];
        for n in 1..=12 {
            let package = one_time(n);
            turn(n).stock(vec![package.clone()], at(0)).await;
            seen(turn(n + 1), n, Status::Available).await;
            let token = turn(n + 1).lease(&turn(n).take(n), at(0)).await;
            assert_eq!(token.id(), id(n));
            seen(turn(n + 2), n, Status::Reserved { until: at(60) }).await;
            assert_eq!(turn(n + 2).release(&token, at(1)).await, Ok(()));
            seen(turn(n), n, Status::Available).await;
            assert_eq!(turn(n).claim(&turn(n).take(100 + n), None, at(1)).await, Ok(package));
            seen(
                turn(n + 1),
                n,
                Status::Spent {
                    at: at(1),
                    cause: Cause::Used,
                },
            )
            .await;
            assert_eq!(turn(n + 1).available(at(1)).await, Vec::<KeyPackageRef>::new());
            assert_eq!(
                turn(n + 2).count(SUITE, at(1)).await.spent,
                u32::try_from(n).expect("it is small")
            );
        }
        turn(0).delete().await;
        assert!(turn(1).counts(at(1)).await.is_empty());
    }
}

/// The package is seen so by each of the reads.
async fn seen(pool: &Pool, n: u64, status: Status) {
    assert_eq!(pool.status(n, at(1)).await, Some(status));
    assert_eq!(pool.get(n, at(1)).await.map(|stored| stored.status), Some(status));
}
