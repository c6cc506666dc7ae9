//! Indexes that disagree with their tables, as damage leaves them: every call ends, and other pools are served.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

use std::path::Path;
use std::time::Duration;

use kp_core::server::*;
use kp_core::*;
use kp_sqlite::SqliteStore;
use rusqlite::Connection;

fn at(seconds: i64) -> Timestamp {
    Timestamp::try_from(1_700_000_000 + seconds).unwrap()
}

fn pool(name: &str) -> PoolId {
    PoolId::try_from(name).unwrap()
}

fn package(number: u32, not_after: Timestamp) -> KeyPackage {
    KeyPackage::new(
        KeyPackageInfo::new(
            KeyPackageRef::try_from(number.to_be_bytes().as_slice()).unwrap(),
            Ciphersuite(1),
            Lifetime::new(at(-1), not_after).unwrap(),
            CredentialHash([1; 32]),
        ),
        KeyPackageBytes::try_from([7; 300].as_slice()).unwrap(),
    )
}

async fn save(store: &SqliteStore, name: &str, numbers: std::ops::Range<u32>, not_after: Timestamp) {
    let packages = numbers.map(|number| package(number, not_after));
    let save = Save::new(pool(name), packages).unwrap();
    store.save_key_packages(&save, at(0)).await.unwrap();
}

fn take(name: &str, number: u8) -> TakeRequest {
    TakeRequest::new(
        pool(name),
        ReservationId::from_bytes([number; 16]),
        Ttl::seconds(60).unwrap(),
    )
}

/// Waits for a call that must end. The time is far above what any machine needs.
async fn ends<T>(call: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(120), call)
        .await
        .expect("the call does not end")
}

/// Runs statements on an index that the schema does not name meanwhile, so that SQLite does not keep it up to date.
fn behind_the_back_of(path: &Path, index: &str, statements: &str) {
    let file = Connection::open(path).unwrap();
    let (root, sql): (i64, Option<String>) = file
        .query_row(
            "SELECT rootpage, sql FROM sqlite_schema WHERE name = ?1",
            [index],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    file.execute_batch("PRAGMA writable_schema = ON").unwrap();
    file.execute("DELETE FROM sqlite_schema WHERE name = ?1", [index])
        .unwrap();
    drop(file);
    let file = Connection::open(path).unwrap();
    file.execute_batch(statements).unwrap();
    file.execute_batch("PRAGMA writable_schema = ON").unwrap();
    let table: String = file
        .query_row(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND instr(?1, 'ON ' || name || ' (')",
            [&sql],
            |row| row.get(0),
        )
        .unwrap();
    file.execute(
        "INSERT INTO sqlite_schema VALUES ('index', ?1, ?2, ?3, ?4)",
        (index, table, root, sql),
    )
    .unwrap();
}

/// Puts the content of another index in the place of an index.
fn replace_index(path: &Path, index: &str, other: &str) {
    let file = Connection::open(path).unwrap();
    file.execute_batch(&format!(
        "CREATE INDEX other {other};
         PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'other')
         WHERE name = '{index}';
         DELETE FROM sqlite_schema WHERE name = 'other';"
    ))
    .unwrap();
}

/// SWEEP-1: an index of expired records names one that is not there.
#[tokio::test]
async fn a_sweep_ends_where_the_index_of_expired_records_is_stale() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pools.db");
    let store = SqliteStore::open(&path).await.unwrap();
    save(&store, "bob", 0..20, at(100)).await;
    save(&store, "carol", 20..40, at(100)).await;
    save(&store, "alice", 40..60, at(200)).await;
    store.close().await.unwrap();
    let stale = "DELETE FROM keypackage_pool_packages WHERE key IN (20, 40)";
    behind_the_back_of(&path, "keypackage_pool_expiry", stale);

    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(ends(store.cleanup_expired(at(300), 5)).await.unwrap(), 5);
    assert_eq!(ends(store.cleanup_expired(at(300), 500)).await.unwrap(), 53);
    assert_eq!(ends(store.cleanup_expired(at(300), 500)).await.unwrap(), 0);
    // The stale pools go on.
    save(&store, "bob", 60..61, at(1_000)).await;
    store.claim_key_package(&take("bob", 1), None, at(300)).await.unwrap();
    assert_eq!(ends(store.cleanup_expired(at(900), 500)).await.unwrap(), 0);
    store.delete_pool(&pool("bob")).await.unwrap();
}

