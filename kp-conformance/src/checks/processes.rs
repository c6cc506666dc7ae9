use futures::future::join_all;
use kp_core::Status;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::check::checks;
use crate::level::{again, seeds};
use crate::must_be::{must_be, must_be_distinct};
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
    #[relies_on(everything)]
    #[needs(processes)]
    async fn four_processes_take_four_hundred_distinct_packages(context: &Context) {
        for job in [Job::Claim, Job::Reserve] {
            if job == Job::Reserve && !context.offers(Method::Reserve) {
                continue;
            }
            let pool = context.stocked(one_times(1..=400)).await;
            pool.stock(vec![last_resort(401)], at(0)).await;
            // What this process has read is not to be read again from its memory.
            must_be!(pool.count(SUITE, at(0)).await.available, 400);
            must_be!((pool.available(at(0)).await.len(), pool.statuses(1..=400, at(0)).await.len()), (400, 400));
            let orders = (0..PROCESSES).map(|n| Order::new(job, context.space(), n * 100, 100));
            let workers: Vec<_> = orders.map(|order| Worker::start(&order, context.progress())).collect();
            let taken = join_all(workers.into_iter().map(Worker::refs)).await.concat();
            must_be_distinct(taken, 400);
            let count = pool.count(SUITE, at(0)).await;
            let expected = if job == Job::Reserve { (400, 0) } else { (0, 400) };
            must_be!((count.reserved, count.spent), expected, "what other processes took counts at once");
            must_be!(pool.available(at(0)).await, [], "and is no longer listed");
            let statuses = pool.statuses(1..=400, at(0)).await;
            assert!(!statuses.contains(&Some(Status::Available)), "and is no longer available");
            must_be!(pool.status(401, at(0)).await, Some(Status::LastResort { used: false }));
            pool.delete().await;
        }
    }

    /// Writers are killed at random moments, again and again (20 kills, and 200 at the heavy level): every package that
    /// one was told it got is spent, and its id still gets that package; none went to two.
    #[rules("ERR-5", "ERR-2", "CLAIM-1")]
    #[relies_on(everything)]
    #[needs(processes)]
    async fn nothing_answered_is_lost_when_writers_are_killed(context: &Context) {
        for seed in seeds("rounds of killed writers", 5, 50) {
            let pool = context.stocked(one_times(0..PROCESSES * IDS)).await;
            let mut random = StdRng::seed_from_u64(seed);
            let doomed = (0..PROCESSES).map(|n| {
                let order = Order::new(Job::Claim, context.space(), n * IDS, IDS);
                Worker::start(&order, context.progress()).killed_after(random.random_range(0..60))
            });
            let answered = join_all(doomed).await;
            let (told, spent) = (answered.iter().flatten().count(), pool.count(SUITE, at(0)).await.spent as usize);
            let under_way = PROCESSES as usize * AT_ONCE;
            assert!(
                (told..=told + under_way).contains(&spent),
                "{told} packages were handed out, and {spent} are spent, where {under_way} more may be: calls were under \
                 way when the writers were killed\n{}",
                again(seed)
            );
            let mut given = Vec::new();
            for (n, answered) in (0..).zip(answered) {
                // What the killed one asked for, or would have, asked for again by its ids.
                let takes: Vec<_> = (n * IDS..(n + 1) * IDS).map(|id| pool.take(id)).collect();
                let answers = pool.store.claim_key_packages(&takes, None, at(0)).await;
                let answers = each(answers, |package| name(&package.info.key_package_ref)).into_iter();
                let answers: Vec<_> = answers.map(|claim| claim.expect("there is one for each id")).collect();
                for told in answered {
                    assert!(
                        answers.contains(&told),
                        "{told} was handed out before the writer was killed, and its id gets another: that answer left \
                         before it was durable\n{}",
                        again(seed)
                    );
                }
                given.extend(answers);
            }
            let count = pool.count(SUITE, at(0)).await;
            must_be_distinct(given, PROCESSES * IDS);
            must_be!(u64::from(count.spent), PROCESSES * IDS, "each id spends one package, {count:?}; {}", again(seed));
            pool.delete().await;
        }
    }
}
