//! Kills a master under load: every change that its replica acknowledged survives the failover by a Sentinel.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod packages;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kp_core::server::*;
use kp_redis::RedisStore;
use kp_test_support::servers::{Server, until};
use packages::{now, pool, save, take};

/// A Sentinel that watches one master, and fails over quickly.
fn sentinel_of(master: &Server) -> Server {
    let config = format!(
        "sentinel monitor main 127.0.0.1 {} 1\nsentinel down-after-milliseconds main 300\n\
         sentinel failover-timeout main 3000\n",
        master.port()
    );
    Server::start_sentinel(&config)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_behind_wait_survives_a_failover_under_load() {
    let master = Server::start(&["--repl-diskless-sync-delay", "0"]);
    let replica = Server::start_replica(&master);
    let sentinel = sentinel_of(&master);
    let url = format!("redis-sentinel://127.0.0.1:{}/main", sentinel.port());
    until(|| {
        let found: Vec<Vec<String>> = sentinel.command(&["SENTINEL", "REPLICAS", "main"]).ok()?;
        (found.len() == 1).then_some(())
    })
    .expect("the Sentinel finds the replica");

    let store = RedisStore::builder(&url).replicas(1).open().await.unwrap();
    let done = Arc::new(AtomicU32::new(0));
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            let (store, done) = (store.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                let bob = pool(format!("bob/{worker}"));
                let mut spent = Vec::new();
                for number in 0.. {
                    let first = number * 2;
                    if store
                        .save_key_packages(&save(&bob, first..first + 2), now())
                        .await
                        .is_err()
                    {
                        break;
                    }
                    let request = take(&bob, number.into());
                    let Ok(reserved) = store.reserve_key_package(&request, OnLapse::Return, now()).await else {
                        break;
                    };
                    let token = reserved.lease.unwrap().token;
                    match store.spend_key_package(&token, &Spend::default(), now()).await {
                        Ok(receipt) => spent.push((token, receipt)),
                        Err(_) => break,
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
                spent
            })
        })
        .collect();
    let master = tokio::task::spawn_blocking(move || {
        until(|| (done.load(Ordering::Relaxed) > 100).then_some(())).expect("they work");
        master.kill();
        master
    });
    let master = master.await.unwrap();
    let mut spent = Vec::new();
    for worker in workers {
        spent.extend(worker.await.unwrap());
    }
    assert!(spent.len() > 100, "they spend");
    until(|| {
        let info: String = replica.command(&["INFO", "replication"]).ok()?;
        let found: Vec<HashMap<String, String>> = sentinel.command(&["SENTINEL", "MASTERS"]).ok()?;
        let named = found[0]["port"] == replica.port().to_string() && found[0]["flags"] == "master";
        (info.contains("role:master") && named).then_some(())
    })
    .expect("the Sentinel promotes the replica");
    drop(master);

    // The same store finds the new master; without a replica left, it is one that does not wait.
    let counted = store.count_by_status(&pool("bob/0"), now()).await;
    assert!(counted.is_ok(), "{counted:?}");
    let store = RedisStore::open(&url).await.unwrap();
    for (token, receipt) in &spent {
        let again = store.spend_key_package(token, &Spend::default(), now()).await.unwrap();
        assert_eq!(again, *receipt);
    }
    println!(
        "{} spends were answered before the failover, and all survived it",
        spent.len()
    );
}

/// One Sentinel that hangs keeps nobody from the others: the address is asked for anew once a time-out, and by a new store.
#[tokio::test(flavor = "multi_thread")]
async fn a_sentinel_that_hangs_keeps_nobody_from_the_others() {
    let master = Server::start(&[]);
    let sentinels = [sentinel_of(&master), sentinel_of(&master)];
    let [first, second] = [0, 1].map(|number: usize| sentinels[number].port());
    let url = format!("redis-sentinel://127.0.0.1:{first},127.0.0.1:{second}/main");
    let open = || RedisStore::builder(&url).timeout(Duration::from_secs(2)).open();
    let store = open().await.unwrap();
    sentinels[0].pause();
    // Past two ends of the shared connection's life.
    let begin = tokio::time::Instant::now();
    while begin.elapsed() < Duration::from_secs(5) {
        store.count_by_status(&pool("bob"), now()).await.unwrap();
        tokio::task::yield_now().await;
    }
    open()
        .await
        .unwrap()
        .save_key_packages(&save(&pool("bob"), 0..2), now())
        .await
        .unwrap();
    sentinels[0].resume();
}
