//! Tests calls that wait for replicas, and which changes are lost with a master when no call waits.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod outcomes;
mod packages;

use std::time::Duration;

use kp_core::server::*;
use kp_core::*;
use kp_redis::RedisStore;
use kp_test_support::servers::Server;
use outcomes::{failed, known, opened};
use packages::{now, pool, save, take};

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_call_that_waits_is_unknown_while_its_replica_is_stopped() {
    let master = Server::start(&["--repl-diskless-sync-delay", "0"]);
    let replica = Server::start_replica(&master);
    let bob = pool("bob");
    let open = |replicas, timeout| {
        let builder = RedisStore::builder(master.url());
        builder.replicas(replicas).timeout(timeout).open()
    };
    let patient = open(1, LONG).await.unwrap();
    assert_eq!(patient.server().replicas, 1);
    patient.save_key_packages(&save(&bob, 0..9), now()).await.unwrap();
    let (claim, second, third) = (take(&bob, 1), take(&bob, 2), take(&bob, 3));
    let package = patient.claim_key_package(&claim, None, now()).await.unwrap();
    let reserved = patient.reserve_key_package(&second, OnLapse::Return, now());
    let token = reserved.await.unwrap().lease.unwrap().token;
    let spend = Spend::default();
    let receipt = patient.spend_key_package(&token, &spend, now()).await.unwrap();
    // Opened while the replica answers, however long that takes.
    let (store, greedy) = (opened(|| open(1, SHORT)).await, opened(|| open(2, SHORT)).await);

    // More replicas than there are: never enough.
    let failure = failed(async || greedy.claim_key_package(&claim, None, now()).await).await;
    assert_eq!(failure.effect(), Effect::Unknown);

    replica.pause();
    // New calls, replays and refusals alike: what they were decided on may yet be lost (ERR-5).
    let failure = failed(async || store.claim_key_package(&third, None, now()).await).await;
    assert_eq!(failure.effect(), Effect::Unknown);
    let failure = failed(async || store.claim_key_package(&claim, None, now()).await).await;
    assert_eq!(failure.effect(), Effect::Unknown);
    let failure = failed(async || store.spend_key_package(&token, &spend, now()).await).await;
    assert_eq!(failure.effect(), Effect::Unknown);
    let failure = failed(async || store.release_key_package(&token, now()).await).await;
    assert_eq!(failure.effect(), Effect::Unknown);
    // Reads wait for nobody.
    let counts = patient.count_by_status(&bob, now()).await.unwrap();
    assert_eq!(counts.of(Ciphersuite(1)).spent, 3);

    replica.resume();
    // The connection that waited was given up; the same requests find out.
    let claimed = known(async || store.claim_key_package(&claim, None, now()).await).await;
    assert_eq!(claimed.unwrap(), package);
    let spent = known(async || store.spend_key_package(&token, &spend, now()).await).await;
    assert_eq!(spent.unwrap(), receipt);
    let refused = known(async || store.release_key_package(&token, now()).await).await;
    assert_eq!(refused.unwrap_err().rejection(), Some(&Rejection::AlreadySpent));
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
