//! Moves a slot from one node of a cluster to another while calls use the slot.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod outcomes;
mod packages;

use std::time::Duration;

use kp_core::server::*;
use kp_core::*;
use kp_redis::RedisStore;
use kp_test_support::servers::{Cluster, Server};
use outcomes::opened;
use packages::{now, pool, save, take};

/// Moves these keys of a slot.
fn migrate(from: &Server, to: &Server, keys: &[String]) {
    let port = to.port().to_string();
    let mut command = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
    command.extend(keys.iter().map(String::as_str));
    let () = from.command(&command).unwrap();
}

#[tokio::test]
async fn calls_follow_a_slot_that_moves() {
    let cluster = Cluster::start(kp_test_support::servers::redis());
    let bob = pool("bob");
    let open = |timeout| RedisStore::builder(cluster.url()).timeout(timeout).open();
    let store = open(Duration::from_secs(60)).await.unwrap();
    let hasty = opened(|| open(Duration::from_millis(300))).await;
    assert_eq!(store.server().masters, 3);
    store.save_key_packages(&save(&bob, 0..9), now()).await.unwrap();

    // With a lease the pool has all its keys: an importing node serves no script that names a missing one.
    let lease = store.reserve_key_package(&take(&bob, 9), OnLapse::Return, now()).await;
    assert!(lease.is_ok());

    // Whose it is, and where it goes.
    let holds = |node: &Server| -> Vec<String> {
        let mut keys: Vec<String> = node.command(&["KEYS", "kp:*"]).unwrap();
        keys.retain(|key| key != "kp:{schema}");
        keys
    };
    let from = cluster.nodes.iter().find(|node| !holds(node).is_empty()).unwrap();
    let to = cluster.nodes.iter().find(|node| node.port() != from.port()).unwrap();
    let mut keys = holds(from);
    // The first to move is one that every script names.
    keys.sort_by_key(|key| !key.contains(":r:"));
    assert_eq!(keys.len(), 9, "{keys:?}");
    // As a node that joined a moment ago.
    let () = to.command(&["FUNCTION", "FLUSH"]).unwrap();
    let slot: u16 = from.command(&["CLUSTER", "KEYSLOT", &keys[0]]).unwrap();
    let slot = slot.to_string();
    let name_of = |node: &Server| -> String { node.command(&["CLUSTER", "MYID"]).unwrap() };
    let (from_name, to_name) = (name_of(from), name_of(to));
    let () = to
        .command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_name])
        .unwrap();
    let () = from
        .command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_name])
        .unwrap();

    // TRYAGAIN: the keys are in two places. A call waits for that to pass until its time-out, and is not applied: the
    // counts below tell. Where the time-out strikes while an attempt is under way, the store itself cannot know that.
    migrate(from, to, &keys[..1]);
    let Err(Error::Backend(failure)) = hasty.claim_key_package(&take(&bob, 1), None, now()).await else {
        panic!("it answers from half a pool")
    };
    assert!(failure.is_transient(), "{failure}");

    // ASK: all of them are there, and the slot is not yet. A call that waited goes through.
    let waiting = tokio::spawn({
        let (store, take) = (store.clone(), take(&bob, 2));
        async move { store.claim_key_package(&take, None, now()).await }
    });
    tokio::task::yield_now().await;
    migrate(from, to, &keys[1..]);
    waiting.await.unwrap().unwrap();
    store.claim_key_package(&take(&bob, 3), None, now()).await.unwrap();

    // MOVED: the slot has a new master.
    for node in [to, from] {
        let () = node.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &to_name]).unwrap();
    }
    store.claim_key_package(&take(&bob, 4), None, now()).await.unwrap();
    let counts = store.count_by_status(&bob, now()).await.unwrap().of(Ciphersuite(1));
    assert_eq!((counts.available, counts.reserved, counts.spent), (5, 1, 3));
}
