use crate::asking::Asking as _;
use futures::future::BoxFuture;
use kp_core::Rejection::{AlreadySpent, NoLiveReservation, NotFound, PoolExhausted};
use kp_core::server::{OnLapse, SaveOutcome, Withdrawal};
use kp_core::{Lifetime, Status, Timestamp, Ttl};

use crate::Context;
use crate::check::checks;
use crate::packages::{Altered, DAY, at, key_package_ref, no_usage, one_time, one_times, reserved};
use crate::pool::Pool;

/// A call at 60, when the lease of the first package and the claim window of the second have come to their end.
type Call = for<'a> fn(&'a Pool) -> BoxFuture<'a, ()>;

/// Calls that change a pool, all of them refused or without effect of their own.
const CHANGING: [(&str, Call); 9] = [
    ("save_key_packages", |pool| {
        Box::pin(async {
            let outcome = pool.save_one(one_time(9).valid(-DAY, 0), at(60)).await;
            assert_eq!(outcome, SaveOutcome::Expired);
        })
    }),
    ("reserve_key_packages", |pool| {
        Box::pin(async {
            let missing = pool.take(9).only(key_package_ref(9));
            assert_eq!(pool.reserve(&missing, at(60)).await, Err(NotFound));
        })
    }),
    ("claim_key_packages", |pool| {
        Box::pin(async {
            let missing = pool.take(9).only(key_package_ref(9));
            assert_eq!(pool.claim(&missing, None, at(60)).await, Err(NotFound));
        })
    }),
    ("spend_key_packages", |pool| {
        Box::pin(async { assert_eq!(pool.spend(&pool.token(9, 9), &no_usage(), at(60)).await, Err(NotFound)) })
    }),
    ("release_key_packages", |pool| {
        Box::pin(async { assert_eq!(pool.release(&pool.token(9, 9), at(60)).await, Err(NotFound)) })
    }),
    ("withdraw_key_packages", |pool| {
        Box::pin(async {
            pool.withdraw([9], at(60)).await;
        })
    }),
    ("retire_unspent", |pool| {
        Box::pin(async { assert_eq!(pool.retire(Timestamp::MIN, at(60)).await, 0) })
    }),
    ("release_expired_reservations", |pool| {
        Box::pin(async { assert_eq!(pool.settle(at(60), 10).await, 2) })
    }),
    ("spend of what has lapsed", |pool| {
        Box::pin(async {
            assert_eq!(
                pool.spend(&pool.token(1, 1), &no_usage(), at(60)).await,
                Err(NoLiveReservation)
            )
        })
    }),
];

/// Calls that settle nothing of the pool.
const OTHERS: [(&str, Call); 6] = [
    ("reads", |pool| {
        Box::pin(async {
            pool.picture(1..=3, at(60)).await;
        })
    }),
    ("cleanup_expired", |pool| {
        Box::pin(async {
            pool.cleanup(at(60), 10).await;
        })
    }),
    ("empty batches", |pool| {
        Box::pin(async {
            pool.save(Vec::new(), at(60)).await;
            pool.replace(Vec::new(), at(60)).await;
            pool.withdraw_as(&Withdrawal::Refs(Vec::new()), at(60)).await;
            assert!(
                pool.store
                    .reserve_key_packages(&[], OnLapse::Return, at(60))
                    .await
                    .is_empty()
            );
            assert!(pool.store.claim_key_packages(&[], None, at(60)).await.is_empty());
            assert!(pool.store.spend_key_packages(&[], &no_usage(), at(60)).await.is_empty());
            assert!(pool.store.release_key_packages(&[], at(60)).await.is_empty());
        })
    }),
    ("calls on another pool", |pool| {
        Box::pin(async {
            let other = pool.beside("carol/laptop");
            other.stock(one_times([1]), at(60)).await;
            other.lease(&other.take(1), at(60)).await;
            other.withdraw_as(&Withdrawal::All, at(200)).await;
        })
    }),
    ("delete_pool of another pool", |pool| {
        Box::pin(async { pool.beside("carol/laptop").delete().await })
    }),
    ("calls a second too soon", |pool| {
        Box::pin(async {
            assert_eq!(
                pool.reserve(&pool.take(9).only(key_package_ref(9)), at(59)).await,
                Err(NotFound)
            );
            assert_eq!(pool.settle(at(59), 10).await, 0);
        })
    }),
];

/// A pool with a lease on the first package and a claim of the second, both until 60, and a third package.
async fn ending(context: &Context, name: &str) -> Pool {
    let pool = context.pool().await.beside(name);
    pool.stock(one_times(1..=3), at(0)).await;
    pool.lease(&pool.take(1), at(0)).await;
    pool.claimed(&pool.take(2), at(0)).await;
    pool
}

