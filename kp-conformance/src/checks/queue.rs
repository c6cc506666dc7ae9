use kp_core::Rejection::PoolExhausted;
use kp_core::server::SaveOutcome::{AlreadyStored, Expired, Saved};

use crate::Context;
use crate::asking::Asking as _;
use crate::check::checks;
use crate::must_be::must_be;
use crate::packages::{Altered, DAY, at, key_package_ref, one_time, one_times};
use crate::pool::Pool;

/// How many packages have their end in common: more than a queue passes over one by one.
const MANY: u64 = 80;

/// Saves so many that end at 100, which a request passes over then.
async fn passed_over(pool: &Pool) {
    pool.stock((1..=MANY).map(|n| one_time(n).valid(-DAY, 100)).collect(), at(0))
        .await;
    pool.refuses(&pool.take(1), at(100), PoolExhausted).await;
}

checks! {
    /// A pool that was swept empty, or deleted, begins anew: what was passed over there before hides nothing of what comes
    /// after.
    #[rules("RES-8", "RES-2", "SWEEP-1", "DEL-1")]
    async fn a_pool_that_was_emptied_begins_anew(context: &Context) {
        let first = context.pool().await;
        for (name, swept) in [("bob", true), ("carol", false)] {
            let pool = first.beside(name);
            passed_over(&pool).await;
            if swept {
                must_be!(pool.cleanup(at(10_000), 1_000).await, MANY);
            } else {
                pool.delete().await;
            }
            let ending = |n, end| one_time(n).valid(-DAY, end);
            pool.stock(vec![ending(201, 20_000), ending(202, 30_000)], at(10_000)).await;
            let given = pool.claim_ref(&pool.take(2), at(20_000)).await;
            must_be!(given, Ok(key_package_ref(202)), "the first has expired, and the second is free");
        }
    }

    /// Where the clock is behind, the oldest that has not expired is handed out, also when a request with a later `now` has
    /// passed over it, and also where a part of that has expired by the earlier one; what was taken by name before is not
    /// looked for.
    #[rules("TIME-3", "RES-2")]
    async fn what_was_passed_over_is_there_where_the_clock_is_behind(context: &Context) {
        let (oldest, live) = (MANY + 1, 2 * MANY + 1);
        let end = |n| if n == oldest { 50 } else { 100 };
        let mut packages: Vec<_> = (1..live).map(|n| one_time(n).valid(-DAY, end(n))).collect();
        packages.extend(one_times([live, live + 1]));
        let pool = context.stocked(packages).await;
        for n in 1..oldest {
            pool.claimed(&pool.take(n).only(key_package_ref(n)), at(0)).await;
        }
        must_be!(pool.claim_ref(&pool.take(1_001), at(100)).await, Ok(key_package_ref(live)));
        must_be!(pool.claim_ref(&pool.take(1_002), at(60)).await, Ok(key_package_ref(oldest + 1)));
        must_be!(pool.claim_ref(&pool.take(1_003), at(49)).await, Ok(key_package_ref(oldest)));
        must_be!(pool.claim_ref(&pool.take(1_004), at(100)).await, Ok(key_package_ref(live + 1)));
        must_be!(pool.claim_ref(&pool.take(1_005), at(99)).await, Ok(key_package_ref(oldest + 2)));
    }

    /// A package that returns is handed out next, however many behind it are gone: what lies before them is not forgotten with
    /// them.
    #[rules("RES-2", "REL-1", "READ-2")]
    async fn what_returns_before_many_that_are_gone_is_the_oldest(context: &Context) {
        let pool = context.stocked(one_times(1..=MANY)).await;
        let oldest = pool.lease(&pool.take(1), at(0)).await;
        pool.withdraw(3..MANY, at(0)).await;
        must_be!(pool.reserve_ref(&pool.take(2), at(0)).await, Ok(key_package_ref(2)));
        must_be!(pool.reserve_ref(&pool.take(3), at(0)).await, Ok(key_package_ref(MANY)));
        pool.released(&oldest, at(0)).await;
        must_be!(pool.available(at(0)).await, [key_package_ref(1)]);
        must_be!(pool.reserve_ref(&pool.take(4), at(0)).await, Ok(key_package_ref(1)));
    }

    /// Each package saved has a place of its own behind all others, whatever became of those: refused items, the newest swept,
    /// a ref that starts anew.
    #[rules("RES-2", "READ-2", "SAVE-7")]
    async fn every_package_has_a_place_of_its_own(context: &Context) {
        let pool = context.pool().await;
        let ends = |n| one_time(n).valid(-DAY, 100);
        let batch = vec![one_time(1), one_time(1), one_time(2).valid(-DAY, 0), one_time(3), ends(4)];
        must_be!(pool.save(batch, at(0)).await, [Saved, AlreadyStored, Expired, Saved, Saved]);
        pool.stock(vec![one_time(5), ends(6), ends(7)], at(0)).await;
        // The newest are gone.
        must_be!(pool.cleanup(at(100), 10).await, 3);
        pool.stock(one_times([8, 6]), at(100)).await;
        pool.withdraw([8], at(100)).await;
        pool.stock(one_times([9, 10]), at(100)).await;
        let order = [1, 3, 5, 6, 9, 10].map(key_package_ref);
        must_be!(pool.available(at(100)).await, order, "in the order of saving");
        for (n, expected) in (1..).zip(order) {
            let taken = pool.taken(n % 2 == 0, &pool.take(n), at(100)).await;
            must_be!(taken, Ok(expected), "the {n}. request");
        }
        pool.refuses(&pool.take(20), at(100), PoolExhausted).await;
    }
}
