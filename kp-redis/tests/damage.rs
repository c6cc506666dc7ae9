//! Tests damaged records, foreign keys and a full server: a call fails only where it meets the damage.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod calls;
mod packages;

use std::collections::BTreeMap;
use std::time::Duration;

use calls::{CALLS, Stores};
use kp_core::server::*;
use kp_core::*;
use kp_redis::RedisStore;
use kp_test_support::servers::Server;
use packages::{key_package_ref, last_resort, now, pool, save, take};

async fn store(server: &Server) -> RedisStore {
    RedisStore::open(server.url()).await.unwrap()
}

#[tokio::test]
async fn a_foreign_key_in_the_way_is_a_failure_of_its_pool_alone() {
    let server = Server::start(&[]);
    let store = store(&server).await;
    let (bob, carol) = (pool("bob"), pool("carol"));
    store.save_key_packages(&save(&bob, 0..3), now()).await.unwrap();
    store.save_key_packages(&save(&carol, 0..3), now()).await.unwrap();
    let records: Vec<String> = server.command(&["KEYS", "kp:*:r:bob"]).unwrap();
    let () = server
        .command(&["SET", &records[0].replace(":r:", ":i:"), "theirs"])
        .unwrap();

    let Err(Error::Backend(failure)) = store.claim_key_package(&take(&bob, 1), None, now()).await else {
        panic!("it writes into another's key")
    };
    assert_eq!(
        (failure.effect(), failure.is_transient()),
        (Effect::NotApplied, false),
        "{failure}"
    );
    store.claim_key_package(&take(&carol, 1), None, now()).await.unwrap();

    // It walks the pools one by one: carol's are retired, so the call as a whole is not "not applied".
    let Err(Error::Backend(failure)) = store.retire_unspent(now().plus(1), now(), None, 100).await else {
        panic!("it writes into another's key")
    };
    assert_eq!(
        (failure.effect(), failure.is_transient()),
        (Effect::Unknown, false),
        "{failure}"
    );

    // Sweeps do what they can, and tell of it once nothing else is to be told.
    let later = now().plus(100_000);
    assert_eq!(store.cleanup_expired(later, 100).await.unwrap(), 3);
    assert!(store.cleanup_expired(later, 100).await.is_err());
}

/// Every key of the server, and what it holds.
fn keys(connection: &mut redis::Connection) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query(connection).unwrap();
    keys.into_iter()
        .map(|key| (key.clone(), redis::cmd("DUMP").arg(&key).query(connection).unwrap()))
        .collect()
}

/// ERR-1: whichever key of a pool is another's, a call that fails at it has changed nothing, leases that had lapsed included.
#[tokio::test]
async fn a_call_that_meets_a_foreign_key_changes_nothing() {
    let server = Server::start(&[]);
    let stores = Stores::open(
        RedisStore::builder(server.url())
            .buckets(1)
            .timeout(Duration::from_secs(60)),
        "bob",
    )
    .await
    .unwrap();
    let mut connection = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let (store, bob, later) = (&stores.store, &stores.pool, now().plus(60));
    let of_rows = [
        "create_rows",
        "update_rows",
        "delete_rows",
        "write_record",
        "lease",
        "release_lease",
    ];
    let of_the_pool = CALLS
        .iter()
        .filter(|call| call.changes && !of_rows.contains(&call.name));
    let once_lapsed = ["save", "claim", "spend", "release", "renew", "withdraw"].map(|name| (name, true));
    let calls: Vec<_> = of_the_pool.map(|call| (call.name, false)).chain(once_lapsed).collect();
    assert_eq!(calls.len(), 15 + 6);
    let mut failed = BTreeMap::<&str, Vec<&str>>::new();
    for kind in [
        "r:bob", "q:bob", "l:bob", "i:bob", "f:bob", "t:bob", "pools", "expiry", "lapse",
    ] {
        for (name, lapsed) in &calls {
            let () = server.command(&["FLUSHALL"]).unwrap();
            stores.prepare_again().await;
            let () = server.command(&["SET", &format!("kp:{{0}}:{kind}"), "theirs"]).unwrap();
            let before = keys(&mut connection);
            let answer = match (*name, lapsed) {
                ("save", true) => store.save_key_packages(&save(bob, 20..24), later).await.map(drop),
                ("claim", true) => store.claim_key_package(&take(bob, 11), None, later).await.map(drop),
                ("spend", true) => store
                    .spend_key_package(&stores.token(1), &Spend::default(), later)
                    .await
                    .map(drop),
                ("release", true) => store.release_key_package(&stores.token(2), later).await,
                ("renew", true) => {
                    let longer = Ttl::seconds(90).unwrap();
                    store.renew_key_package(&stores.token(2), longer, later).await.map(drop)
                }
                ("withdraw", true) => store
                    .withdraw_key_packages(bob, &Withdrawal::All, later)
                    .await
                    .map(drop),
                (name, _) => stores.call(name).await.map(drop).map_err(Error::Backend),
            };
            if let Err(Error::Backend(failure)) = answer {
                assert_eq!(
                    (failure.effect(), failure.is_transient()),
                    (Effect::NotApplied, false),
                    "{name} at {kind}: {failure}"
                );
                assert_eq!(keys(&mut connection), before, "{name} at {kind}");
                failed.entry(kind).or_default().push(name);
            }
        }
    }
    // What they met it at.
    for (kind, names) in &failed {
        println!("{kind}: {}", names.join(" "));
    }
    assert!(failed.len() == 9 && failed["t:bob"].contains(&"reserve"), "{failed:?}");
}

