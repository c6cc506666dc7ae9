//! One node of a cluster hangs: calls on its pools fail within their time-out, calls on other pools go on, and all is well
//! once it is back.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod packages;

use std::time::Duration;

use kp_core::server::*;
use kp_core::*;
use kp_redis::RedisStore;
use kp_test_support::servers::{Cluster, redis};
use packages::{now, pool, save, take};

const TIMEOUT: Duration = Duration::from_secs(6);

#[tokio::test(flavor = "multi_thread")]
async fn calls_on_other_nodes_go_on_beside_one_that_hangs() {
    // Its nodes take longer to call one of them lost.
    let cluster = Cluster::start(redis());
    for node in &cluster.nodes {
        let () = node
            .command(&["CONFIG", "SET", "cluster-node-timeout", "600000"])
            .unwrap();
    }
    let store = RedisStore::builder(cluster.url())
        .timeout(TIMEOUT)
        .open()
        .await
        .unwrap();
    let pools: Vec<_> = (0..12).map(|number| pool(format!("user-{number}"))).collect();
    for pool in &pools {
        store.save_key_packages(&save(pool, 0..9), now()).await.unwrap();
    }
    let hung = &cluster.nodes[1];
    let keys: Vec<String> = hung.command(&["KEYS", "kp:*:r:*"]).unwrap();
    let (on_it, elsewhere): (Vec<_>, Vec<_>) = pools
        .iter()
        .partition(|pool| keys.iter().any(|key| key.as_bytes().ends_with(pool.as_bytes())));
    assert!(!on_it.is_empty() && !elsewhere.is_empty());

    hung.pause();
    for round in 0..2 {
        let Err(Error::Backend(failure)) = store.claim_key_package(&take(on_it[0], round), None, now()).await else {
            panic!("it hangs")
        };
        assert!(failure.is_transient(), "{failure}");
        for pool in &elsewhere {
            store.count_by_status(pool, now()).await.unwrap();
            store.claim_key_package(&take(pool, round), None, now()).await.unwrap();
        }
    }
    hung.resume();
    for pool in &pools {
        store.claim_key_package(&take(pool, 9), None, now()).await.unwrap();
    }
}
