//! Two releases on one database: what the next release's steps do to a store that is open, and to what it keeps.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

use kp_core::server::*;
use kp_core::*;
use kp_postgres::PostgresStore;
use kp_test_support::postgres::Postgres;
use tokio_postgres::NoTls;

fn now() -> Timestamp {
    Timestamp::new(1_700_000_000).unwrap()
}

fn pool() -> PoolId {
    PoolId::try_from("bob").unwrap()
}

async fn save(store: &PostgresStore, number: u8) -> Result<SaveOutcome> {
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
async fn claim(store: &PostgresStore, id: u8) -> Result<u8> {
    let id = ReservationId::from_bytes([id; 16]);
    let request = TakeRequest::new(pool(), id, Ttl::seconds(60).unwrap());
    let package = store.claim_key_package(&request, None, now()).await?;
    Ok(package.bytes.as_ref()[0])
}

/// Runs statements in one transaction, as a migration does.
async fn step(server: &Postgres, statements: &str) {
    let (client, connection) = tokio_postgres::connect(&server.url(), NoTls).await.unwrap();
    let driver = tokio::spawn(connection);
    client
        .batch_execute(&format!("BEGIN; {statements}; COMMIT"))
        .await
        .unwrap();
    driver.abort();
}

/// What docs/upgrading.md allows: a column that may be absent, and an index.
#[tokio::test]
async fn an_open_store_outlives_a_step_of_the_next_release_that_adds() {
    let server = Postgres::start(&[]);
    let store = PostgresStore::connect(server.url()).await.unwrap();
    for number in 0..3 {
        save(&store, number).await.unwrap();
    }
    assert_eq!(claim(&store, 100).await.unwrap(), 0);
    step(
        &server,
        "ALTER TABLE keypackage_pools ADD COLUMN later bytea;
         ALTER TABLE keypackage_pool_heads ADD COLUMN later bytea;
         ALTER TABLE keypackage_pool_packages ADD COLUMN later bytea;
         ALTER TABLE keypackage_pool_leases ADD COLUMN later bytea;
         ALTER TABLE keypackage_pool_ids ADD COLUMN later bytea;
         CREATE INDEX keypackage_pool_later ON keypackage_pool_packages (later) WHERE later IS NOT NULL;
         UPDATE keypackage_pool_schema SET version = 2 WHERE name = 'pools'",
    )
    .await;
    // The store that was open goes on: what it wrote is there, and what it writes.
    assert_eq!(claim(&store, 100).await.unwrap(), 0, "the same claim again");
    assert_eq!(claim(&store, 101).await.unwrap(), 1);
    assert_eq!(save(&store, 2).await.unwrap(), SaveOutcome::AlreadyStored);
    assert_eq!(save(&store, 3).await.unwrap(), SaveOutcome::Saved);
    // Opened again, this release refuses the database by name.
    let refused = PostgresStore::connect(server.url()).await.unwrap_err();
    assert!(
        matches!(refused, OpenError::NewerSchema { found: 2, known: 1 }),
        "{refused:?}"
    );
    assert_eq!(claim(&store, 102).await.unwrap(), 2);
    assert_eq!(claim(&store, 103).await.unwrap(), 3);
}

/// A step that no old store survives: it fails without an effect, and loses nothing.
#[tokio::test]
async fn an_open_store_fails_cleanly_where_the_next_release_takes_something_away() {
    let server = Postgres::start(&[]);
    let store = PostgresStore::connect(server.url()).await.unwrap();
    for number in 0..2 {
        save(&store, number).await.unwrap();
    }
    step(
        &server,
        "ALTER TABLE keypackage_pool_packages RENAME TO keypackage_pool_moved",
    )
    .await;
    for failed in [claim(&store, 100).await.map(drop), save(&store, 2).await.map(drop)] {
        let Err(Error::Backend(failure)) = failed else {
            panic!("{failed:?}")
        };
        assert_eq!(failure.effect(), Effect::NotApplied);
    }
    step(
        &server,
        "ALTER TABLE keypackage_pool_moved RENAME TO keypackage_pool_packages",
    )
    .await;
    assert_eq!(claim(&store, 100).await.unwrap(), 0);
    assert_eq!(claim(&store, 101).await.unwrap(), 1);
}