checks! {
    /// Times at their bounds are kept to the second.
    #[rules("TIME-1", "RES-4")]
    async fn times_at_their_bounds_are_exact(context: &Context) {
        assert!(Timestamp::try_from(-1).is_err() && Timestamp::try_from(1 << 53).is_err());
        assert!(Ttl::try_from(0).is_err() && Ttl::try_from(1 << 31).is_err());
        assert!(Lifetime::new(at(1), at(1)).is_err());
        let pool = context.pool().await;
        let max = Timestamp::MAX;
        let mut whole = one_time(1);
        whole.info.lifetime = Lifetime::new(Timestamp::MIN, max).expect("it begins before it ends");
        pool.stock(vec![whole.clone()], Timestamp::MIN).await;
        let longest = pool.take(1).lasting((1 << 31) - 1);
        let (first, until) = pool.lease_until(&longest, OnLapse::Return, Timestamp::MIN).await;
        assert_eq!(until.get(), (1 << 31) - 1);
        pool.released(&first, until.minus(1)).await;
        let second = pool.take(2).lasting(1);
        let (_, until) = pool.lease_until(&second, OnLapse::Return, max.minus(3)).await;
        assert_eq!(until, max.minus(2));
        assert_eq!(pool.reserve(&pool.take(3), max.minus(3)).await, Err(PoolExhausted));
        let (token, until) = pool.lease_until(&pool.take(3), OnLapse::Return, max.minus(2)).await;
        assert_eq!(until, max);
        assert_eq!(
            pool.spent(&token, &no_usage(), max.minus(1)).await
                .spent_at,
            max.minus(1)
        );
        let stored = pool.get(1, max.minus(1)).await.expect("it is remembered");
        assert_eq!(stored.info, whole.info);
        assert_eq!(pool.status(1, max).await, Some(Status::Expired));
        assert_eq!(pool.cleanup(max.minus(1), 10).await, 0);
        assert_eq!(pool.cleanup(max, 10).await, 1);
    }

    /// A changing call settles its pool first, also when it is then refused: what has ended stays ended.
    #[rules("TIME-2", "TIME-3")]
    async fn a_changing_call_settles_its_pool_also_when_refused(context: &Context) {
        for (name, call) in CHANGING {
            let pool = ending(context, name).await;
            call(&pool).await;
            assert_eq!(
                pool.claim(&pool.take(2), None, at(59)).await,
                Err(AlreadySpent),
                "{name} ends the window"
            );
            assert_eq!(
                pool.status(1, at(59)).await,
                Some(Status::Available),
                "{name} ends the lease"
            );
            let late = pool.spend(&pool.token(1, 1), &no_usage(), at(59)).await;
            assert_eq!(late, Err(NoLiveReservation), "{name} ends the lease");
        }
    }

    /// What changes nothing of a pool settles nothing of it: where the clock is behind, the lease goes on.
    #[rules("TIME-2", "READ-1", "SAVE-2")]
    async fn what_is_no_call_on_the_pool_settles_nothing(context: &Context) {
        for (name, call) in OTHERS {
            let pool = ending(context, name).await;
            call(&pool).await;
            assert_eq!(
                pool.claim(&pool.take(2), None, at(59)).await,
                Ok(one_time(2)),
                "{name} ends no window"
            );
            let receipt = pool.spend(&pool.token(1, 1), &no_usage(), at(59)).await;
            assert!(receipt.is_ok(), "{name} ends no lease");
        }
    }

    /// Each item of a call on many pools settles the pool it names.
    #[rules("TIME-2")]
    async fn each_item_settles_the_pool_it_names(context: &Context) {
        let bob = ending(context, "bob").await;
        let carol = ending(context, "carol").await;
        let dave = ending(context, "dave").await;
        let tokens = [bob.token(9, 9), carol.token(9, 9)];
        let _ = bob.store.spend_key_packages(&tokens, &no_usage(), at(60)).await;
        for pool in [&bob, &carol] {
            assert_eq!(pool.status(1, at(59)).await, Some(Status::Available));
        }
        assert_eq!(dave.status(1, at(59)).await, reserved(60));
    }

    /// At most one id holds a package, whatever `now` is passed.
    #[rules("TIME-3", "RES-1", "SPEND-2")]
    async fn one_id_holds_a_package_whatever_the_time(context: &Context) {
        let pool = context.stocked(one_times([1])).await;
        let first = pool.lease(&pool.take(1), at(0)).await;
        let second = pool.lease(&pool.take(2), at(60)).await;
        for now in [30, 0, -60, 61] {
            assert_eq!(
                pool.reserve(&pool.take(1), at(now)).await,
                Err(PoolExhausted),
                "at {now}"
            );
            assert_eq!(
                pool.spend(&first, &no_usage(), at(now)).await,
                Err(NoLiveReservation),
                "at {now}"
            );
            assert_eq!(pool.release(&first, at(now)).await, Err(NoLiveReservation), "at {now}");
        }
        let receipt = pool.spent(&second, &no_usage(), at(30)).await;
        assert_eq!(receipt.spent_at, at(30));
    }

    /// A reservation made where the clock is behind ends by that clock.
    #[rules("TIME-3", "RES-4")]
    async fn a_lease_counts_from_the_now_of_its_call(context: &Context) {
        let pool = context.pool().await;
        pool.stock(one_times([1, 2]), at(100)).await;
        let (_, until) = pool.lease_until(&pool.take(1), OnLapse::Return, at(20)).await;
        assert_eq!(until, at(80));
        assert_eq!(
            pool.reserve_ref(&pool.take(2), at(100)).await,
            Ok(key_package_ref(1)),
            "lapsed by this clock"
        );
        assert_eq!(
            pool.spend(&pool.token(1, 1), &no_usage(), at(20)).await,
            Err(NoLiveReservation)
        );
    }
}
