//! The file: opening it, sharing it, damaging it, and what it costs.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use kp_core::server::*;
use kp_core::*;
use kp_sqlite::{SqliteStore, Survives};
use rusqlite::Connection;

const DAY: u64 = 86_400;

fn at(seconds: i64) -> Timestamp {
    Timestamp::try_from(1_700_000_000 + seconds).unwrap()
}

fn pool(name: &str) -> PoolId {
    PoolId::try_from(name).unwrap()
}

/// A package of the usual size, with a ref that looks like a hash.
fn package(number: u64, not_after: Timestamp) -> KeyPackage {
    let mut key_package_ref = [0; 32];
    for (at, chunk) in key_package_ref.chunks_mut(8).enumerate() {
        let mixed = (number + 1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(at as u32 * 13);
        chunk.copy_from_slice(&mixed.wrapping_mul(0xff51_afd7_ed55_8ccd).to_be_bytes());
    }
    KeyPackage::new(
        KeyPackageInfo::new(
            KeyPackageRef::try_from(key_package_ref.as_slice()).unwrap(),
            Ciphersuite(1),
            Lifetime::new(at(-3_600), not_after).unwrap(),
            CredentialHash([1; 32]),
        ),
        KeyPackageBytes::try_from(vec![number as u8; 295]).unwrap(),
    )
}

fn packages(numbers: std::ops::Range<u64>) -> Vec<KeyPackage> {
    numbers.map(|number| package(number, at(0).plus(90 * DAY))).collect()
}

fn id(number: u64) -> ReservationId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    ReservationId::from_bytes(bytes)
}

fn take(name: &str, number: u64) -> TakeRequest {
    TakeRequest::new(pool(name), id(number), Ttl::try_from(60).unwrap())
}

async fn save(store: &SqliteStore, name: &str, packages: Vec<KeyPackage>) {
    let count = packages.len();
    let save = Save::new(pool(name), packages).unwrap();
    let outcomes = store.save_key_packages(&save, at(0)).await.unwrap();
    assert_eq!(outcomes, vec![SaveOutcome::Saved; count]);
}

async fn quick(path: &Path) -> SqliteStore {
    SqliteStore::builder(path)
        .survives(Survives::ProcessCrash)
        .timeout(Duration::from_secs(30))
        .open()
        .await
        .unwrap()
}

#[tokio::test]
async fn what_is_no_database_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.txt");
    let text = "not a database, but long enough that nobody takes it for an empty file. ".repeat(20);
    std::fs::write(&path, &text).unwrap();
    let refused = SqliteStore::open(&path).await.unwrap_err();
    assert!(matches!(refused, OpenError::NotADatabase(_)), "{refused:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);

    let refused = SqliteStore::open(dir.path()).await.unwrap_err();
    assert!(matches!(refused, OpenError::NotADatabase(_)), "{refused:?}");
    let refused = SqliteStore::open(dir.path().join("no/such/folder/pools.db"))
        .await
        .unwrap_err();
    assert!(matches!(refused, OpenError::Unreachable(_)), "{refused:?}");
    let refused = SqliteStore::open(":memory:").await.unwrap_err();
    assert!(matches!(refused, OpenError::UnsafeConfiguration(_)), "{refused:?}");
}

