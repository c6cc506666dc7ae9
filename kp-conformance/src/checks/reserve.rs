use crate::asking::Asking as _;
use kp_core::Rejection::{AlreadySpent, NothingFits, PoolExhausted, TooManyReservations, Unsuitable};
use kp_core::server::{LastResort, OnLapse};
use kp_core::{Cause, Status};

use crate::Context;
use crate::check::checks;
use crate::packages::{
    Altered, DAY, END, OTHER_SUITE, SUITE, at, id, key_package_ref, last_resort, no_usage, one_time, one_times, party,
    reserved, spent,
};

checks! {
    /// The order is that of saving, within a batch and between batches, not that of refs, lifetimes, ciphersuites or
    /// clocks.
    #[rules("RES-2")]
    async fn the_oldest_saved_is_handed_out_first(context: &Context) {
        let pool = context.pool().await;
        pool.stock(
            vec![one_time(1).valid(-10, END), one_time(2).of(OTHER_SUITE), one_time(3)],
            at(0),
        )
        .await;
        pool.stock(vec![one_time(4).valid(-DAY, 500), one_time(5)], at(-50))
            .await;
        pool.stock(one_times(6..=9), at(7)).await;
        assert_eq!(
            pool.available(at(7)).await,
            (1..=9).map(key_package_ref).collect::<Vec<_>>()
        );
        for n in 1..=9 {
            let take = pool.take(n);
            let given = if n % 2 == 0 {
                pool.claim_ref(&take, at(7)).await
            } else {
                pool.reserve_ref(&take, at(7)).await
            };
            assert_eq!(given, Ok(key_package_ref(n)));
        }
    }

    /// However many packages have expired, what lies among them and behind them has its place: also when it returns, and
    /// when `now` steps back.
    #[rules("RES-2", "TIME-3", "COST-1")]
    async fn many_that_have_expired_hide_nothing(context: &Context) {
        let pool = context.pool().await;
        let mut batch = one_times(1..=153);
        for (n, package) in (1..=150).zip(&mut batch).filter(|(n, _)| *n != 75) {
            *package = package.clone().valid(-DAY, if n % 2 == 1 { 100 } else { 200 });
        }
        pool.stock(batch, at(0)).await;
        let among = pool.take(1).only(key_package_ref(75)).lasting(1_000);
        let among = pool.lease(&among, at(0)).await;
        // Only what is behind them is left, for one call as for the next.
        for n in [151, 152] {
            assert_eq!(pool.reserve_ref(&pool.take(n), at(200)).await, Ok(key_package_ref(n)));
        }
        // What is among them returns: it is released, and lapses.
        pool.released(&among, at(201)).await;
        assert_eq!(pool.reserve_ref(&pool.take(2), at(201)).await, Ok(key_package_ref(75)));
        assert_eq!(pool.reserve_ref(&pool.take(3), at(202)).await, Ok(key_package_ref(153)));
        assert_eq!(pool.claim_ref(&pool.take(4), at(261)).await, Ok(key_package_ref(75)));
        assert_eq!(pool.claim_ref(&pool.take(5), at(261)).await, Ok(key_package_ref(151)));
        // Where the clock is behind, some of them have not expired.
        assert_eq!(pool.reserve_ref(&pool.take(6), at(199)).await, Ok(key_package_ref(2)));
        assert_eq!(pool.reserve_ref(&pool.take(7), at(99)).await, Ok(key_package_ref(1)));
        // By then, those leases have lapsed too: of one that is behind them, and of two that have expired.
        for n in [152, 153] {
            assert_eq!(pool.claim_ref(&pool.take(n + 100), at(300)).await, Ok(key_package_ref(n)));
        }
        assert_eq!(pool.reserve(&pool.take(8), at(300)).await, Err(PoolExhausted));
        assert_eq!(pool.reserve_ref(&pool.take(9), at(99)).await, Ok(key_package_ref(1)));
    }

    /// A package that was released, that lapsed, or whose time has come only now, keeps its place.
    #[rules("RES-2", "REL-1", "RES-9")]
    async fn a_package_that_returns_keeps_its_place(context: &Context) {
        let pool = context.pool().await;
        let mut batch = one_times(1..=5);
        batch[2] = one_time(3).valid(100, END);
        pool.stock(batch, at(0)).await;
        let lapses = pool.lease(&pool.take(1), at(0)).await;
        let released = pool.lease(&pool.take(2), at(0)).await;
        assert_eq!(
            [&lapses, &released].map(|token| token.key_package_ref.clone()),
            [1, 2].map(key_package_ref)
        );
        pool.released(&released, at(1)).await;
        assert_eq!(pool.available(at(1)).await, [2, 4, 5].map(key_package_ref));
        assert_eq!(pool.available(at(60)).await, [1, 2, 4, 5].map(key_package_ref));
        for n in 1..=5 {
            assert_eq!(
                pool.reserve_ref(&pool.take(10 + n), at(100)).await,
                Ok(key_package_ref(n))
            );
        }
    }

    /// Only packages of an accepted ciphersuite; none given means any, and an order means nothing.
    #[rules("RES-3", "RES-6")]
    async fn only_accepted_ciphersuites_are_handed_out(context: &Context) {
        let pool = context.stocked(vec![one_time(1), one_time(2).of(OTHER_SUITE), one_time(3)]).await;
        let other = pool.take(1).ciphersuites([OTHER_SUITE]);
        assert_eq!(pool.reserve_ref(&other, at(0)).await, Ok(key_package_ref(2)));
        let both = pool.take(2).ciphersuites([OTHER_SUITE, SUITE]);
        assert_eq!(pool.reserve_ref(&both, at(0)).await, Ok(key_package_ref(1)));
        let none_left = pool.take(3).ciphersuites([OTHER_SUITE]);
        assert_eq!(pool.reserve(&none_left, at(0)).await, Err(NothingFits));
        assert_eq!(pool.claim(&none_left, None, at(0)).await, Err(NothingFits));
        assert_eq!(pool.claim_ref(&pool.take(3), at(0)).await, Ok(key_package_ref(3)));
    }

    /// A package must have at least as much of its lifetime left as asked, to the second.
    #[rules("RES-3", "RES-6")]
    async fn enough_lifetime_must_be_left(context: &Context) {
        let pool = context.stocked(vec![one_time(1).valid(-DAY, 100), one_time(2).valid(-DAY, 200)]).await;
        assert_eq!(
            pool.reserve_ref(&pool.take(1).remaining(101), at(0)).await,
            Ok(key_package_ref(2))
        );
        assert_eq!(
            pool.reserve(&pool.take(2).remaining(101), at(0)).await,
            Err(NothingFits)
        );
        assert_eq!(
            pool.reserve(&pool.take(2).remaining(u32::MAX), at(0)).await,
            Err(NothingFits)
        );
        assert_eq!(
            pool.reserve_ref(&pool.take(2).remaining(100), at(0)).await,
            Ok(key_package_ref(1))
        );
    }

    /// A named package that is free and not as asked is `Unsuitable`, and one that is as asked is handed out, whatever
    /// is older.
    #[rules("RES-3", "RES-6")]
    async fn a_named_package_must_be_as_asked(context: &Context) {
        let pool = context.pool().await;
        let batch = vec![one_time(1), one_time(2), one_time(3).valid(10, END), last_resort(4)];
        pool.stock(batch, at(0)).await;
        let second = pool.take(1).only(key_package_ref(2));
        let left = u32::try_from(END).expect("it is small");
        for unfit in [
            second.clone().ciphersuites([OTHER_SUITE]),
            second.clone().remaining(left + 1),
            second.clone().last_resort(LastResort::Only),
            pool.take(1).only(key_package_ref(3)),
            pool.take(1).only(key_package_ref(4)),
            pool.take(1).only(key_package_ref(4)).last_resort(LastResort::Only),
        ] {
            assert_eq!(pool.reserve(&unfit, at(0)).await, Err(Unsuitable), "{unfit:?}");
            assert_eq!(pool.claim(&unfit, None, at(0)).await, Err(Unsuitable), "{unfit:?}");
        }
        assert_eq!(pool.status(4, at(0)).await, Some(Status::LastResort { used: false }));
        let fits = second
            .ciphersuites([OTHER_SUITE, SUITE])
            .remaining(left)
            .last_resort(LastResort::Never);
        assert_eq!(pool.reserve_ref(&fits, at(0)).await, Ok(key_package_ref(2)));
    }

    /// A lease ends `ttl` later, and at the package's `not_after` at the latest.
    #[rules("RES-4", "TIME-1")]
    async fn a_lease_ends_with_its_package_at_the_latest(context: &Context) {
        let pool = context.pool().await;
        pool.stock(
            vec![one_time(1), one_time(2), one_time(3), one_time(4).valid(-DAY, 50)],
            at(0),
        )
        .await;
        let most = u32::try_from(i32::MAX).expect("it is positive");
        for (n, seconds, expected) in [(1, 1, 1), (2, 60, 60), (3, most, END), (4, 60, 50)] {
            let take = pool.take(n).lasting(seconds);
            let (_, expires_at) = pool.lease_until(&take, OnLapse::Return, at(0)).await;
            assert_eq!(expires_at, at(expected));
            assert_eq!(
                pool.status(n, at(0)).await,
                reserved(expected)
            );
        }
        assert_eq!(pool.status(1, at(1)).await, Some(Status::Available));
        assert_eq!(pool.status(4, at(50)).await, Some(Status::Expired));
    }

    /// At a lapse a package returns to its place, or is spent since then, as its reservation said.
    #[rules("RES-9", "TIME-2")]
    async fn a_lapsed_package_returns_or_is_retired(context: &Context) {
        let pool = context.stocked(one_times([1, 2])).await;
        let (returns, _) = pool.lease_until(&pool.take(1), OnLapse::Return, at(0)).await;
        let (retires, _) = pool.lease_until(&pool.take(2), OnLapse::Retire, at(0)).await;
        let again = pool
            .lend(&pool.take(1), OnLapse::Retire, at(1))
            .await
            .expect("the same request");
        assert_eq!(
            again.lease.expect("the same lease").expires_at,
            at(60),
            "nothing changes"
        );
        let retired = spent(60, Cause::Retired);
        assert_eq!(
            pool.statuses([1, 2], at(60)).await,
            [Some(Status::Available), retired]
        );
        for token in [&returns, &retires] {
            let late = pool.spend(token, &no_usage(), at(60)).await;
            assert_eq!(late, Err(kp_core::Rejection::NoLiveReservation));
        }
        assert_eq!(
            pool.statuses([1, 2], at(500)).await,
            [Some(Status::Available), retired]
        );
        assert_eq!(
            pool.reserve(&pool.take(3).only(key_package_ref(2)), at(60)).await,
            Err(AlreadySpent)
        );
        assert_eq!(pool.reserve_ref(&pool.take(3), at(60)).await, Ok(key_package_ref(1)));
    }

    /// The binding of the id comes first, then the limit, then the package.
    #[rules("RES-10", "RES-5", "RES-7")]
    async fn a_request_is_judged_in_order(context: &Context) {
        let pool = context.stocked(vec![one_time(1), last_resort(2)]).await;
        let take = pool.take(1).by(party("alice"));
        let first = pool.reserve(&take, at(0)).await;
        assert_eq!(
            pool.reserve(&take.clone().limit(0), at(1)).await,
            first,
            "bound: the limit is not looked at"
        );
        let full = |m| pool.take(m).by(party("alice")).limit(1);
        let last = full(2).last_resort(LastResort::Only);
        for refused in [
            full(2).only(key_package_ref(1)),
            full(2).only(key_package_ref(9)),
            full(2),
            last,
        ] {
            assert_eq!(
                pool.reserve(&refused, at(1)).await,
                Err(TooManyReservations),
                "{refused:?}"
            );
            assert_eq!(
                pool.claim(&refused, None, at(1)).await,
                Err(TooManyReservations),
                "{refused:?}"
            );
        }
        assert_eq!(pool.status(2, at(1)).await, Some(Status::LastResort { used: false }));
        let empty = pool.beside("nobody");
        let none_allowed = empty.take(1).by(party("alice")).limit(0);
        assert_eq!(empty.reserve(&none_allowed, at(1)).await, Err(TooManyReservations));
    }

    /// A batch is judged item by item, over several pools, each item after the ones before it.
    #[rules("ERR-3", "RES-1", "RES-5")]
    async fn a_batch_of_requests_has_an_answer_for_each(context: &Context) {
        let bob = context.pool().await;
        let carol = bob.beside("carol/laptop");
        bob.stock(one_times([1, 2]), at(0)).await;
        carol.stock(one_times([3]), at(0)).await;
        let takes = [
            bob.take(1),
            carol.take(1),
            carol.take(2),
            bob.take(1),
            bob.take(2).ciphersuites([OTHER_SUITE]),
            bob.take(3),
        ];
        let answers = bob.store.reserve_key_packages(&takes, OnLapse::Return, at(0)).await;
        let given: Vec<_> = answers
            .into_iter()
            .map(|answer| crate::pool::answered(answer).map(|reserved| reserved.package.info.key_package_ref))
            .collect();
        let [first, second, third] = [1, 2, 3].map(key_package_ref);
        let expected = [
            Ok(first.clone()),
            Ok(third),
            Err(PoolExhausted),
            Ok(first),
            Err(NothingFits),
            Ok(second),
        ];
        assert_eq!(given, expected);
        assert!(
            bob.store
                .reserve_key_packages(&[], OnLapse::Return, at(0))
                .await
                .is_empty()
        );
        assert_eq!(bob.take(1).id, id(1), "one id serves several pools");
    }
}
