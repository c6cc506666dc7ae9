//! A store that goes on being used after calls that were undone: what they did is not known any more.

#![allow(
    clippy::let_unit_value,
    reason = "rusqlite 0.37 sets a hook without a result, 0.41 with one"
)]
#![allow(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kp_core::server::*;
use kp_core::*;
use rusqlite::Connection;

use crate::pools::store::SqliteStore;
use crate::tests::packages::test_package;

fn now() -> Timestamp {
    Timestamp::try_from(1_700_000_000).unwrap()
}

fn pool(name: &str) -> PoolId {
    PoolId::try_from(name).unwrap()
}

fn package(name: &str) -> KeyPackage {
    test_package(name.as_bytes(), Lifetime::new(now(), now().plus(1_000)).unwrap(), &[7])
}

fn take(pool_name: &str, number: u8) -> TakeRequest {
    let id = ReservationId::from_bytes([number; 16]);
    TakeRequest::new(pool(pool_name), id, Ttl::try_from(60).unwrap())
}

async fn save(store: &SqliteStore, pool_name: &str, names: &[&str]) -> Result<Vec<SaveOutcome>> {
    let save = Save::new(pool(pool_name), names.iter().copied().map(package)).unwrap();
    store.save_key_packages(&save, now()).await
}

/// A store whose next commit fails once it is told to.
async fn opened(path: &Path, fails: &Arc<AtomicBool>) -> SqliteStore {
    let fails = Arc::clone(fails);
    let hooked = move |connection: &mut Connection| {
        let _ = connection.commit_hook(Some(move || fails.swap(false, Ordering::SeqCst)));
    };
    SqliteStore::builder(path).open_with(hooked).await.unwrap()
}

/// RES-2: what a failed commit handed out is handed out next.
#[tokio::test]
async fn the_oldest_is_handed_out_after_a_failed_commit() {
    let (dir, fails) = (tempfile::tempdir().unwrap(), Arc::default());
    let store = opened(&dir.path().join("pools.db"), &fails).await;
    save(&store, "bob", &["1", "2"]).await.unwrap();
    fails.store(true, Ordering::SeqCst);
    let lost = store.reserve_key_package(&take("bob", 1), OnLapse::Return, now()).await;
    assert!(matches!(lost, Err(Error::Backend(_))));
    let next = store.reserve_key_package(&take("bob", 2), OnLapse::Return, now()).await;
    assert_eq!(next.unwrap().package, package("1"));
}

/// SAVE-1: a pool that came to be in a failed commit is made anew, and is another's neither.
#[tokio::test]
async fn a_pool_is_made_anew_after_a_failed_commit() {
    let (dir, fails) = (tempfile::tempdir().unwrap(), Arc::default());
    let store = opened(&dir.path().join("pools.db"), &fails).await;
    fails.store(true, Ordering::SeqCst);
    save(&store, "bob", &["1"]).await.unwrap_err();
    save(&store, "alice", &["2"]).await.unwrap();
    save(&store, "bob", &["3"]).await.unwrap();
    for (pool, named) in [("bob", "3"), ("alice", "2")] {
        let claimed = store.claim_key_package(&take(pool, 1), None, now()).await;
        assert_eq!(claimed.unwrap(), package(named));
    }
}

/// RES-2, ERR-1: a call that shares its transaction with one on a damaged row is run again, on what the file holds.
#[tokio::test]
async fn the_oldest_is_handed_out_beside_a_damaged_row() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pools.db");
    let store = SqliteStore::open(&path).await.unwrap();
    save(&store, "bob", &["1", "2"]).await.unwrap();
    save(&store, "alice", &["3"]).await.unwrap();
    let damage = "PRAGMA ignore_check_constraints = ON; UPDATE keypackage_pool_packages SET suite = -1 WHERE key = 3";
    Connection::open(&path).unwrap().execute_batch(damage).unwrap();
    let named = TakeOptions::new().only(package("3").info.key_package_ref);
    let takes = [take("bob", 1), take("alice", 1).options(named)];
    let answers = store.reserve_key_packages(&takes, OnLapse::Return, now()).await;
    assert_eq!(answers[0].as_ref().unwrap().package, package("1"));
    assert!(matches!(answers[1], Err(Error::Backend(_))));
}