#[tokio::test]
async fn a_read_only_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pools.db");
    SqliteStore::open(&path).await.unwrap().close().await.unwrap();
    let mut permissions = std::fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&path, permissions).unwrap();
    // The permissions say nothing to root: then the file is not read-only.
    let is_writable = std::fs::OpenOptions::new().append(true).open(&path).is_ok();
    match SqliteStore::open(&path).await {
        Ok(_) => assert!(is_writable),
        Err(refused) => assert!(
            !is_writable && matches!(refused, OpenError::Unreachable(_)),
            "{refused:?}"
        ),
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused_by_name_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pools.db");
    SqliteStore::open(&path).await.unwrap().close().await.unwrap();
    let file = Connection::open(&path).unwrap();
    file.execute(
        "INSERT INTO keypackage_pool_schema (tables, version) VALUES ('pools', 999)",
        [],
    )
    .unwrap();
    drop(file);
    let before = std::fs::read(&path).unwrap();
    let refused = SqliteStore::open(&path).await.unwrap_err();
    assert!(
        matches!(refused, OpenError::NewerSchema { found: 999, known: 2 }),
        "{refused:?}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

/// Somebody else's table, view or index of a name of ours: refused by its name, and left as it was.
#[tokio::test]
async fn a_file_with_others_of_our_names_is_refused_and_left_alone() {
    for theirs in [
        "CREATE TABLE keypackage_pools (a)",
        "CREATE TABLE KeyPackage_Pool_Leases (a)",
        "CREATE VIEW keypackage_pool_packages AS SELECT 1 AS a",
        "CREATE TABLE theirs (a); CREATE INDEX keypackage_pool_expiry ON theirs (a)",
        "CREATE TABLE keypackage_pool_schema (a)",
        "CREATE VIEW keypackage_pool_schema AS SELECT 'pools' AS tables, 1 AS version",
        "CREATE TABLE keypackage_pool_log (a)",
        "CREATE VIEW keypackage_pool_log AS SELECT 1 AS key, x'' AS mark",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.db");
        Connection::open(&path).unwrap().execute_batch(theirs).unwrap();
        let before = std::fs::read(&path).unwrap();
        let refused = SqliteStore::open(&path).await.unwrap_err();
        assert!(matches!(refused, OpenError::NotADatabase(_)), "{theirs}: {refused:?}");
        assert!(format!("{refused:?}").len() < 200, "{refused:?}");
        assert!(std::fs::read(&path).unwrap() == before, "{theirs}");
    }
}

#[tokio::test]
async fn the_file_of_an_application_is_shared() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.db");
    let file = Connection::open(&path).unwrap();
    file.execute_batch("CREATE TABLE pools (a); INSERT INTO pools VALUES (1); PRAGMA user_version = 3;")
        .unwrap();
    let store = SqliteStore::open(&path).await.unwrap();
    save(&store, "bob", packages(0..3)).await;
    store.close().await.unwrap();
    let kept: (i64, i64) = file
        .query_row(
            "SELECT a, (SELECT user_version FROM pragma_user_version) FROM pools",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert_eq!(kept, (1, 3));
}

#[tokio::test]
async fn what_was_answered_is_there_after_reopening_and_a_closed_store_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pools.db");
    let store = SqliteStore::open(&path).await.unwrap();
    save(&store, "bob", packages(0..3)).await;
    let reserved = store
        .reserve_key_package(&take("bob", 1), OnLapse::Return, at(0))
        .await
        .unwrap();
    let clone = store.clone();
    store.close().await.unwrap();
    assert!(!dir.path().join("pools.db-wal").exists(), "the log is in the file");
    let Err(Error::Backend(closed)) = clone.claim_key_package(&take("bob", 2), None, at(0)).await else {
        panic!("a closed store answered");
    };
    assert_eq!(closed.effect(), Effect::NotApplied);
    let Err(Error::Backend(closed)) = clone.count_by_status(&pool("bob"), at(0)).await else {
        panic!("a closed store answered");
    };
    assert_eq!(closed.operation(), "count_by_status");
    clone.close().await.unwrap();

    let store = SqliteStore::open(&path).await.unwrap();
    let again = store
        .reserve_key_package(&take("bob", 1), OnLapse::Return, at(1))
        .await
        .unwrap();
    assert_eq!(again, reserved);
    let token = again.lease.unwrap().token;
    store.spend_key_package(&token, &Spend::default(), at(2)).await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test]
async fn many_at_once_open_one_new_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pools.db");
    let opening: Vec<_> = (0..8)
        .map(|_| tokio::spawn(SqliteStore::builder(&path).open()))
        .collect();
    for store in opening {
        store.await.unwrap().unwrap();
    }
}

