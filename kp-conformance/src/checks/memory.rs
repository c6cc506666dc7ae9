use kp_core::server::{LastResort, OnLapse, SaveOutcome, Withdrawal};
use kp_core::{Cause, Rejection};

use crate::Context;
use crate::asking::Asking as _;
use crate::check::checks;
use crate::must_be::must_be;
use crate::packages::{Altered, DAY, SUITE, at, key_package_ref, last_resort, one_time, one_times, spent, usage};

/// A moment after so many days.
fn days(days: i64) -> i64 {
    days * DAY
}

checks! {
    /// What was used, withdrawn, retired or replaced is remembered until its package's `not_after`, a year away, however often
    /// the pools are swept before: it does not come back, and its spend is answered with its receipt.
    #[rules("SWEEP-1", "SAVE-3", "SPEND-3", "SWEEP-2")]
    async fn what_is_gone_is_remembered_as_long_as_its_package(context: &Context) {
        let lasting = |package: kp_core::KeyPackage| package.valid(-DAY, days(366));
        let packages = || [1, 2, 3, 4].map(|n| lasting(one_time(n)));
        let pool = context.stocked(packages().into()).await;
        pool.stock(vec![lasting(last_resort(5))], at(0)).await;
        pool.stock(vec![lasting(last_resort(6))], at(0)).await;
        pool.claimed(&pool.take(1), at(0)).await;
        let token = pool.lease(&pool.take(2), at(0)).await;
        let receipt = pool.spent(&token, &usage("club", "alice"), at(0)).await;
        pool.lease_until(&pool.take(3), OnLapse::Retire, at(0)).await;
        pool.withdraw([4], at(0)).await;
        let used = pool.take(7).last_resort(LastResort::Only);
        pool.claimed(&used, at(0)).await;
        let gone = [
            spent(0, Cause::Used),
            spent(0, Cause::Used),
            spent(60, Cause::Retired),
            spent(0, Cause::Withdrawn),
            spent(0, Cause::Replaced),
        ];
        for now in [3_600, days(1), days(2), days(8), days(32), days(100), days(366) - 1] {
            must_be!(pool.cleanup(at(now), 100).await, 0, "nothing is past its end {now} s later");
            pool.settle(at(now), 100).await;
            must_be!(pool.statuses(1..=5, at(now)).await, gone, "{now} s later");
            let again = [packages().into(), vec![lasting(last_resort(5))]].concat();
            let outcomes = pool.save(again, at(now)).await;
            must_be!(outcomes, [SaveOutcome::AlreadySpent; 5], "nothing comes back {now} s later");
            let replayed = pool.spend(&token, &usage("club", "alice"), at(now)).await;
            must_be!(replayed.as_ref(), Ok(&receipt), "the same spend, {now} s later");
            let other = pool.spend(&token, &usage("family", "alice"), at(now)).await;
            must_be!(other, Err(Rejection::AlreadySpent), "{now} s later");
        }
        must_be!(pool.cleanup(at(days(366)), 100).await, 6);
    }

    /// A sweep leaves a pool of thousands as it is, while nothing in it is past its `not_after`: what is free, and, when all
    /// was withdrawn, what is gone.
    #[rules("SWEEP-1", "SAVE-3", "SWEEP-2")]
    async fn a_sweep_leaves_a_large_pool_whole(context: &Context) {
        const ALL: u64 = 3_000;
        let pool = context.pool().await;
        for batch in 0..3 {
            pool.stock(one_times(batch * 1_000..(batch + 1) * 1_000), at(0)).await;
        }
        let swept = async |now, what: &str| {
            must_be!(pool.cleanup(at(now), 10_000).await, 0, "{what}");
            must_be!(pool.settle(at(now), 10_000).await, 0, "{what}");
            let count = pool.count(SUITE, at(now)).await;
            must_be!(u64::from(count.total()), ALL, "{what}: {count:?}");
            count
        };
        must_be!(swept(1, "all are free").await.available, 3_000);
        must_be!(pool.withdraw_as(&Withdrawal::All, at(1)).await.len() as u64, ALL);
        must_be!(swept(DAY, "all are gone").await.spent, 3_000);
        let some = [0, 999, 1_500, 2_999];
        must_be!(pool.statuses(some, at(DAY)).await, [spent(1, Cause::Withdrawn); 4]);
        must_be!(pool.save(one_times(some), at(DAY)).await, [SaveOutcome::AlreadySpent; 4]);
        must_be!(pool.save_one(one_time(ALL), at(DAY)).await, SaveOutcome::Saved);
        must_be!(pool.available(at(DAY)).await, [key_package_ref(ALL)]);
    }
}
