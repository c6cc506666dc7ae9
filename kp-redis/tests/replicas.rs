//! WAIT, and what survives the loss of a master.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod packages;
mod servers;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kp_core::*;
use kp_redis::RedisStore;
use packages::{now, pool, save, take};
use servers::{Server, until};

fn effect<T: std::fmt::Debug>(answer: Result<T>) -> Effect {
    match answer {
        Err(Error::Backend(failure)) => failure.effect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_call_that_waits_is_unknown_while_its_replica_is_stopped() {
    let master = Server::start(&["--repl-diskless-sync-delay", "0"]);
    let replica = Server::start_replica(&master);
    let bob = pool("bob");
    let open = |replicas| {
        RedisStore::builder(master.url())
            .wait(replicas)
            .timeout(Duration::from_millis(300))
            .open()
    };
    let store = open(1).await.unwrap();
    assert_eq!(store.server().replicas, 1);
    store.save_key_packages(&save(&bob, 0..9), now()).await.unwrap();
    let claim = take(&bob, 1);
    let package = store.claim_key_package(&claim, None, now()).await.unwrap();
    let token = store
        .reserve_key_package(&take(&bob, 2), OnLapse::Return, now())
        .await
        .unwrap()
        .lease
        .unwrap()
        .token;
    let receipt = store.spend_key_package(&token, &Spend::default(), now()).await.unwrap();

    // More replicas than there are: never enough.
    let greedy = open(2).await.unwrap();
    assert_eq!(
        effect(greedy.claim_key_package(&claim, None, now()).await),
        Effect::Unknown
    );

    replica.pause();
    // New calls, replays and refusals alike: what they were decided on may yet be lost (ERR-5).
    assert_eq!(
        effect(store.claim_key_package(&take(&bob, 3), None, now()).await),
        Effect::Unknown
    );
    assert_eq!(
        effect(store.claim_key_package(&claim, None, now()).await),
        Effect::Unknown
    );
    assert_eq!(
        effect(store.spend_key_package(&token, &Spend::default(), now()).await),
        Effect::Unknown
    );
    assert_eq!(effect(store.release_key_package(&token, now()).await), Effect::Unknown);
    // Reads wait for nobody.
    assert_eq!(
        store.count_by_status(&bob, now()).await.unwrap()[&Ciphersuite(1)].spent,
        3
    );

    replica.resume();
    // The connection that waited was given up; the same requests find out.
    assert_eq!(store.claim_key_package(&claim, None, now()).await.unwrap(), package);
    assert_eq!(
        store.spend_key_package(&token, &Spend::default(), now()).await.unwrap(),
        receipt
    );
    let refused = store.release_key_package(&token, now()).await.unwrap_err();
    assert_eq!(refused.rejection(), Some(&Rejection::AlreadySpent));
}

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

    let store = RedisStore::builder(&url).wait(1).open().await.unwrap();
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

#[tokio::test]
async fn without_wait_a_failover_loses_what_the_replica_has_not() {
    let master = Server::start(&["--repl-diskless-sync-delay", "0"]);
    let replica = Server::start_replica(&master);
    let waiting = RedisStore::builder(master.url()).wait(1).open().await.unwrap();
    let bob = pool("bob");
    waiting.save_key_packages(&save(&bob, 0..100), now()).await.unwrap();
    let store = RedisStore::open(master.url()).await.unwrap();
    // As in a partition of the network: one half promotes the replica, in the other the master goes on answering.
    let () = replica.command(&["REPLICAOF", "NO", "ONE"]).unwrap();
    for number in 0..100 {
        store.claim_key_package(&take(&bob, number), None, now()).await.unwrap();
    }
    master.kill();
    let store = RedisStore::open(replica.url()).await.unwrap();
    let counts = store.count_by_status(&bob, now()).await.unwrap()[&Ciphersuite(1)];
    // docs/guarantees.md tells of it: all that was answered meanwhile.
    assert_eq!((counts.available, counts.spent), (100, 0));
}
