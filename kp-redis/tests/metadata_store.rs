//! Tests a client's metadata where the suite cannot see: damaged rows, foreign keys, replicas, a cluster.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod outcomes;
mod packages;

use std::time::Duration;

use kp_core::client::*;
use kp_core::server::KeyPackageStore;
use kp_core::*;
use kp_redis::{RedisMetadata, RedisStore};
use kp_test_support::servers::Server;
use outcomes::{failed, known, opened};
use packages::{key_package_ref, now, package, pool, save};

fn rows(numbers: std::ops::Range<u32>) -> Vec<KeyPackageMetadata> {
    numbers
        .map(|number| KeyPackageMetadata::created(&package(number).info, now()))
        .collect()
}

const MINUTE: Ttl = Ttl::seconds(60).unwrap();

fn holder(byte: u8) -> LeaseHolder {
    LeaseHolder::from_bytes([byte; 16])
}

fn available(number: u32) -> (KeyPackageRef, Lifecycle) {
    (key_package_ref(number), Lifecycle::Available)
}

/// Sets a field of one of the client's hashes behind the store's back.
fn put(server: &Server, kind: &str, field: &[u8], value: &[u8]) {
    let keys: Vec<Vec<u8>> = server.command(&["KEYS", &format!("kp:*:{kind}:bot")]).unwrap();
    let mut connection = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let mut command = redis::cmd("HSET");
    command.arg(&keys[0]).arg(field).arg(value);
    let () = command.query(&mut connection).unwrap();
}

