use std::collections::HashSet;

use kp_core::Status;

use crate::Context;
use crate::check::checks;
use crate::packages::{SUITE, at, last_resort, one_times};
use crate::worker::{Order, Worker};

/// How many processes run against each other.
const PROCESSES: u64 = 4;

/// Starts the processes, lets each take 100 packages with ids of its own, and gives back what they took.
async fn taken_by_all(context: &Context, job: crate::worker::Job) -> Vec<String> {
    let order = |first| Order::new(job, context.space(), first, 100);
    let workers: Vec<_> = (0..PROCESSES).map(|n| Worker::start(&order(n * 100))).collect();
    let mut taken = Vec::new();
    for worker in workers {
        taken.extend(worker.refs().await);
    }
    taken
}

checks! {
    /// 4 processes reserve 100 packages each of 400: all distinct, none told that the pool is exhausted, none given the
    /// last resort, and no failure.
    #[rules("RES-8", "RES-1", "LIN-1")]
    #[needs(Processes)]
    async fn four_processes_reserve_four_hundred_distinct_packages(context: &Context) {
        let pool = context.pool().await;
        pool.stock(one_times(1..=400), at(0)).await;
        pool.stock(vec![last_resort(401)], at(0)).await;
        let taken = taken_by_all(context, crate::worker::Job::Reserve).await;
        assert_eq!(taken.len(), 400);
        assert_eq!(
            HashSet::<_>::from_iter(taken).len(),
            400,
            "one package went to two processes"
        );
        assert_eq!(pool.count(SUITE, at(0)).await.reserved, 400);
        assert_eq!(pool.status(401, at(0)).await, Some(Status::LastResort { used: false }));
    }

    /// The same for claims.
    #[rules("RES-8", "CLAIM-1", "SPEND-1")]
    #[needs(Processes)]
    async fn four_processes_claim_four_hundred_distinct_packages(context: &Context) {
        let pool = context.pool().await;
        pool.stock(one_times(1..=400), at(0)).await;
        let taken = taken_by_all(context, crate::worker::Job::Claim).await;
        assert_eq!(taken.len(), 400);
        assert_eq!(
            HashSet::<_>::from_iter(taken).len(),
            400,
            "one package went to two processes"
        );
        assert_eq!(pool.count(SUITE, at(0)).await.spent, 400);
    }

    /// What a process was answered before it was killed is there, and the others go on.
    #[rules("ERR-5", "ERR-2")]
    #[needs(Processes)]
    async fn what_a_killed_process_was_answered_is_there(context: &Context) {
        let pool = context.pool().await;
        pool.stock(one_times(1..=400), at(0)).await;
        let order = Order::new(crate::worker::Job::Claim, context.space(), 0, 400);
        let answered = Worker::start(&order).killed_after(20).await;
        assert!(answered.len() >= 20);
        let mut claimed = HashSet::new();
        for n in 1..=400 {
            let stored = pool.get(n, at(0)).await.expect("nothing is lost");
            if matches!(stored.status, Status::Spent { .. }) {
                claimed.insert(crate::worker::name(&stored.info.key_package_ref));
            }
        }
        for name in &answered {
            assert!(claimed.contains(name), "an answer left before it was durable");
        }
        assert!(
            claimed.len() <= answered.len() + crate::worker::AT_ONCE,
            "nothing was claimed but by its calls"
        );
        for n in 0..20 {
            let again = pool
                .claim(&pool.take(n), None, at(0))
                .await
                .expect("a replay, or a new claim");
            assert!(!again.info.last_resort);
        }
    }
}
