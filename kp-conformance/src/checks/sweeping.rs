use crate::asking::Asking as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kp_core::Rejection::{NoLiveReservation, NotFound, PoolExhausted};
use kp_core::server::OnLapse;
use kp_core::server::SaveOutcome::Saved;
use kp_core::{Cause, Status, Timestamp};

use crate::Context;
use crate::at_once::at_once;
use crate::check::checks;
use crate::must_be::must_be;
use crate::packages::{
    Altered, DAY, OTHER_SUITE, SUITE, at, key_package_ref, last_resort, no_usage, one_time, one_times, party, spent,
};
use crate::pool::{Pool, works};

/// This many pools with a lapsing lease and a claim window each, which end at 60.
async fn lapsing(context: &Context, pools: usize) -> Vec<Pool> {
    let first = context.pool().await;
    let pools: Vec<_> = (0..pools).map(|n| first.beside(&format!("user-{n}"))).collect();
    for pool in &pools {
        pool.stock(one_times([1, 2, 3]), at(0)).await;
        pool.lease(&pool.take(1), at(0)).await;
        pool.claimed(&pool.take(2), at(0)).await;
    }
    pools
}

/// A settling of a few small pools takes milliseconds, and on a machine that is starved seconds.
const LONG: Duration = Duration::from_secs(30);

/// Settles one pool at most, in a task of its own: a sweep that goes round in circles hangs neither the check nor its clock.
async fn settled_in_time(pool: &Pool, now: Timestamp) -> u64 {
    let pool = pool.clone();
    let settled = tokio::spawn(async move { pool.settle(now, 1).await });
    match tokio::time::timeout(LONG, settled).await {
        Ok(Ok(settled)) => settled,
        Ok(Err(failed)) => std::panic::resume_unwind(failed.into_panic()),
        Err(_) => panic!(
            "a settling of a few small pools has not ended after {} s",
            LONG.as_secs()
        ),
    }
}