fn failure<T: std::fmt::Debug>(answer: MetadataResult<T>) -> BackendError {
    match answer {
        Err(Error::Backend(failure)) => failure,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_damaged_row_fails_where_it_is_asked_for_and_the_others_are_served() {
    let server = Server::start(&[]);
    let metadata = RedisMetadata::open(server.url(), pool("bot")).await.unwrap();
    metadata.create_pool_metadata(&rows(0..4)).await.unwrap();
    let kept = MetadataChanges::new().record(PoolRecord::default());
    metadata.apply(&kept).await.unwrap();
    let steps = [available(2), available(0)];
    for damage in [b"".as_slice(), b"\x01", &[7; 90]] {
        put(&server, "m", key_package_ref(0).as_bytes(), damage);
        let failures = [
            failure(metadata.get(&key_package_ref(0)).await),
            failure(metadata.list().await),
            failure(metadata.update_pool_status(&steps, now()).await),
            // The row is there, all the same.
            failure(metadata.create_pool_metadata(&rows(0..1)).await),
        ];
        for failure in failures {
            assert_eq!((failure.effect(), failure.is_transient()), (Effect::NotApplied, false));
            assert!(failure.to_string().contains("cannot be read"), "{failure}");
        }
        assert_eq!(
            metadata.get(&key_package_ref(2)).await.unwrap(),
            Some(rows(2..3).remove(0))
        );
    }
    metadata.update_pool_status(&[available(1)], now()).await.unwrap();
    // Deleted, it is out of the way.
    assert_eq!(metadata.delete_pool_metadata(&[key_package_ref(0)]).await.unwrap(), 1);
    assert_eq!(metadata.list().await.unwrap().len(), 3);
    // A record and a lease.
    for damage in [b"".as_slice(), b"\x01\0", &[7; 90]] {
        put(&server, "s", b"record", damage);
        put(&server, "s", b"lease:round", damage);
        for failure in [
            failure(metadata.record().await),
            failure(metadata.lease(LeaseName::ROUND, holder(1), MINUTE, now()).await),
            failure(metadata.release_lease(LeaseName::ROUND, holder(1)).await),
        ] {
            assert_eq!((failure.effect(), failure.is_transient()), (Effect::NotApplied, false));
        }
    }
    let anew = MetadataChanges::new().record(PoolRecord::default());
    assert_eq!(metadata.apply(&anew).await.unwrap(), 0);
    assert_eq!(metadata.record().await.unwrap(), PoolRecord::default());
    // A ref that cannot be one.
    put(&server, "m", &[1; 65], b"");
    assert_eq!(failure(metadata.list().await).effect(), Effect::NotApplied);
}

#[tokio::test]
async fn clients_and_pools_under_one_prefix_share_nothing() {
    let server = Server::start(&[]);
    let (bot, other) = (pool("bot"), pool("other bot"));
    let metadata = RedisMetadata::open(server.url(), bot.clone()).await.unwrap();
    let theirs = RedisMetadata::open(server.url(), other).await.unwrap();
    let store = RedisStore::open(server.url()).await.unwrap();
    store.save_key_packages(&save(&bot, 0..2), now()).await.unwrap();
    metadata.create_pool_metadata(&rows(0..3)).await.unwrap();
    assert_eq!(theirs.list().await.unwrap(), []);
    theirs.create_pool_metadata(&rows(0..1)).await.unwrap();
    store.delete_pool(&bot).await.unwrap();
    assert_eq!(metadata.list().await.unwrap(), rows(0..3));
    assert_eq!(theirs.list().await.unwrap(), rows(0..1));
}

#[tokio::test]
async fn a_foreign_key_or_a_full_server_changes_nothing() {
    let server = Server::start(&[]);
    let metadata = RedisMetadata::open(server.url(), pool("bot")).await.unwrap();
    metadata.create_pool_metadata(&rows(0..2)).await.unwrap();
    let () = server.command(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    for refused in [
        failure(metadata.create_pool_metadata(&rows(2..3)).await),
        failure(metadata.update_pool_status(&[available(0)], now()).await),
    ] {
        assert_eq!(
            (refused.effect(), refused.is_transient()),
            (Effect::NotApplied, true),
            "{refused}"
        );
    }
    assert_eq!(metadata.list().await.unwrap(), rows(0..2));
    // What makes room goes on.
    assert_eq!(metadata.delete_pool_metadata(&[key_package_ref(0)]).await.unwrap(), 1);
    let () = server.command(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();

    let keys: Vec<String> = server.command(&["KEYS", "kp:*:m:bot"]).unwrap();
    let () = server.command(&["SET", &keys[0], "theirs"]).unwrap();
    for refused in [
        failure(metadata.list().await),
        failure(metadata.create_pool_metadata(&rows(5..6)).await),
        failure(metadata.update_pool_status(&[available(1)], now()).await),
        failure(metadata.delete_pool_metadata(&[key_package_ref(1)]).await),
    ] {
        assert_eq!(
            (refused.effect(), refused.is_transient()),
            (Effect::NotApplied, false),
            "{refused}"
        );
    }
}

/// Nothing of a step is written when its second key is foreign.
#[tokio::test]
async fn a_foreign_key_of_the_record_keeps_the_rows_as_they_are() {
    let server = Server::start(&[]);
    let metadata = RedisMetadata::open(server.url(), pool("bot")).await.unwrap();
    let first = MetadataChanges::new().create(rows(0..2));
    metadata.apply(&first.record(PoolRecord::default())).await.unwrap();
    let keys: Vec<String> = server.command(&["KEYS", "kp:*:s:bot"]).unwrap();
    let () = server.command(&["SET", &keys[0], "theirs"]).unwrap();
    let all = MetadataChanges::new()
        .create(rows(2..3))
        .step([available(0)], now())
        .delete([key_package_ref(1)]);
    for refused in [
        all.clone().record(PoolRecord::default()),
        all.clone().fence(Fence::new(LeaseName::LEDGER, 1)),
    ] {
        let refused = failure(metadata.apply(&refused).await);
        assert_eq!((refused.effect(), refused.is_transient()), (Effect::NotApplied, false));
    }
    assert_eq!(metadata.list().await.unwrap(), rows(0..2));
    assert_eq!(metadata.apply(&all).await.unwrap(), 1);
}

#[tokio::test]
async fn a_call_that_waits_is_unknown_while_its_replica_is_stopped() {
    let master = Server::start(&["--repl-diskless-sync-delay", "0"]);
    let replica = Server::start_replica(&master);
    let open = |timeout| {
        let builder = RedisStore::builder(master.url());
        builder.replicas(1).timeout(timeout).open_metadata(pool("bot"))
    };
    let patient = open(Duration::from_secs(60)).await.unwrap();
    patient.create_pool_metadata(&rows(0..2)).await.unwrap();
    // The server knows the script, so that none has to be sent again whole.
    assert_eq!(patient.delete_pool_metadata(&[key_package_ref(9)]).await.unwrap(), 0);
    patient.release_lease(LeaseName::ROUND, holder(1)).await.unwrap();
    let metadata = opened(|| open(Duration::from_millis(300))).await;
    replica.pause();
    // Changes, replays and refusals alike (ERR-5).
    let lost = [(key_package_ref(9), Lifecycle::Spent)];
    let stale = MetadataChanges::new().fence(Fence::new(LeaseName::ROUND, 9));
    for waits in [
        failed(async || metadata.update_pool_status(&[available(0)], now()).await).await,
        failed(async || metadata.update_pool_status(&[available(0)], now()).await).await,
        failed(async || metadata.update_pool_status(&lost, now()).await).await,
        failed(async || metadata.create_pool_metadata(&rows(0..1)).await).await,
        failed(async || metadata.delete_pool_metadata(&[key_package_ref(1)]).await).await,
        failed(async || metadata.lease(LeaseName::ROUND, holder(1), MINUTE, now()).await).await,
        failed(async || metadata.lease(LeaseName::ROUND, holder(2), MINUTE, now()).await).await,
        failed(async || metadata.apply(&stale).await).await,
    ] {
        assert_eq!(
            (waits.effect(), waits.is_transient()),
            (Effect::Unknown, true),
            "{waits}"
        );
    }
    // Reads wait for nobody.
    assert_eq!(patient.list().await.unwrap().len(), 1);
    replica.resume();
    let updated = known(async || metadata.update_pool_status(&[available(0)], now()).await).await;
    updated.unwrap();
    let refused = known(async || metadata.update_pool_status(&lost, now()).await).await;
    assert_eq!(refused.unwrap_err().rejection(), Some(&MetadataRejection::NotFound));
}

#[cfg(feature = "cluster")]
#[tokio::test]
async fn clients_spread_over_a_cluster() {
    let cluster = kp_test_support::servers::Cluster::start(kp_test_support::servers::redis());
    for client in 0..12 {
        let client = pool(format!("bot/{client}"));
        let metadata = RedisMetadata::open(cluster.url(), client).await.unwrap();
        metadata.create_pool_metadata(&rows(0..5)).await.unwrap();
        metadata
            .update_pool_status(&[available(1), available(2)], now())
            .await
            .unwrap();
        assert_eq!(metadata.delete_pool_metadata(&[key_package_ref(0)]).await.unwrap(), 1);
        let counts = metadata.count_by_status().await.unwrap();
        assert_eq!((counts["available"], counts["created"]), (2, 2));
    }
    for node in &cluster.nodes {
        let keys: Vec<String> = node.command(&["KEYS", "kp:*:m:*"]).unwrap();
        assert!(!keys.is_empty(), "each node has some");
    }
}