/// SWEEP-1: an index of pools says that records have expired, and the pool says otherwise, or is gone.
#[tokio::test]
async fn a_sweep_ends_where_the_index_of_pools_is_stale() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pools.db");
    let store = SqliteStore::open(&path).await.unwrap();
    save(&store, "bob", 0..5, at(1_000)).await;
    save(&store, "alice", 5..10, at(100)).await;
    store.close().await.unwrap();
    // The index goes on saying that bob's pool is due at 50.
    let file = Connection::open(&path).unwrap();
    file.execute(
        "UPDATE keypackage_pools SET next_expiry = ?1 WHERE pool = x'626f62'",
        [at(50).get()],
    )
    .unwrap();
    drop(file);
    let stale = format!(
        "UPDATE keypackage_pools SET next_expiry = {} WHERE pool = x'626f62'",
        at(1_000).get()
    );
    behind_the_back_of(&path, "keypackage_pools_expiry", &stale);

    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(ends(store.cleanup_expired(at(300), 500)).await.unwrap(), 5);
    assert_eq!(ends(store.cleanup_expired(at(300), 500)).await.unwrap(), 0);
    let left = store.count_by_status(&pool("bob"), at(300)).await.unwrap();
    assert_eq!(left.of(Ciphersuite(1)).available, 5);
}

/// RES-2, READ-2: the queue is out of order. A search, and a listing by pages, would begin anew and anew.
#[tokio::test]
async fn a_search_ends_where_the_queue_is_out_of_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pools.db");
    let store = SqliteStore::open(&path).await.unwrap();
    save(&store, "bob", 0..100, at(1_000)).await;
    let all: Vec<_> = (0..100).map(|number| take("bob", number)).collect();
    for claimed in store.claim_key_packages(&all, None, at(0)).await {
        claimed.unwrap();
    }
    save(&store, "alice", 100..200, at(1_000)).await;
    store.close().await.unwrap();
    let wrong = "ON keypackage_pool_packages (pool, 1000000 - key)";
    replace_index(&path, "keypackage_pool_queue", wrong);

    let store = SqliteStore::open(&path).await.unwrap();
    let claimed = ends(store.claim_key_package(&take("bob", 200), None, at(1))).await;
    assert_damage(claimed);
    let mut after = None;
    for page in 0.. {
        assert!(page < 100, "the listing goes in circles");
        match ends(store.list_available(&pool("alice"), after.as_ref(), 10, at(1))).await {
            Ok(page) => after = Some(page.next.expect("it cannot reach the end")),
            failed => {
                assert_damage(failed);
                break;
            }
        }
    }
}

/// READ-5, DEL-2: the ids of pools are out of order.
#[tokio::test]
async fn a_walk_over_all_pools_ends_where_their_ids_are_out_of_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pools.db");
    let store = SqliteStore::open(&path).await.unwrap();
    for (number, name) in (0..).zip(["a", "b", "c", "d"]) {
        save(&store, name, number..number + 1, at(1_000)).await;
    }
    store.close().await.unwrap();
    let ids = "sqlite_autoindex_keypackage_pools_1";
    replace_index(&path, ids, "ON keypackage_pools (pool DESC)");

    let store = SqliteStore::open(&path).await.unwrap();
    assert_damage(ends(store.list_pools(None, 1)).await);
    assert_damage(ends(store.retire_unspent(at(10), at(10), None, 10)).await);
}

