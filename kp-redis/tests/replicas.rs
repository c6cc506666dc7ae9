//! Tests calls that wait for replicas, and which changes are lost with a master when no call waits.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod packages;

use std::time::Duration;

use kp_core::server::*;
use kp_core::*;
use kp_redis::RedisStore;
use kp_test_support::servers::Server;
use packages::{now, pool, save, take};

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
            .replicas(replicas)
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
        store
            .count_by_status(&bob, now())
            .await
            .unwrap()
            .of(Ciphersuite(1))
            .spent,
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

#[tokio::test]
async fn without_wait_a_failover_loses_what_the_replica_has_not() {
    let master = Server::start(&["--repl-diskless-sync-delay", "0"]);
    let replica = Server::start_replica(&master);
    let waiting = RedisStore::builder(master.url()).replicas(1).open().await.unwrap();
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
    let counts = store.count_by_status(&bob, now()).await.unwrap().of(Ciphersuite(1));
    // docs/guarantees.md tells of it: all that was answered meanwhile.
    assert_eq!((counts.available, counts.spent), (100, 0));
}