/// RES-1, RES-8: eight tasks on four handles share 400 packages out, each exactly once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_handles_hand_out_every_package_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pools.db");
    let mut handles = Vec::new();
    for _ in 0..4 {
        handles.push(quick(&path).await);
    }
    save(&handles[0], "bob", packages(0..400)).await;
    let mut last_resort = package(400, at(0).plus(90 * DAY));
    last_resort.info.role = Role::LastResort;
    save(&handles[0], "bob", vec![last_resort]).await;
    let tasks: Vec<_> = (0..8_u64)
        .map(|task| {
            let store = handles[task as usize % 4].clone();
            tokio::spawn(async move {
                let mut got = Vec::new();
                for number in 0..50 {
                    let take = take("bob", task * 50 + number);
                    got.push(store.reserve_key_package(&take, OnLapse::Return, at(1)).await.unwrap());
                }
                got
            })
        })
        .collect();
    let mut refs = HashSet::new();
    for task in tasks {
        for reserved in task.await.unwrap() {
            assert!(reserved.lease.is_some(), "not the last resort");
            assert!(refs.insert(reserved.package.info.key_package_ref));
        }
    }
    assert_eq!(refs.len(), 400);
    let exhausted = handles[1]
        .reserve_key_package(
            &take("bob", 1_000).options(TakeOptions::new().last_resort(LastResort::Never)),
            OnLapse::Return,
            at(1),
        )
        .await;
    assert_eq!(exhausted.unwrap_err().rejection(), Some(&Rejection::PoolExhausted));
}

/// RES-8: waiting ends in a transient failure, at the store's time-out.
#[tokio::test]
async fn a_writer_that_never_ends_makes_calls_fail_unapplied() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pools.db");
    let store = SqliteStore::builder(&path)
        .timeout(Duration::from_millis(20))
        .open()
        .await
        .unwrap();
    save(&store, "bob", packages(0..2)).await;
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let Err(Error::Backend(locked)) = store.claim_key_package(&take("bob", 1), None, at(0)).await else {
        panic!("claimed beside another writer");
    };
    assert!(locked.is_transient());
    assert_eq!(locked.effect(), Effect::NotApplied);
    // Readers do not wait for a writer.
    assert_eq!(
        store
            .count_by_status(&pool("bob"), at(0))
            .await
            .unwrap()
            .of(Ciphersuite(1))
            .available,
        2
    );
    other.execute_batch("ROLLBACK").unwrap();
    store.claim_key_package(&take("bob", 1), None, at(0)).await.unwrap();
}

/// Only the mark of the log needs the lock when a file is opened, and it can wait.
#[tokio::test]
async fn a_file_is_opened_beside_a_writer_that_never_ends() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pools.db");
    let store = SqliteStore::open(&path).await.unwrap();
    save(&store, "bob", packages(0..2)).await;
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let beside = SqliteStore::open(&path).await.unwrap();
    let counts = beside.count_by_status(&pool("bob"), at(0)).await.unwrap();
    assert_eq!(counts.of(Ciphersuite(1)).available, 2);
    other.execute_batch("ROLLBACK").unwrap();
    beside.claim_key_package(&take("bob", 1), None, at(0)).await.unwrap();
}

