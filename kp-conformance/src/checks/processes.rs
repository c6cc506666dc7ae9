use std::collections::HashSet;

use futures::future::join_all;
use kp_core::Status;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::check::checks;
use crate::level::seeds;
use crate::packages::{SUITE, at, last_resort, one_times};
use crate::pool::each;
use crate::worker::{AT_ONCE, Job, Order, Worker, name};
use crate::{Context, Method};

/// How many processes run against each other.
const PROCESSES: u64 = 4;
/// How many ids a process that is to be killed has.
const IDS: u64 = 100;

checks! {
    /// 4 processes reserve 100 packages each of 400, and then claim them: all distinct, none told that the pool is
    /// exhausted, none given the last resort, and no failure.
    #[rules("RES-8", "RES-1", "CLAIM-1", "SPEND-1", "LIN-1")]
    #[needs(processes)]
    async fn four_processes_take_four_hundred_distinct_packages(context: &Context) {
        for job in [Job::Claim, Job::Reserve] {
            if job == Job::Reserve && !context.offers(Method::Reserve) {
                continue;
            }
            let pool = context.stocked(one_times(1..=400)).await;
            pool.stock(vec![last_resort(401)], at(0)).await;
            // What this process has read is not to be read again from its memory.
            assert_eq!(pool.count(SUITE, at(0)).await.available, 400);
            assert_eq!((pool.available(at(0)).await.len(), pool.statuses(1..=400, at(0)).await.len()), (400, 400));
            let orders = (0..PROCESSES).map(|n| Order::new(job, context.space(), n * 100, 100));
            let workers: Vec<_> = orders.map(|order| Worker::start(&order)).collect();
            let taken = join_all(workers.into_iter().map(Worker::refs)).await.concat();
            assert_eq!(taken.len(), 400);
            let distinct: HashSet<_> = taken.into_iter().collect();
            assert_eq!(distinct.len(), 400, "one package went to two processes");
            let count = pool.count(SUITE, at(0)).await;
            let expected = if job == Job::Reserve { (400, 0) } else { (0, 400) };
            assert_eq!((count.reserved, count.spent), expected, "what other processes took counts at once");
            assert_eq!(pool.available(at(0)).await, [], "and is no longer listed");
            let statuses = pool.statuses(1..=400, at(0)).await;
            assert!(!statuses.contains(&Some(Status::Available)), "and is no longer available");
            assert_eq!(pool.status(401, at(0)).await, Some(Status::LastResort { used: false }));
            pool.delete().await;
        }
    }

    /// Writers are killed at random moments, again and again (20 kills, and 200 at the heavy level): every package that
    /// one was told it got is spent, and its id still gets that package; none went to two.
    #[rules("ERR-5", "ERR-2", "CLAIM-1")]
    #[needs(processes)]
    async fn nothing_answered_is_lost_when_writers_are_killed(context: &Context) {
        for seed in seeds("rounds of killed writers", 5, 50) {
            let pool = context.stocked(one_times(0..PROCESSES * IDS)).await;
            let mut random = StdRng::seed_from_u64(seed);
            let doomed = (0..PROCESSES).map(|n| {
                let order = Order::new(Job::Claim, context.space(), n * IDS, IDS);
                Worker::start(&order).killed_after(random.random_range(0..60))
            });
            let answered = join_all(doomed).await;
            let (told, spent) = (answered.iter().flatten().count(), pool.count(SUITE, at(0)).await.spent as usize);
            let under_way = PROCESSES as usize * AT_ONCE;
            assert!((told..=told + under_way).contains(&spent), "seed {seed}: {told} were told, and {spent} are spent");
            let mut given = HashSet::new();
            for (n, answered) in (0..).zip(answered) {
                // What the killed one asked for, or would have, asked for again by its ids.
                let takes: Vec<_> = (n * IDS..(n + 1) * IDS).map(|id| pool.take(id)).collect();
                let again = pool.store.claim_key_packages(&takes, None, at(0)).await;
                let again = each(again, |package| name(&package.info.key_package_ref)).into_iter();
                let again: HashSet<_> = again.map(|claim| claim.expect("there is one for each id")).collect();
                for told in answered {
                    assert!(again.contains(&told), "seed {seed}: an answer left before it was durable");
                }
                given.extend(again);
            }
            let count = pool.count(SUITE, at(0)).await;
            assert_eq!(given.len() as u64, PROCESSES * IDS, "seed {seed}: one package went to two");
            assert_eq!(u64::from(count.spent), PROCESSES * IDS, "seed {seed}: {count:?}");
            pool.delete().await;
        }
    }
}