/// Several items of one call write keys that the first of them does not read.
#[tokio::test]
async fn a_batch_that_meets_a_foreign_key_changes_nothing() {
    let server = Server::start(&[]);
    let store = RedisStore::builder(server.url()).buckets(1).open().await.unwrap();
    let mut connection = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let bob = pool("bob");
    for kind in ["r:bob", "q:bob", "l:bob", "i:bob", "t:bob", "lapse"] {
        for batch in 0..3 {
            let () = server.command(&["FLUSHALL"]).unwrap();
            store.save_key_packages(&save(&bob, 0..5), now()).await.unwrap();
            store.save_key_package(&bob, last_resort(9), now()).await.unwrap();
            let leased = store.reserve_key_package(&take(&bob, 1), OnLapse::Return, now()).await;
            let token = leased.unwrap().lease.unwrap().token;
            let () = server.command(&["SET", &format!("kp:{{0}}:{kind}"), "theirs"]).unwrap();
            let before = keys(&mut connection);
            let mut slot = take(&bob, 5);
            slot.options.last_resort = LastResort::Only;
            let takes = [slot, take(&bob, 1), take(&bob, 2)];
            let failures: Vec<_> = match batch {
                0 => {
                    let answers = store.reserve_key_packages(&takes, OnLapse::Return, now()).await;
                    answers
                        .into_iter()
                        .map(|answer| answer.map(drop).unwrap_err())
                        .collect()
                }
                1 => {
                    let answers = store.claim_key_packages(&takes, None, now()).await;
                    answers
                        .into_iter()
                        .map(|answer| answer.map(drop).unwrap_err())
                        .collect()
                }
                _ => {
                    let tokens = [token.clone(), token];
                    let answers = store.spend_key_packages(&tokens, &Spend::default(), now()).await;
                    answers
                        .into_iter()
                        .map(|answer| answer.map(drop).unwrap_err())
                        .collect()
                }
            };
            for failure in failures {
                assert!(
                    matches!(&failure, Error::Backend(failure) if failure.effect() == Effect::NotApplied),
                    "{kind}: {failure}"
                );
            }
            assert_eq!(keys(&mut connection), before, "{kind}");
        }
    }
}

#[tokio::test]
async fn a_damaged_record_fails_where_it_is_named_and_is_passed_over_elsewhere() {
    let server = Server::start(&[]);
    let store = store(&server).await;
    let bob = pool("bob");
    store.save_key_packages(&save(&bob, 0..4), now()).await.unwrap();
    store.save_key_package(&bob, last_resort(9), now()).await.unwrap();
    let leased = store
        .reserve_key_package(&take(&bob, 1), OnLapse::Return, now())
        .await
        .unwrap();

    // The first of the queue and the leased one.
    let keys: Vec<Vec<u8>> = server.command(&["KEYS", "kp:*:r:bob"]).unwrap();
    for (number, damage) in [
        (0, b"F".as_slice()),
        (1, b"no record at all, but long enough for the facts of one..."),
    ] {
        let mut connection = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
        let mut command = redis::cmd("HSET");
        command
            .arg(&keys[0])
            .arg(key_package_ref(number).as_bytes())
            .arg(damage);
        let () = command.query(&mut connection).unwrap();
    }
    let unreadable = |answer: Result<()>| {
        let Err(Error::Backend(failure)) = answer else {
            panic!("it was read")
        };
        assert_eq!((failure.effect(), failure.is_transient()), (Effect::NotApplied, false));
        assert!(failure.to_string().contains("cannot be read"), "{failure}");
    };
    let damaged = key_package_ref(0);
    assert_eq!(leased.package.info.key_package_ref, damaged);
    let token = leased.lease.unwrap().token;
    unreadable(
        store
            .spend_key_package(&token, &Spend::default(), now())
            .await
            .map(drop),
    );
    unreadable(store.release_key_package(&token, now()).await);
    unreadable(store.get_key_package(&bob, &damaged, now()).await.map(drop));
    unreadable(
        store
            .get_statuses(&bob, std::slice::from_ref(&damaged), now())
            .await
            .map(drop),
    );
    unreadable(
        store
            .reserve_key_package(&take(&bob, 1), OnLapse::Return, now())
            .await
            .map(drop),
    );
    let mut named = take(&bob, 7);
    named.options.only = Some(damaged.clone());
    unreadable(store.claim_key_package(&named, None, now()).await.map(drop));
    let withdrawal = Withdrawal::Refs(vec![key_package_ref(2), damaged.clone()]);
    unreadable(store.withdraw_key_packages(&bob, &withdrawal, now()).await.map(drop));
    unreadable(store.save_key_packages(&save(&bob, 0..30), now()).await.map(drop));

    // SAVE-1, DEL-3: of those, nothing was done; the others are served, and the damaged one in the queue passed over.
    let counts = store.count_by_status(&bob, now()).await.unwrap().of(Ciphersuite(1));
    assert_eq!(
        (counts.available, counts.spent, counts.last_resort),
        (2, 0, Slot::Unused)
    );
    let next = store.claim_key_package(&take(&bob, 8), None, now()).await.unwrap();
    assert_eq!(next.info.key_package_ref, key_package_ref(2));
    // In a batch only the damaged item fails.
    let both = [take(&bob, 1), take(&bob, 9)];
    let answers = store.claim_key_packages(&both, None, now()).await;
    assert!(matches!(answers[0], Err(Error::Backend(_))));
    assert_eq!(answers[1].as_ref().unwrap().info.key_package_ref, key_package_ref(3));
    let exhausted = store.claim_key_package(&take(&bob, 10), None, now()).await.unwrap_err();
    assert_eq!(exhausted.rejection(), Some(&Rejection::PoolExhausted));
    assert_eq!(store.list_available(&bob, None, 10, now()).await.unwrap().items, []);

    // Nothing stays due for ever.
    let later = now().plus(100_000);
    while store.release_expired_reservations(later, 1).await.unwrap() > 0 {}
    while store.cleanup_expired(later, 1).await.unwrap() > 0 {}
    store.delete_pool(&bob).await.unwrap();
    assert_eq!(store.list_pools(None, 10).await.unwrap().items, []);
}

