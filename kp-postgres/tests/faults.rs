//! A server that is killed, connections that are killed, and two stores that name the same pools in opposite orders: nothing
//! answered is lost, and nothing is handed out twice.

mod scene;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kp_core::server::{KeyPackageStore, KeyPackageStoreExt, OnLapse, Spend};
use kp_core::{Effect, Error, KeyPackageRef, PoolId, ReservationId, Status};
use kp_postgres::PostgresStore;
use kp_test_support::postgres::Postgres;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::scene::{NOW, connect, fill, take};

const CALLERS: u64 = 8;

/// What callers were answered: who has each package, and which were spent.
type Answered = HashMap<(PoolId, KeyPackageRef), (ReservationId, bool)>;

/// Reserves and spends until it is stopped. A call that fails is made again, with the same id, until it is answered.
async fn caller(
    store: PostgresStore,
    number: u64,
    pools: u64,
    stopped: Arc<AtomicBool>,
    done: watch::Sender<u64>,
) -> Answered {
    let mut answered = Answered::new();
    let mut round = 0;
    while !stopped.load(Ordering::Acquire) {
        round += 1;
        let take = take((number + round) % pools, number * 1_000_000 + round);
        let reserved = loop {
            match store.reserve_key_package(&take, OnLapse::Return, NOW).await {
                Ok(reserved) => break reserved,
                Err(Error::Backend(_)) => {}
                Err(rejected) => panic!("{rejected}"),
            }
        };
        let lease = reserved.lease.expect("no last resort was saved");
        let place = (take.pool.clone(), reserved.package.info.key_package_ref);
        assert_eq!(
            answered.insert(place.clone(), (take.id, false)),
            None,
            "handed out twice to one caller"
        );
        loop {
            match store.spend_key_package(&lease.token, &Spend::new(), NOW).await {
                Ok(_) => break,
                // ERR-1: what is said not to be applied is not. Nobody but this caller can spend the package.
                Err(Error::Backend(failure)) if failure.effect() == Effect::NotApplied => {
                    assert!(failure.is_transient(), "{failure}");
                }
                Err(Error::Backend(_)) => {}
                Err(rejected) => panic!("{rejected}"),
            }
        }
        answered.insert(place, (take.id, true));
        done.send_modify(|done| *done += 1);
    }
    answered
}

/// A load of callers on several stores.
struct Load {
    callers: Vec<JoinHandle<Answered>>,
    stopped: Arc<AtomicBool>,
    done: watch::Sender<u64>,
}

impl Load {
    async fn start(server: &Postgres, pools: u64) -> Self {
        let stopped = Arc::new(AtomicBool::new(false));
        let done = watch::Sender::new(0);
        let stores = [
            PostgresStore::connect(server.url()).await.expect("it connects"),
            PostgresStore::connect(server.url()).await.expect("it connects"),
        ];
        let start = |number: u64| {
            let store = stores[usize::from(number.is_multiple_of(2))].clone();
            tokio::spawn(caller(store, number, pools, Arc::clone(&stopped), done.clone()))
        };
        Self {
            callers: (0..CALLERS).map(start).collect(),
            stopped,
            done,
        }
    }

    /// Waits until the callers have spent so many more.
    async fn goes_on(&self, more: u64) {
        let mut done = self.done.subscribe();
        let before = *done.borrow();
        done.wait_for(|done| *done >= before + more)
            .await
            .expect("the callers go on");
    }

    /// Stops the callers, and checks their answers against each other and the store.
    async fn check(self, store: &PostgresStore) -> usize {
        self.stopped.store(true, Ordering::Release);
        let mut all = Answered::new();
        for caller in self.callers {
            for (place, holder) in caller.await.expect("no caller panics") {
                assert_eq!(all.insert(place, holder), None, "handed out twice");
            }
        }
        for ((pool, named), (_, spent)) in &all {
            let found = store
                .get_statuses(pool, std::slice::from_ref(named), NOW)
                .await
                .expect("it answers");
            let is_spent = matches!(found.as_slice(), [Some(Status::Spent { .. })]);
            assert_eq!(is_spent, *spent, "what was answered is there: {named:?} is {found:?}");
        }
        all.len()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_loses_nothing_that_was_answered() {
    let server = Postgres::start(&[]);
    let store = PostgresStore::connect(server.url()).await.expect("it connects");
    fill(&store, 10, 1_000).await;
    let load = Load::start(&server, 10).await;
    for _ in 0..10 {
        load.goes_on(2 * CALLERS).await;
        server.kill();
        server.restart();
    }
    load.goes_on(2 * CALLERS).await;
    assert!(load.check(&store).await > 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_connections_lose_nothing_that_was_answered() {
    let server = Postgres::start(&[]);
    let store = PostgresStore::connect(server.url()).await.expect("it connects");
    fill(&store, 10, 1_000).await;
    let load = Load::start(&server, 10).await;
    let client = connect(&server).await;
    // One connection of the stores, whatever it is doing.
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name = 'keypackage-pool' ORDER BY random() LIMIT 1";
    for _ in 0..200 {
        client.query(kill, &[]).await.expect("it answers");
        load.goes_on(1).await;
    }
    assert!(load.check(&store).await >= 200);
}

/// LIN-1, ERR-3: pools are locked in one order, so nobody is the victim of a deadlock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pools_in_opposite_orders_never_lock_each_other_out() {
    let server = Postgres::start(&["deadlock_timeout = 10ms"]);
    // One writer, so that a call on 50 pools is one transaction.
    let builder = PostgresStore::builder(server.url()).writers(1);
    let store = builder.clone().connect().await.expect("it connects");
    fill(&store, 50, 200).await;
    let mut runs = Vec::new();
    for up in [true, false] {
        let store = builder.clone().connect().await.expect("it connects");
        runs.push(tokio::spawn(async move {
            for round in 0..100 {
                let mut takes: Vec<_> = (0..50).map(|n| take(n, round * 2 + u64::from(up))).collect();
                if up {
                    takes.reverse();
                }
                let claimed = store.claim_key_packages(&takes, None, NOW).await;
                for claimed in claimed {
                    claimed.expect("no item fails");
                }
            }
        }));
    }
    for run in runs {
        run.await.expect("no run panics");
    }
    let client = connect(&server).await;
    let deadlocks = client
        .query_one("SELECT sum(deadlocks)::bigint FROM pg_stat_database", &[])
        .await;
    assert_eq!(
        deadlocks.expect("it answers").get::<_, i64>(0),
        0,
        "nor did anything run twice for it"
    );
}