/// SWEEP-2: the index of lapses is stale in every way that a lease can be missing.
#[tokio::test]
async fn settling_ends_where_the_index_of_lapses_is_stale() {
    for stale in [
        "DELETE FROM keypackage_pool_leases WHERE key = 1",
        "UPDATE keypackage_pool_leases SET lapses_at = lapses_at + 1000",
        "UPDATE keypackage_pool_leases SET pool = 77 WHERE key = 2",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pools.db");
        let store = SqliteStore::open(&path).await.unwrap();
        save(&store, "bob", 0..5, at(1_000)).await;
        for number in 0..3 {
            let take = take("bob", number);
            store.reserve_key_package(&take, OnLapse::Return, at(0)).await.unwrap();
        }
        store.close().await.unwrap();
        behind_the_back_of(&path, "keypackage_pool_lapses", stale);
        let store = SqliteStore::open(&path).await.unwrap();
        for limit in [1, 500] {
            match ends(store.release_expired_reservations(at(100), limit)).await {
                Ok(settled) => assert!(settled <= 3),
                failed => assert_damage(failed),
            }
        }
    }
}

/// A count or a sequence at the end of its range does not end the writer's thread.
#[tokio::test]
async fn numbers_at_the_end_of_their_range_are_no_panic() {
    for damage in [
        "UPDATE keypackage_pools SET records = 9223372036854775807",
        "UPDATE keypackage_pools SET records = 1",
        "UPDATE keypackage_pools SET last_sequence = 9223372036854775807",
        "UPDATE keypackage_pools SET unspent_from = -9223372036854775808",
        "UPDATE keypackage_pools SET unspent_from = 9223372036854775807",
        "UPDATE keypackage_pools SET next_expiry = -9223372036854775808",
        "UPDATE keypackage_pool_packages SET key = 9223372036854775807 WHERE key = 1",
        "UPDATE keypackage_pool_packages SET key = -9223372036854775808 WHERE key = 1",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pools.db");
        let store = SqliteStore::open(&path).await.unwrap();
        save(&store, "bob", 0..5, at(100)).await;
        save(&store, "bob", 5..10, at(1_000)).await;
        store.close().await.unwrap();
        Connection::open(&path).unwrap().execute_batch(damage).unwrap();
        let store = SqliteStore::open(&path).await.unwrap();
        for now in [at(0), at(200), at(2_000)] {
            let next = Save::one(pool("bob"), package(10, at(3_000)));
            let _ = ends(store.save_key_packages(&next, now)).await;
            let _ = ends(store.claim_key_package(&take("bob", 1), None, now)).await;
            let _ = ends(store.list_available(&pool("bob"), None, 2, now)).await;
            let _ = ends(store.cleanup_expired(now, 2)).await;
            let _ = ends(store.cleanup_expired(now, 500)).await;
        }
        // No thread has ended.
        store.count_by_status(&pool("bob"), at(0)).await.unwrap();
        store.delete_pool(&pool("alice")).await.unwrap();
    }
}

fn assert_damage<T: std::fmt::Debug>(answer: Result<T>) {
    let Err(Error::Backend(failure)) = answer else {
        panic!("damage passed for an answer: {answer:?}");
    };
    assert!(!failure.is_transient(), "{failure}");
    assert_eq!(failure.effect(), Effect::NotApplied);
}

/// ERR-1: what a sweep did before it met a failure is done, and no failure says otherwise.
#[tokio::test]
async fn a_sweep_that_fails_on_its_way_says_what_it_did() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pools.db");
    let store = SqliteStore::open(&path).await.unwrap();
    save(&store, "bob", 0..1_000, at(10)).await;
    save(&store, "carol", 0..3, at(20)).await;
    for (name, number) in [("bob", 1), ("carol", 2)] {
        store
            .reserve_key_package(&take(name, number), OnLapse::Return, at(0))
            .await
            .unwrap();
    }
    let theirs = Connection::open(&path).unwrap();
    theirs
        .execute_batch(
            "CREATE TRIGGER theirs BEFORE DELETE ON keypackage_pool_packages
             WHEN old.pool = (SELECT key FROM keypackage_pools WHERE pool = x'6361726f6c')
             BEGIN SELECT RAISE(ABORT, 'theirs'); END",
        )
        .unwrap();
    assert_eq!(store.cleanup_expired(at(100), 5_000).await.unwrap(), 1_000);
    let Err(Error::Backend(failure)) = store.cleanup_expired(at(100), 5_000).await else {
        panic!("carol's packages cannot be deleted")
    };
    assert_eq!(failure.effect(), Effect::NotApplied);
}