/// A damaged row is an error where it is asked for, and skipped where others will do.
#[tokio::test]
async fn a_damaged_row_never_blocks_its_pool() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pools.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let all = packages(0..6);
    save(&store, "bob", all.clone()).await;
    let lapsing = store
        .reserve_key_package(&take("bob", 1), OnLapse::Return, at(0))
        .await
        .unwrap();
    assert_eq!(lapsing.package, all[0]);
    let file = Connection::open(&path).unwrap();
    file.execute_batch(
        "PRAGMA ignore_check_constraints = ON;
         UPDATE keypackage_pool_leases SET id = x'00' WHERE key = 1;
         UPDATE keypackage_pool_packages SET credential = x'00' WHERE key = 2;
         UPDATE keypackage_pool_packages SET not_before = -5 WHERE key = 3;
         UPDATE keypackage_pool_packages SET bytes = NULL WHERE key = 4;",
    )
    .unwrap();
    for damaged in &all[..4] {
        let asked = store
            .get_key_package(&pool("bob"), &damaged.info.key_package_ref, at(1))
            .await;
        let Err(Error::Backend(failure)) = asked else {
            panic!("a damaged row was answered");
        };
        assert_eq!(failure.effect(), Effect::NotApplied);
        assert!(failure.to_string().contains("damaged"), "{failure}");
    }
    // Settling skips the first, the queue and the listings skip the others.
    let claimed = store.claim_key_package(&take("bob", 2), None, at(100)).await.unwrap();
    assert_eq!(claimed, all[4]);
    let page = store.list_available(&pool("bob"), None, 1, at(100)).await.unwrap();
    assert!(page.next.is_some(), "a page that skipped a row is not the last");
    assert!(
        store
            .count_by_status(&pool("bob"), at(100))
            .await
            .unwrap()
            .of(Ciphersuite(1))
            .total()
            >= 2
    );
    assert_eq!(store.release_expired_reservations(at(100), 10).await.unwrap(), 0);
    // A sweep goes on behind a lease that it cannot read.
    save(&store, "alice", packages(6..7)).await;
    let hers = take("alice", 1);
    store.reserve_key_package(&hers, OnLapse::Return, at(10)).await.unwrap();
    assert_eq!(store.release_expired_reservations(at(100), 1).await.unwrap(), 1);
    assert_eq!(store.release_expired_reservations(at(100), 1).await.unwrap(), 0);
    // In a batch, only its own item fails.
    let named = |number: usize| {
        take("bob", 10 + number as u64).options(TakeOptions::new().only(all[number].info.key_package_ref.clone()))
    };
    let answers = store
        .reserve_key_packages(&[named(1), named(5), named(2)], OnLapse::Return, at(100))
        .await;
    assert!(matches!(answers[0], Err(Error::Backend(_))));
    assert_eq!(answers[1].as_ref().unwrap().package, all[5]);
    assert!(matches!(answers[2], Err(Error::Backend(_))));
    store.delete_pool(&pool("bob")).await.unwrap();
    save(&store, "bob", all).await;
}

/// A file that is damaged as a whole is a failure with its source, not a refusal.
#[tokio::test]
async fn a_damaged_file_is_a_failure() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pools.db");
    let store = quick(&path).await;
    for part in 0..10 {
        save(&store, "bob", packages(part * 100..part * 100 + 100)).await;
    }
    store.close().await.unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    for byte in &mut bytes[4_096 * 16..] {
        *byte = 0xA5;
    }
    std::fs::write(&path, bytes).unwrap();
    let store = quick(&path).await;
    let mut failures = 0;
    for number in 0..10 {
        match store.claim_key_package(&take("bob", number), None, at(0)).await {
            Err(Error::Backend(failure)) => {
                assert_eq!(failure.effect(), Effect::NotApplied);
                assert!(std::error::Error::source(&failure).is_some());
                failures += 1;
            }
            Err(refused) => panic!("damage passed for an answer: {refused}"),
            Ok(_) => {}
        }
    }
    assert!(failures > 0);
}

/// ERR-2: dropped futures leave a store that works, and no package is lost twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_calls_leave_the_store_usable() {
    let dir = tempfile::tempdir().unwrap();
    let store = quick(&dir.path().join("pools.db")).await;
    save(&store, "bob", packages(0..100)).await;
    for number in 0..50 {
        let take = take("bob", number);
        let call = store.claim_key_package(&take, None, at(0));
        // Polled once, which sends it, and dropped.
        tokio::select! { biased; _ = call => {}, () = std::future::ready(()) => {} }
    }
    let mut refs = HashSet::new();
    for number in 0..100 {
        // The first fifty ask again, and get what they were given or the next: each its own.
        let package = store
            .claim_key_package(&take("bob", number), None, at(1))
            .await
            .unwrap();
        assert!(refs.insert(package.info.key_package_ref));
    }
}

/// The disk: at most 1.5 times the payload, in pools of 100.
#[tokio::test]
async fn a_stored_package_costs_little_more_than_its_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pools.db");
    let store = quick(&path).await;
    let pools = 60;
    for number in 0..pools {
        let part = packages(number * 100..number * 100 + 100);
        save(&store, &format!("client {number}, phone"), part).await;
    }
    store.close().await.unwrap();
    let each = std::fs::metadata(&path).unwrap().len() as f64 / (pools * 100) as f64;
    println!("{each:.1} bytes a package of 295");
    assert!(each <= 1.5 * 295.0, "{each}");
}
