//! A server that is killed, connections that are killed, two processes that name the same pools in opposite orders, and a pool that
//! is deleted meanwhile: nothing answered is lost, and nothing is handed out twice.

mod load;
mod scene;

use std::process::Command;

use kp_core::server::{KeyPackageStore, Save};
use kp_postgres::PostgresStore;
use kp_test_support::postgres::Postgres;

use crate::load::{CALLERS, Load};
use crate::scene::{NOW, connect, fill, number_of, package, pool, take, until};

/// How often the server is killed, and four times as often a connection.
fn kills() -> u64 {
    number_of("KP_POSTGRES_KILLS", 10)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_loses_nothing_that_was_answered() {
    let server = Postgres::start(&[]);
    let store = PostgresStore::connect(server.url()).await.expect("it connects");
    fill(&store, kills(), 1_000).await;
    let load = Load::start(&server.url(), kills()).await;
    for _ in 0..kills() {
        load.goes_on(2 * CALLERS).await;
        server.kill();
        server.restart();
    }
    load.goes_on(2 * CALLERS).await;
    assert!(load.check(&store).await as u64 > 2 * CALLERS * kills());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_connections_lose_nothing_that_was_answered() {
    let server = Postgres::start(&[]);
    let store = PostgresStore::connect(server.url()).await.expect("it connects");
    fill(&store, kills(), 1_000).await;
    let load = Load::start(&server.url(), kills()).await;
    let client = connect(&server).await;
    // One connection of the stores, in the middle of what it is doing.
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name = 'keypackage-pool' AND state <> 'idle' ORDER BY random() LIMIT 1";
    for _ in 0..4 * kills() {
        while client.query(kill, &[]).await.expect("it answers").is_empty() {}
        load.goes_on(1).await;
    }
    assert!(load.check(&store).await as u64 >= 4 * kills());
}

/// What a child claims: its address, in which order, and how often.
const CHILD: &str = "KP_POSTGRES_CHILD";

/// The part of the child: claims from 50 pools, in one order or in the other.
#[tokio::test]
async fn a_process_that_claims_from_fifty_pools() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let told: Vec<&str> = told.split(' ').collect();
    let [url, up, rounds] = told[..] else {
        panic!("three words")
    };
    // One writer, so that a call on 50 pools is one transaction.
    let store = PostgresStore::builder(url)
        .writers(1)
        .connect()
        .await
        .expect("it connects");
    for round in 0..rounds.parse().expect("a number") {
        let mut takes: Vec<_> = (0..50).map(|n| take(n, round * 2 + u64::from(up == "up"))).collect();
        if up == "up" {
            takes.reverse();
        }
        for claimed in store.claim_key_packages(&takes, None, NOW).await {
            claimed.expect("no item fails");
        }
    }
}

/// LIN-1, ERR-3: pools are locked in one order, so nobody is the victim of a deadlock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_that_name_pools_in_opposite_orders_never_lock_each_other_out() {
    let rounds = number_of("KP_POSTGRES_BATCHES", 200) / 2;
    let server = Postgres::start(&["deadlock_timeout = 10ms"]);
    let store = PostgresStore::connect(server.url()).await.expect("it connects");
    fill(&store, 50, 2 * rounds).await;
    let children = ["up", "down"].map(|order| {
        let mut child = Command::new(std::env::current_exe().expect("a test has a file"));
        child.args(["--exact", "a_process_that_claims_from_fifty_pools"]);
        child.env(CHILD, format!("{} {order} {rounds}", server.url()));
        child.spawn().expect("the child runs")
    });
    for mut child in children {
        assert!(child.wait().expect("it ends").success(), "no item fails");
    }
    for n in 0..50 {
        let left = store.list_available(&pool(n), None, 1, NOW).await.expect("it answers");
        assert_eq!(left.items.len(), 0, "each claim took one");
    }
    let deadlocks = "SELECT sum(deadlocks)::bigint FROM pg_stat_database";
    let deadlocks = connect(&server)
        .await
        .query_one(deadlocks, &[])
        .await
        .expect("it answers");
    assert_eq!(deadlocks.get::<_, i64>(0), 0, "nor did anything run twice for it");
}

/// LIN-1: what a call waits for is behind all that it holds, in the order of the keys, whatever the order in which it names pools.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pools_are_locked_in_the_order_of_their_keys() {
    let server = Postgres::start(&[]);
    let store = PostgresStore::builder(server.url())
        .writers(1)
        .connect()
        .await
        .expect("it connects");
    // The order of the names is another: pool/10 is before pool/2.
    fill(&store, 20, 1).await;
    let (mut holder, client) = (connect(&server).await, connect(&server).await);
    let held = holder.transaction().await.expect("it begins");
    let hold = "SELECT key FROM keypackage_pools WHERE pool = 'pool/9' FOR UPDATE";
    let key: i64 = held.query_one(hold, &[]).await.expect("the pool is there").get(0);
    let takes: Vec<_> = (0..20).rev().map(|n| take(n, 1)).collect();
    let claimed = tokio::spawn(async move { store.claim_key_packages(&takes, None, NOW).await.all() });
    let waits = "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    while !client
        .query_one(waits, &[])
        .await
        .expect("it answers")
        .get::<_, bool>(0)
    {}
    let free = "SELECT key FROM keypackage_pools ORDER BY key FOR UPDATE SKIP LOCKED";
    let free: Vec<i64> = client
        .query(free, &[])
        .await
        .expect("it answers")
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(free.len(), 10, "it holds what is before {key}");
    assert!(free.iter().all(|free| *free > key), "{free:?} is behind {key}");
    held.rollback().await.expect("it is rolled back");
    assert_eq!(claimed.await.expect("it ends").expect("each has one").len(), 20);
}

/// SAVE-1: a save finds its pool, and waits for it; when it may lock it, the pool is gone.
#[tokio::test]
async fn a_save_into_a_pool_that_is_deleted_meanwhile_makes_it_anew() {
    let server = Postgres::start(&[]);
    let store = PostgresStore::connect(server.url()).await.expect("it connects");
    fill(&store, 1, 1).await;
    let mut client = connect(&server).await;
    let transaction = client.transaction().await.expect("it begins");
    let deleted = store.within(transaction).delete_pool(&pool(0)).await;
    let (transaction, ()) = deleted.expect("nobody holds the pool");
    let save = Save::one(pool(0), package(9_000));
    let deletes = async {
        until(
            &server,
            "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
        )
        .await;
        transaction.commit().await.expect("it is deleted");
    };
    let (saved, ()) = futures::future::join(store.save_key_packages(&save, NOW), deletes).await;
    assert!(saved.expect("it is saved").iter().all(|outcome| outcome.is_held()));
    let counts = store.count_by_status(&pool(0), NOW).await.expect("it answers");
    let available: Vec<_> = counts.ciphersuites.values().map(|counts| counts.available).collect();
    assert_eq!(available, [1], "what was deleted is gone, and what was saved is there");
}