checks! {
    /// `cleanup_expired` removes what is past its `not_after`, of every kind, and nothing else.
    #[rules("SWEEP-1", "TIME-1")]
    async fn a_sweep_removes_what_has_expired_and_nothing_else(context: &Context) {
        let mut batch: Vec<_> = (1..=4).map(|n| one_time(n).valid(-DAY, 100)).collect();
        batch.push(last_resort(5).valid(-DAY, 100));
        batch.extend([one_time(6).valid(-DAY, 101), last_resort(7).of(OTHER_SUITE), one_time(8)]);
        let pool = context.stocked(batch).await;
        pool.lease(&pool.take(1), at(50)).await;
        pool.claimed(&pool.take(2), at(50)).await;
        pool.withdraw([3], at(50)).await;
        must_be!(pool.cleanup(at(99), 100).await, 0);
        must_be!(pool.cleanup(at(100), 100).await, 5);
        must_be!(pool.cleanup(at(100), 100).await, 0);
        must_be!(pool.statuses(1..=5, at(50)).await, [None; 5], "forgotten, whatever the time");
        must_be!(pool.status(7, at(100)).await, Some(Status::LastResort { used: false }));
        must_be!(pool.count(SUITE, at(100)).await.total(), 2);
        must_be!(pool.available(at(100)).await, [6, 8].map(key_package_ref));
    }

    /// What is swept is forgotten: its tokens and its memory too.
    #[rules("SWEEP-1", "SPEND-2", "SAVE-3")]
    async fn what_is_swept_is_forgotten(context: &Context) {
        let pool = context.stocked((1..=2).map(|n| one_time(n).valid(-DAY, 100)).collect()).await;
        pool.claimed(&pool.take(1), at(50)).await;
        let token = pool.lease(&pool.take(2), at(50)).await;
        must_be!(pool.cleanup(at(100), 100).await, 2);
        for token in [&token, &pool.token(1, 1)] {
            must_be!(pool.spend(token, &no_usage(), at(99)).await, Err(NotFound));
        }
        must_be!(pool.release(&token, at(99)).await, Err(NotFound));
        // The id is not bound.
        pool.refuses(&pool.take(1), at(99), PoolExhausted).await;
        must_be!(pool.save(one_times([1, 2]), at(100)).await, [Saved; 2]);
        must_be!(pool.claim(&pool.take(1), None, at(100)).await, Ok(one_time(1)));
    }

    /// A sweep removes `limit` packages at most, over all pools, and says 0 only when none is left; a limit of 0 counts
    /// as 1.
    #[rules("SWEEP-1", "COST-1")]
    async fn a_sweep_goes_in_bounded_steps(context: &Context) {
        let first = context.pool().await;
        let pools = [0, 1, 2, 3].map(|n| first.beside(&format!("user-{n}")));
        for pool in &pools {
            pool.stock((1..=5).map(|n| one_time(n).valid(-DAY, 100)).collect(), at(0)).await;
            pool.stock(one_times([6]), at(0)).await;
        }
        let (mut removed, mut step) = (0, first.cleanup(at(100), 0).await);
        must_be!(step, 1);
        while step > 0 {
            removed += step;
            let mut left = 0;
            for pool in &pools {
                left += u64::from(pool.count(SUITE, at(100)).await.expired);
            }
            must_be!(removed + left, 20, "it says how many it removed");
            step = first.cleanup(at(100), 6).await;
            assert!(step <= left.min(6), "{step} of 6");
        }
        must_be!(removed, 20, "0 only when none is left");
        for pool in &pools {
            must_be!(pool.available(at(100)).await, [key_package_ref(6)]);
        }
    }

    /// `release_expired_reservations` ends the leases and windows whose end has come, says how many, and leaves the live ones.
    #[rules("SWEEP-2", "RES-9")]
    async fn leases_and_windows_that_have_ended_are_settled(context: &Context) {
        let pool = context.stocked(one_times(1..=9)).await;
        pool.lease(&pool.take(1), at(0)).await;
        pool.lease_until(&pool.take(2), OnLapse::Retire, at(0)).await;
        pool.claimed(&pool.take(3), at(0)).await;
        let alices = pool.lease(&pool.take(4).by(party("alice")), at(0)).await;
        let nobodys = pool.lease(&pool.take(5), at(0)).await;
        for token in [&alices, &nobodys] {
            pool.spent(token, &no_usage(), at(0)).await;
        }
        let live = pool.lease(&pool.take(6), at(1)).await;
        must_be!(pool.settle(at(59), 10).await, 0);
        must_be!(
            pool.settle(at(60), 10).await,
            4,
            "two leases, a claim's window, and a reserver's"
        );
        must_be!(pool.settle(at(60), 10).await, 0);
        let ended = [Some(Status::Available), spent(60, Cause::Retired)];
        must_be!(pool.statuses([1, 2], at(0)).await, ended, "for good");
        must_be!(
            pool.spend(&pool.token(1, 1), &no_usage(), at(0)).await,
            Err(NoLiveReservation)
        );
        pool.spent(&live, &no_usage(), at(60)).await;
    }

    /// It settles `limit` pools at most, and says 0 only when none is left; a limit of 0 counts as 1.
    #[rules("SWEEP-2", "COST-1")]
    async fn settling_goes_in_bounded_steps(context: &Context) {
        let pools = lapsing(context, 7).await;
        must_be!(pools[0].settle(at(60), 0).await, 2);
        let mut steps = Vec::new();
        for _ in 0..4 {
            steps.push(pools[0].settle(at(60), 2).await);
        }
        must_be!(steps, [4, 4, 4, 0], "two leases and windows a pool, and 0 when none is left");
        for pool in &pools {
            must_be!(pool.available(at(0)).await, [1, 3].map(key_package_ref));
        }
    }

    /// Where several settle at once, one that says 0 leaves nothing behind, and each lease is counted once.
    #[rules("SWEEP-2", "SWEEP-3")]
    async fn settling_at_once_leaves_nothing_behind(context: &Context) {
        lapsing(context, 12).await;
        let handles = context.pools(3).await;
        let settled = at_once(&handles, 3, |handle, _| async move {
            let mut total = 0;
            loop {
                match handle.settle(at(60), 1).await {
                    0 => break,
                    ended => total += ended,
                }
            }
            for n in 0..12 {
                let left = handle.beside(&format!("user-{n}")).available(at(0)).await;
                assert_eq!(left, [1, 3].map(key_package_ref), "0 only when none is left");
            }
            total
        })
        .await;
        assert_eq!(settled.iter().sum::<u64>(), 24, "two leases and windows a pool");
    }

    /// A retirement visits every pool, in steps of `limit`, and settles it, whether anything in it is that old or not; a
    /// limit of 0 counts as 1.
    #[rules("COST-1", "DEL-2", "READ-5", "TIME-2")]
    async fn a_retirement_goes_in_bounded_steps(context: &Context) {
        let pools = lapsing(context, 7).await;
        must_be!(pools[0].retire_by(0, Timestamp::MIN, at(60)).await, 0);
        for pool in &pools {
            let late = pool.spend(&pool.token(1, 1), &no_usage(), at(59)).await;
            must_be!(late, Err(NoLiveReservation));
        }
        let store = &pools[0].store;
        let (mut total, mut steps, mut after) = (0, 0, None);
        loop {
            let (count, next) = works(store.retire_unspent(at(1), at(60), after.as_ref(), 3).await);
            assert!(count <= 6, "three pools with two unspent packages each, and {count}");
            total += count;
            steps += 1;
            assert!(steps <= 4, "seven pools by three take four steps at most, and the fourth says that there are more");
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        must_be!(total, 14);
        assert!((3..=4).contains(&steps), "seven pools by three, in {steps} steps");
        must_be!(pools[0].retire_by(2, at(1), at(60)).await, 0);
    }

    /// Sweeps run beside live traffic: they take nothing that has not expired, and nobody is told a failure.
    #[rules("SWEEP-3", "SWEEP-1", "SWEEP-2")]
    async fn sweeps_beside_traffic_disturb_nobody(context: &Context) {
        let pools = context.pools(4).await;
        pools[0]
            .stock((1_000..1_100).map(|n| one_time(n).valid(-DAY, 50)).collect(), at(0))
            .await;
        pools[0].stock(one_times(0..100), at(0)).await;
        let sweeps = Arc::new(AtomicU64::new(0));
        let swept = at_once(&pools, 6, |pool, task| {
            let others = Arc::downgrade(&sweeps);
            let ours = (task >= 2).then(|| Arc::clone(&sweeps));
            async move {
                let (mut swept, mut rounds) = (0, 0);
                // The sweeps go on as long as any traffic does (one more holds their number), and the traffic lets them
                // begin, as far as that does not take forever.
                while rounds < 20 || (ours.is_none() && others.strong_count() > 1) {
                    for _ in 0..10_000 {
                        let Some(sweeps) = &ours else { break };
                        if sweeps.load(Ordering::Relaxed) > rounds {
                            break;
                        }
                        tokio::task::yield_now().await;
                    }
                    match task {
                        0 => {
                            if let Some(sweeps) = others.upgrade() {
                                sweeps.fetch_add(1, Ordering::Relaxed);
                            }
                            swept += pool.cleanup(at(50), 7).await;
                        }
                        1 => _ = pool.settle(at(50), 3).await,
                        _ => {
                            let take = pool.take(task * 20 + rounds).remaining(1_000);
                            let token = pool.lease(&take, at(51)).await;
                            tokio::task::yield_now().await;
                            pool.spend(&token, &no_usage(), at(51))
                                .await
                                .expect("no sweep ended this lease");
                        }
                    }
                    rounds += 1;
                    tokio::task::yield_now().await;
                }
                swept
            }
        })
        .await;
        must_be!(swept.iter().sum::<u64>(), 100);
        let count = pools[0].count(SUITE, at(51)).await;
        must_be!((count.spent, count.available, count.expired), (80, 20, 0));
    }

    /// Leases end each at its own time, also one that was made later and ends earlier.
    #[rules("SWEEP-2", "RES-4", "TIME-2")]
    async fn a_short_lease_after_a_long_one_ends_first(context: &Context) {
        let pool = context.stocked(one_times([1, 2, 3])).await;
        for (n, seconds) in [(1, 100), (2, 10), (3, 50)] {
            pool.lease(&pool.take(n).lasting(seconds), at(0)).await;
        }
        must_be!(pool.settle(at(9), 10).await, 0);
        must_be!(pool.settle(at(10), 10).await, 1, "the second ends at 10");
        must_be!(pool.settle(at(50), 10).await, 1, "the third ends at 50");
        must_be!(pool.available(at(0)).await, [2, 3].map(key_package_ref), "for good");
        must_be!(pool.settle(at(100), 10).await, 1, "the first ends at 100");
    }

    /// The limit of a settling counts pools in which something ended, not those whose leases were given back before.
    #[rules("SWEEP-2", "COST-1")]
    async fn pools_in_which_nothing_ends_stop_no_settling(context: &Context) {
        let first = context.pool().await;
        let pools = ["a", "b", "c"].map(|name| first.beside(name));
        for (n, pool) in (0..).zip(&pools) {
            pool.stock(one_times([1]), at(0)).await;
            let token = pool.lease(&pool.take(1).lasting(10), at(0)).await;
            if n < 2 {
                pool.released(&token, at(1)).await;
            }
        }
        must_be!(first.settle(at(20), 1).await, 1, "one lease has lapsed, in the third pool");
        must_be!(first.settle(at(20), 1).await, 0);
    }

    /// A pool that is gone, swept to its last record or deleted, is due for no settling, whatever had become of its leases: a
    /// settling passes it over, and ends.
    #[rules("SWEEP-2", "SWEEP-1", "DEL-1")]
    async fn a_pool_that_is_gone_stops_no_settling(context: &Context) {
        let first = context.pool().await;
        let pools = ["live", "released", "spent", "claimed", "lapsed", "deleted"].map(|name| first.beside(name));
        for (n, pool) in pools.iter().enumerate() {
            pool.stock(vec![one_time(1).valid(-DAY, 100)], at(0)).await;
            if n == 3 {
                pool.claimed(&pool.take(1), at(0)).await;
                continue;
            }
            let token = pool.lease(&pool.take(1), at(0)).await;
            match n {
                1 => pool.released(&token, at(1)).await,
                2 => _ = pool.spent(&token, &no_usage(), at(1)).await,
                4 => must_be!(pool.release(&token, at(60)).await, Err(NoLiveReservation)),
                5 => pool.delete().await,
                _ => (),
            }
        }
        must_be!(first.cleanup(at(100), 100).await, 5, "one record in each pool that is not deleted");
        must_be!(settled_in_time(&first, at(200)).await, 0, "no pool is left");
        let last = first.beside("user-99");
        last.stock(one_times([1]), at(200)).await;
        last.lease(&last.take(1), at(200)).await;
        must_be!(settled_in_time(&first, at(260)).await, 1, "one lease has lapsed, in the only pool");
        must_be!(settled_in_time(&first, at(260)).await, 0);
    }

    /// Pools whose package has expired and was saved anew, with a later end, stop no sweep before it comes to one that has
    /// expired.
    #[rules("SWEEP-1", "SAVE-7", "COST-1")]
    async fn pools_in_which_nothing_expired_stop_no_sweep(context: &Context) {
        let first = context.pool().await;
        for n in 0..40 {
            let pool = first.beside(&format!("user-{n:02}"));
            pool.stock(vec![one_time(1).valid(-DAY, 100)], at(0)).await;
            pool.stock(one_times([1]), at(100)).await;
        }
        let last = first.beside("user-99");
        last.stock(vec![one_time(1).valid(-DAY, 100)], at(0)).await;
        must_be!(first.cleanup(at(100), 1).await, 1, "one has expired, in the last pool");
        must_be!(first.cleanup(at(100), 1).await, 0);
    }
}
