use crate::asking::Asking as _;
use kp_core::Rejection::{AlreadyReserved, NoLiveReservation, NotFound, NothingFits, PoolExhausted};
use kp_core::Slot;
use kp_core::server::SaveOutcome::AlreadyStored;
use kp_core::server::{LastResort, OnLapse};
use kp_core::{Ciphersuite, Status};

use crate::Context;
use crate::check::checks;
use crate::must_be::must_be;
use crate::packages::{
    Altered, DAY, END, OTHER_SUITE, SUITE, at, key_package_ref, last_resort, no_usage, one_time, one_times, party,
};

const FRESH: Option<Status> = Some(Status::LastResort { used: false });
const USED: Option<Status> = Some(Status::LastResort { used: true });

checks! {
    /// With nothing left the last resort is handed out, again and again, and marked for good. It comes without a lease, and
    /// binds no id: the same id later is a new request.
    #[rules("RES-6", "LAST-2", "LAST-4", "RES-5")]
    async fn the_last_resort_is_handed_out_when_nothing_is_left(context: &Context) {
        let pool = context.stocked(vec![last_resort(1), one_time(2)]).await;
        must_be!(pool.reserve_ref(&pool.take(1), at(0)).await, Ok(key_package_ref(2)), "one-time first");
        must_be!(pool.status(1, at(0)).await, FRESH);
        for n in 2..=5 {
            let reserved = pool.lend(&pool.take(n), OnLapse::Retire, at(0)).await;
            let reserved = reserved.expect("a last resort is there");
            must_be!((reserved.package, reserved.lease), (last_resort(1), None));
            let by_alice = pool.take(n).by(party("alice"));
            must_be!(pool.claim(&by_alice, None, at(0)).await, Ok(last_resort(1)));
        }
        must_be!(pool.save_one(last_resort(1), at(1)).await, AlreadyStored);
        must_be!(pool.status(1, at(500)).await, USED, "it is shared, and never used up");
        let count = pool.count(SUITE, at(1)).await;
        must_be!((count.available, count.reserved, count.last_resort), (0, 1, Slot::Used));
        pool.stock(one_times([3]), at(1)).await;
        must_be!(pool.reserve_ref(&pool.take(2), at(1)).await, Ok(key_package_ref(3)));
        let token = pool.token(1, 2);
        must_be!(pool.spend(&token, &no_usage(), at(1)).await, Err(NoLiveReservation));
        must_be!(pool.release(&token, at(1)).await, Err(NoLiveReservation));
    }

    /// It is not handed out with `Never`, for a named package, when it does not fit, or when it has expired.
    #[rules("RES-6", "LAST-2", "RES-3")]
    async fn the_last_resort_is_handed_out_only_where_it_fits(context: &Context) {
        let pool = context.stocked(vec![last_resort(1).valid(-DAY, 100), one_time(2)]).await;
        pool.lease(&pool.take(1), at(50)).await;
        let never = pool.take(2).last_resort(LastResort::Never);
        for only in [pool.take(2), pool.take(2).last_resort(LastResort::Only)] {
            for unfit in [only.clone().ciphersuites([OTHER_SUITE]), only.clone().remaining(51)] {
                pool.refuses(&unfit, at(50), PoolExhausted).await;
            }
            // Never served expired.
            pool.refuses(&only, at(100), PoolExhausted).await;
        }
        pool.refuses(&never, at(50), PoolExhausted).await;
        let named = pool.take(2).only(key_package_ref(2));
        pool.refuses(&named, at(50), AlreadyReserved).await;
        must_be!(pool.status(1, at(99)).await, FRESH, "none of them got it");
        must_be!(pool.status(1, at(100)).await, Some(Status::Expired));
        let exact = pool.take(2).ciphersuites([OTHER_SUITE, SUITE]).remaining(50);
        must_be!(pool.reserve_ref(&exact, at(50)).await, Ok(key_package_ref(1)));
    }

    /// What is reserved, not yet valid or expired is not available: the pool is exhausted. What is available and not as
    /// asked means that nothing fits, of whatever ciphersuite it is. A request that is refused binds nothing.
    #[rules("RES-6", "READ-5", "RES-5")]
    async fn exhausted_and_nothing_fits_are_told_apart(context: &Context) {
        let pool = context.pool().await;
        // A pool never seen is empty.
        let alices = pool.take(1).by(party("alice"));
        pool.refuses(&alices, at(0), PoolExhausted).await;
        must_be!(pool.save(Vec::new(), at(0)).await, []);
        must_be!(pool.pools_by(10).await, [], "to ask makes no pool, nor does an empty batch");
        let batch = vec![one_time(1), one_time(2).valid(50, END), one_time(3).valid(-DAY, 5)];
        pool.stock(batch, at(0)).await;
        pool.refuses(&alices.only(key_package_ref(9)), at(10), NotFound).await;
        pool.lease(&pool.take(1), at(10)).await;
        pool.refuses(&pool.take(2), at(10), PoolExhausted).await;
        pool.stock(vec![one_time(4).of(OTHER_SUITE)], at(10)).await;
        pool.refuses(&pool.take(2).ciphersuites([SUITE]), at(10), NothingFits).await;
        pool.refuses(&pool.take(2).remaining(u32::MAX), at(10), NothingFits).await;
    }

    /// Of several slots that fit, the oldest saved; a replaced one counts as saved when it was replaced.
    #[rules("RES-6", "RES-2")]
    async fn of_several_last_resorts_the_oldest_saved_is_handed_out(context: &Context) {
        let third = Ciphersuite(2);
        let batch = vec![last_resort(1).of(third), last_resort(2).of(OTHER_SUITE), last_resort(3)];
        let pool = context.stocked(batch).await;
        must_be!(pool.reserve_ref(&pool.take(1), at(0)).await, Ok(key_package_ref(1)));
        let two = pool.take(2).ciphersuites([SUITE, OTHER_SUITE]);
        must_be!(pool.reserve_ref(&two, at(0)).await, Ok(key_package_ref(2)));
        pool.stock(vec![last_resort(4).of(third)], at(1)).await;
        must_be!(pool.reserve_ref(&pool.take(3), at(1)).await, Ok(key_package_ref(2)));
        pool.withdraw([2], at(1)).await;
        must_be!(pool.reserve_ref(&pool.take(4), at(1)).await, Ok(key_package_ref(3)));
        must_be!(pool.statuses([3, 4], at(1)).await, [USED, FRESH]);
    }
}