#[tokio::test]
async fn a_full_server_stores_nothing_and_loses_nothing() {
    let server = Server::start(&[]);
    let store = store(&server).await;
    let bob = pool("bob");
    store.save_key_packages(&save(&bob, 0..3), now()).await.unwrap();
    let () = server.command(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    let Err(Error::Backend(failure)) = store.save_key_packages(&save(&bob, 3..6), now()).await else {
        panic!("it stores more than it may")
    };
    assert_eq!(
        (failure.effect(), failure.is_transient()),
        (Effect::NotApplied, true),
        "{failure}"
    );
    let counts = store.count_by_status(&bob, now()).await.unwrap().of(Ciphersuite(1));
    assert_eq!((counts.available, counts.total()), (3, 3));
    // What makes room goes on.
    store.delete_pool(&bob).await.unwrap();
    let () = server.command(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    store.save_key_packages(&save(&bob, 3..6), now()).await.unwrap();
}

/// ERR-1: what a sweep did before it met a failure is done, and no failure says otherwise.
#[tokio::test]
async fn a_sweep_that_fails_on_its_way_says_what_it_did() {
    let server = Server::start(&[]);
    let store = store(&server).await;
    let mut first = None;
    for number in 0..64 {
        let bob = pool(format!("bob/{number}"));
        store.save_key_packages(&save(&bob, 0..3), now()).await.unwrap();
        let key: Vec<String> = server.command(&["KEYS", &format!("kp:*:r:bob/{number}")]).unwrap();
        let bucket = &key[0][4..key[0].find('}').unwrap()];
        if u16::from_str_radix(bucket, 16).unwrap() < 128 {
            first = Some(bob);
            break;
        }
        store.delete_pool(&bob).await.unwrap();
    }
    store
        .reserve_key_package(&take(&first.unwrap(), 1), OnLapse::Return, now())
        .await
        .unwrap();
    // The last bucket, which a sweep asks last.
    for index in ["expiry", "lapse"] {
        let () = server
            .command(&["SET", &format!("kp:{{3ff}}:{index}"), "theirs"])
            .unwrap();
    }
    let later = now().plus(100_000);
    assert_eq!(store.release_expired_reservations(later, 100).await.unwrap(), 1);
    assert!(store.release_expired_reservations(later, 100).await.is_err());
    assert_eq!(store.cleanup_expired(later, 100).await.unwrap(), 3);
    assert!(store.cleanup_expired(later, 100).await.is_err());
}

/// A store that is there opens on a server that takes no changes: reads go on.
#[tokio::test]
async fn a_store_opens_on_a_server_that_takes_no_changes() {
    let server = Server::start(&[]);
    let bob = pool("bob");
    store(&server)
        .await
        .save_key_packages(&save(&bob, 0..3), now())
        .await
        .unwrap();
    for setting in [["min-replicas-to-write", "1"], ["maxmemory", "1"]] {
        let () = server.command(&["CONFIG", "SET", setting[0], setting[1]]).unwrap();
        let counts = store(&server).await.count_by_status(&bob, now()).await.unwrap();
        assert_eq!(counts.of(Ciphersuite(1)).available, 3, "{setting:?}");
        let () = server.command(&["CONFIG", "SET", setting[0], "0"]).unwrap();
    }
}
