//! Two releases on one file: what the next release's steps do to a store that is open, and to what it keeps.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

use std::path::Path;

use kp_core::server::*;
use kp_core::*;
use kp_sqlite::SqliteStore;
use rusqlite::Connection;

fn now() -> Timestamp {
    Timestamp::new(1_700_000_000).unwrap()
}

fn pool() -> PoolId {
    PoolId::try_from("bob").unwrap()
}

async fn save(store: &SqliteStore, number: u8) -> Result<SaveOutcome> {
    let lifetime = Lifetime::new(now().minus(1), now().plus(1_000)).unwrap();
    let info = KeyPackageInfo::new(
        KeyPackageRef::try_from([number].as_slice()).unwrap(),
        Ciphersuite(1),
        lifetime,
        CredentialHash([1; 32]),
    );
    let package = KeyPackage::new(info, KeyPackageBytes::try_from(vec![number]).unwrap());
    store.save_key_package(&pool(), Admitted::new(package), now()).await
}

/// Claims, and returns which KeyPackage was handed out.
async fn claim(store: &SqliteStore, id: u8) -> Result<u8> {
    let id = ReservationId::from_bytes([id; 16]);
    let request = TakeRequest::new(pool(), id, Ttl::seconds(60).unwrap());
    let package = store.claim_key_package(&request, None, now()).await?;
    Ok(package.bytes.as_ref()[0])
}

fn step(path: &Path, step: &str) {
    let file = Connection::open(path).unwrap();
    file.execute_batch(&format!("BEGIN IMMEDIATE; {step}; COMMIT")).unwrap();
}

/// What docs/upgrading.md allows: a column that may be absent, and an index.
#[tokio::test]
async fn an_open_store_outlives_a_step_of_the_next_release_that_adds() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pools.db");
    let store = SqliteStore::open(&path).await.unwrap();
    for number in 0..3 {
        save(&store, number).await.unwrap();
    }
    assert_eq!(claim(&store, 100).await.unwrap(), 0);
    step(
        &path,
        "ALTER TABLE keypackage_pools ADD COLUMN later BLOB;
         ALTER TABLE keypackage_pool_packages ADD COLUMN later BLOB;
         ALTER TABLE keypackage_pool_leases ADD COLUMN later BLOB;
         CREATE INDEX keypackage_pool_later ON keypackage_pool_packages (later) WHERE later IS NOT NULL;
         INSERT INTO keypackage_pool_schema (tables, version) VALUES ('pools', 3)",
    );
    // The store that was open goes on: what it wrote is there, and what it writes.
    assert_eq!(claim(&store, 100).await.unwrap(), 0, "the same claim again");
    assert_eq!(claim(&store, 101).await.unwrap(), 1);
    assert_eq!(save(&store, 2).await.unwrap(), SaveOutcome::AlreadyStored);
    assert_eq!(save(&store, 3).await.unwrap(), SaveOutcome::Saved);
    // Opened again, this release refuses the file by name.
    let refused = SqliteStore::open(&path).await.unwrap_err();
    assert!(
        matches!(refused, OpenError::NewerSchema { found: 3, known: 2 }),
        "{refused:?}"
    );
    assert_eq!(claim(&store, 102).await.unwrap(), 2);
    assert_eq!(claim(&store, 103).await.unwrap(), 3);
}

/// A step that no old store survives: it fails without an effect, and loses nothing.
#[tokio::test]
async fn an_open_store_fails_cleanly_where_the_next_release_takes_something_away() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pools.db");
    let store = SqliteStore::open(&path).await.unwrap();
    for number in 0..2 {
        save(&store, number).await.unwrap();
    }
    step(
        &path,
        "ALTER TABLE keypackage_pool_packages RENAME COLUMN not_after TO ends",
    );
    for failed in [claim(&store, 100).await.map(drop), save(&store, 2).await.map(drop)] {
        let Err(Error::Backend(failure)) = failed else {
            panic!("{failed:?}")
        };
        assert_eq!(failure.effect(), Effect::NotApplied);
    }
    step(
        &path,
        "ALTER TABLE keypackage_pool_packages RENAME COLUMN ends TO not_after",
    );
    assert_eq!(claim(&store, 100).await.unwrap(), 0);
    assert_eq!(claim(&store, 101).await.unwrap(), 1);
}
