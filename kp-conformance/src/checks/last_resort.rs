use crate::asking::Asking as _;
use kp_core::Rejection::{AlreadyReserved, NothingFits, PoolExhausted};
use kp_core::Slot;
use kp_core::server::SaveOutcome::{AlreadySpent, AlreadyStored, NotYetValid, Saved};
use kp_core::server::{LastResort, OnLapse};
use kp_core::{Cause, Ciphersuite, Status};

use crate::Context;
use crate::check::checks;
use crate::packages::{Altered, DAY, END, OTHER_SUITE, SUITE, at, key_package_ref, last_resort, one_time, one_times};

const FRESH: Option<Status> = Some(Status::LastResort { used: false });
const USED: Option<Status> = Some(Status::LastResort { used: true });

checks! {
    /// With nothing left the last resort is handed out, again and again, without a lease.
    #[rules("RES-6", "LAST-2", "LAST-4")]
    async fn the_last_resort_is_handed_out_when_nothing_is_left(context: &Context) {
        let pool = context.stocked(vec![last_resort(1), one_time(2)]).await;
        assert_eq!(
            pool.reserve_ref(&pool.take(1), at(0)).await,
            Ok(key_package_ref(2)),
            "one-time first"
        );
        assert_eq!(pool.status(1, at(0)).await, FRESH);
        for n in 2..=5 {
            let reserved = pool
                .lend(&pool.take(n), OnLapse::Retire, at(0))
                .await
                .expect("a last resort is there");
            assert_eq!((reserved.package, reserved.lease), (last_resort(1), None));
            assert_eq!(pool.claim(&pool.take(n), None, at(0)).await, Ok(last_resort(1)));
        }
        assert_eq!(pool.status(1, at(500)).await, USED, "it is shared, and never used up");
        let count = pool.count(SUITE, at(0)).await;
        assert_eq!((count.available, count.reserved, count.last_resort), (0, 1, Slot::Used));
    }

    /// It is not handed out with `Never`, for a named package, when it does not fit, or when it has expired.
    #[rules("RES-6", "LAST-2", "RES-3")]
    async fn the_last_resort_is_handed_out_only_where_it_fits(context: &Context) {
        let pool = context.stocked(vec![last_resort(1).valid(-DAY, 100), one_time(2)]).await;
        pool.lease(&pool.take(1), at(50)).await;
        let never = pool.take(2).last_resort(LastResort::Never);
        for only in [pool.take(2), pool.take(2).last_resort(LastResort::Only)] {
            for unfit in [only.clone().ciphersuites([OTHER_SUITE]), only.clone().remaining(51)] {
                assert_eq!(pool.reserve(&unfit, at(50)).await, Err(PoolExhausted), "{unfit:?}");
                assert_eq!(pool.claim(&unfit, None, at(50)).await, Err(PoolExhausted), "{unfit:?}");
            }
            assert_eq!(
                pool.reserve(&only, at(100)).await,
                Err(PoolExhausted),
                "never served expired"
            );
        }
        assert_eq!(pool.reserve(&never, at(50)).await, Err(PoolExhausted));
        let named = pool.take(2).only(key_package_ref(2));
        assert_eq!(pool.reserve(&named, at(50)).await, Err(AlreadyReserved));
        assert_eq!(pool.status(1, at(99)).await, FRESH, "none of them got it");
        assert_eq!(pool.status(1, at(100)).await, Some(Status::Expired));
        let exact = pool.take(2).ciphersuites([OTHER_SUITE, SUITE]).remaining(50);
        assert_eq!(pool.reserve_ref(&exact, at(50)).await, Ok(key_package_ref(1)));
    }

    /// With `Only` the last resort is handed out though others are available; when none fits, nothing does.
    #[rules("RES-6")]
    async fn only_a_last_resort_will_do_when_it_is_asked_for(context: &Context) {
        let pool = context.pool().await;
        let only = pool.take(1).last_resort(LastResort::Only);
        assert_eq!(
            pool.reserve(&only, at(0)).await,
            Err(PoolExhausted),
            "a pool never seen is empty"
        );
        pool.stock(one_times([1]), at(0)).await;
        assert_eq!(pool.reserve(&only, at(0)).await, Err(NothingFits));
        pool.stock(vec![last_resort(2)], at(0)).await;
        assert_eq!(pool.claim(&only, None, at(0)).await, Ok(last_resort(2)));
        assert_eq!(pool.reserve(&only.ciphersuites([OTHER_SUITE]), at(0)).await, Err(NothingFits));
        assert_eq!(pool.available(at(0)).await, [key_package_ref(1)]);
    }

    /// What is reserved, not yet valid or expired is not available: the pool is exhausted. What is available and not as
    /// asked means that nothing fits, of whatever ciphersuite it is.
    #[rules("RES-6", "READ-5")]
    async fn exhausted_and_nothing_fits_are_told_apart(context: &Context) {
        let pool = context.pool().await;
        assert_eq!(
            pool.reserve(&pool.take(1), at(0)).await,
            Err(PoolExhausted),
            "a pool never seen is empty"
        );
        assert_eq!(pool.claim(&pool.take(1), None, at(0)).await, Err(PoolExhausted));
        let page = pool.store.list_pools(None, 10).await.expect("the backend works");
        assert_eq!(page.items, [], "to ask makes no pool");
        pool.stock(
            vec![one_time(1), one_time(2).valid(50, END), one_time(3).valid(-DAY, 5)],
            at(0),
        )
        .await;
        pool.lease(&pool.take(1), at(10)).await;
        assert_eq!(pool.reserve(&pool.take(2), at(10)).await, Err(PoolExhausted));
        pool.stock(vec![one_time(4).of(OTHER_SUITE)], at(10)).await;
        assert_eq!(
            pool.reserve(&pool.take(2).ciphersuites([SUITE]), at(10)).await,
            Err(NothingFits)
        );
        assert_eq!(
            pool.reserve(&pool.take(2).remaining(u32::MAX), at(10)).await,
            Err(NothingFits)
        );
    }

    /// Of several slots that fit, the oldest saved; a replaced one counts as saved when it was replaced.
    #[rules("RES-6", "RES-2")]
    async fn of_several_last_resorts_the_oldest_saved_is_handed_out(context: &Context) {
        let pool = context.pool().await;
        let third = Ciphersuite(2);
        pool.stock(
            vec![last_resort(1).of(third), last_resort(2).of(OTHER_SUITE), last_resort(3)],
            at(0),
        )
        .await;
        assert_eq!(pool.reserve_ref(&pool.take(1), at(0)).await, Ok(key_package_ref(1)));
        let two = pool.take(2).ciphersuites([SUITE, OTHER_SUITE]);
        assert_eq!(pool.reserve_ref(&two, at(0)).await, Ok(key_package_ref(2)));
        pool.stock(vec![last_resort(4).of(third)], at(1)).await;
        assert_eq!(pool.reserve_ref(&pool.take(3), at(1)).await, Ok(key_package_ref(2)));
        pool.withdraw([2], at(1)).await;
        assert_eq!(pool.reserve_ref(&pool.take(4), at(1)).await, Ok(key_package_ref(3)));
        assert_eq!(pool.statuses([3, 4], at(1)).await, [USED, FRESH]);
    }

    /// Another last resort of the ciphersuite takes the slot; the old one is remembered as replaced, without bytes.
    #[rules("LAST-1", "SAVE-3")]
    async fn another_last_resort_takes_the_slot(context: &Context) {
        let pool = context.stocked(vec![last_resort(1), last_resort(2).of(OTHER_SUITE)]).await;
        pool.claimed(&pool.take(1), at(0)).await;
        assert_eq!(pool.save_one(last_resort(3), at(7)).await, Saved);
        let old = pool.get(1, at(7)).await.expect("it is remembered");
        assert_eq!(
            old.status,
            Status::Spent {
                at: at(7),
                cause: Cause::Replaced
            }
        );
        assert_eq!(old.bytes, None);
        assert_eq!(
            pool.statuses([2, 3], at(7)).await,
            [FRESH, FRESH],
            "each ciphersuite has its own slot"
        );
        assert_eq!(
            pool.save_one(last_resort(1), at(8)).await,
            AlreadySpent,
            "a late retry does not bring it back"
        );
        assert_eq!(pool.status(3, at(8)).await, FRESH);
        let count = pool.count(SUITE, at(8)).await;
        assert_eq!((count.spent, count.last_resort, count.total()), (1, Slot::Unused, 2));
    }

    /// One that is not yet valid is refused, and the slot stays; it is taken from its `not_before` on.
    #[rules("LAST-2", "TIME-1")]
    async fn a_last_resort_of_the_future_is_refused(context: &Context) {
        let pool = context.stocked(vec![last_resort(1)]).await;
        let future = last_resort(2).valid(100, END);
        assert_eq!(pool.save_one(future.clone(), at(99)).await, NotYetValid);
        assert_eq!(pool.statuses([1, 2], at(99)).await, [FRESH, None]);
        assert_eq!(pool.save_one(future, at(100)).await, Saved);
        assert_eq!(pool.reserve_ref(&pool.take(1), at(100)).await, Ok(key_package_ref(2)));
        assert_eq!(
            pool.reserve(&pool.take(1), at(99)).await,
            Err(PoolExhausted),
            "not before its time"
        );
    }

    /// `used` is kept when the same package is saved again, and a new package starts unused.
    #[rules("LAST-4", "SAVE-2")]
    async fn use_is_remembered_until_the_package_is_replaced(context: &Context) {
        let pool = context.stocked(vec![last_resort(1)]).await;
        assert_eq!(pool.save_one(last_resort(1), at(1)).await, AlreadyStored);
        assert_eq!(pool.status(1, at(1)).await, FRESH);
        pool.reserve(&pool.take(1), at(1))
            .await
            .expect("a last resort is there");
        assert_eq!(pool.count(SUITE, at(1)).await.last_resort, Slot::Used);
        assert_eq!(pool.save_one(last_resort(1), at(2)).await, AlreadyStored);
        assert_eq!(pool.status(1, at(2)).await, USED);
        assert_eq!(pool.save_one(last_resort(2), at(3)).await, Saved);
        assert_eq!(pool.count(SUITE, at(3)).await.last_resort, Slot::Unused);
    }
}
