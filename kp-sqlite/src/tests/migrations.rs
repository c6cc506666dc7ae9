//! Migrations of a file that holds other tables too.

use kp_core::client::Lifecycle;
use kp_core::key_package::ExtensionType;
use kp_core::server::*;
use kp_core::*;
use rusqlite::Connection;

use crate::file::calls::Statements;
use crate::file::migrations::{METADATA, POOLS, Tables};
use crate::metadata::rows::find;
use crate::pools::store::SqliteStore;
use crate::tests::packages::test_package;

#[tokio::test]
async fn what_is_not_there_is_not_made_if_nothing_may_be() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pools.db");
    let open = || SqliteStore::builder(&path).create(false).open();
    assert!(matches!(open().await, Err(OpenError::Missing)));
    assert!(!path.exists());
    let theirs = Connection::open(&path).unwrap();
    theirs.execute_batch("CREATE TABLE theirs (theirs)").unwrap();
    drop(theirs);
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(open().await, Err(OpenError::Missing)));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    SqliteStore::open(&path).await.unwrap().close().await.unwrap();
    open().await.unwrap().close().await.unwrap();
}

#[test]
fn migrations_run_once_and_leave_other_tables_alone() {
    let mut connection = Connection::open_in_memory().unwrap();
    connection
        .execute_batch("CREATE TABLE packages (a); INSERT INTO packages VALUES (1); PRAGMA user_version = 7;")
        .unwrap();
    assert_eq!(POOLS.schema(&connection).unwrap(), 0);
    POOLS.migrate(&mut connection).unwrap();
    POOLS.migrate(&mut connection).unwrap();
    assert_eq!(POOLS.schema(&connection).unwrap(), POOLS.known());
    let kept: (i64, i64) = connection
        .query_row(
            "SELECT a, (SELECT user_version FROM pragma_user_version) FROM packages",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert_eq!(kept, (1, 7));
}

/// A file of an older release gets what it has not, and keeps what it has.
#[test]
fn an_older_schema_is_brought_up_to_date() {
    const FIRST: &str = "CREATE TABLE a (a); INSERT INTO a VALUES (1)";
    let older = Tables {
        name: "pools",
        migrations: &[FIRST],
    };
    let newer = Tables {
        name: "pools",
        migrations: &[FIRST, "ALTER TABLE a ADD COLUMN b DEFAULT 2", "UPDATE a SET b = b + 1"],
    };
    let mut connection = Connection::open_in_memory().unwrap();
    older.migrate(&mut connection).unwrap();
    newer.migrate(&mut connection).unwrap();
    let kept: (i64, i64) = connection
        .query_row("SELECT a, b FROM a", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    assert_eq!((kept, newer.schema(&connection).unwrap()), ((1, 3), 3));
    older.schema(&connection).unwrap_err();
}

#[test]
fn a_migration_that_fails_leaves_no_trace() {
    let mut connection = Connection::open_in_memory().unwrap();
    // Somebody else's table of the same name as the last: the migration cannot succeed.
    connection
        .execute_batch("CREATE TABLE keypackage_pool_leases (a)")
        .unwrap();
    POOLS.migrate(&mut connection).unwrap_err();
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .unwrap();
    assert_eq!((tables, POOLS.schema(&connection).unwrap()), (1, 0));
}

/// A file of an older release with one row, brought up to date.
fn brought_up_to_date(release: usize, row: &str) -> Connection {
    let older = Tables {
        name: "metadata",
        migrations: &METADATA.migrations[..release],
    };
    let mut connection = Connection::open_in_memory().unwrap();
    older.migrate(&mut connection).unwrap();
    let insert = format!("INSERT INTO keypackage_pool_metadata VALUES ({row})");
    connection.execute(&insert, []).unwrap();
    METADATA.migrate(&mut connection).unwrap();
    connection
}

/// META-1: nobody knows of an older row whether it was uploaded, so that it must not be taken for one that never was.
#[test]
fn an_older_row_counts_as_offered_when_it_was_made() {
    let connection = brought_up_to_date(1, "x'01', 'created', 5, NULL, NULL, NULL, 9, NULL, 1, 0, 1");
    let offered_at = "SELECT offered_at FROM keypackage_pool_metadata";
    assert_eq!(connection.query_row(offered_at, [], |row| row.get(0)), Ok(5));
}

/// META-1: nobody knows of an older row whose the join is, and when the package begins to be valid.
#[test]
fn an_older_row_has_neither_a_mark_nor_a_begin() {
    let connection = brought_up_to_date(2, "x'01', 'joining', 5, 6, NULL, NULL, 9, NULL, 1, 0, 1, 6");
    connection
        .execute("INSERT INTO keypackage_pool_credentials VALUES (1, zeroblob(32))", [])
        .unwrap();
    let row = find(
        &mut Statements::new(&connection),
        &KeyPackageRef::try_from([1].as_slice()).unwrap(),
    );
    let row = row.unwrap().unwrap();
    assert_eq!(
        (row.lifecycle, row.not_before),
        (Lifecycle::Joining { mark: None }, None)
    );
}

/// RES-3, SAVE-9: what an older file holds has neither support nor fingerprint, is handed out as before, and gains both.
#[tokio::test]
async fn packages_of_an_older_file_gain_what_they_lack() {
    let older = Tables {
        name: "pools",
        migrations: &POOLS.migrations[..1],
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pools.db");
    let mut connection = Connection::open(&path).unwrap();
    older.migrate(&mut connection).unwrap();
    let rows = "
        INSERT INTO keypackage_pools VALUES (1, x'01', 2, 2, zeroblob(32), 1000, 1);
        INSERT INTO keypackage_pool_packages VALUES
            (1, 1, x'0A', 1, 0, 1000, 5, NULL, 0, NULL, NULL, NULL, NULL, NULL, x'AA'),
            (2, 1, x'0B', 1, 0, 1000, 5, NULL, 0, NULL, NULL, NULL, NULL, NULL, x'BB');";
    connection.execute_batch(rows).unwrap();
    drop(connection);

    let store = SqliteStore::open(&path).await.unwrap();
    let now = Timestamp::new(10).unwrap();
    let pool = PoolId::try_from([1].as_slice()).unwrap();
    let lifetime = Lifetime::new(Timestamp::MIN, Timestamp::new(1_000).unwrap()).unwrap();
    let item = |name: u8, byte: u8| {
        let mut package = test_package(&[name], lifetime, &[byte]);
        package.info.credential = CredentialHash([0; 32]);
        Admitted::new(package)
            .fingerprint(InitKeyFingerprint::from_bytes([9; 8]))
            .support(Support::new([ExtensionType(0xF001)], [], []))
    };
    let take = |id: u8, required: &[ExtensionType]| {
        let required = Requirements::new().extensions(required.iter().copied()).unwrap();
        let options = TakeOptions::new().requirements(required);
        TakeRequest::new(
            pool.clone(),
            ReservationId::from_bytes([id; 16]),
            Ttl::seconds(60).unwrap(),
        )
        .options(options)
    };
    let unmet = store
        .claim_key_package(&take(1, &[ExtensionType(0xF001)]), None, now)
        .await;
    assert!(
        matches!(unmet, Err(Error::Rejected(Rejection::NothingFits))),
        "{unmet:?}"
    );
    let first = store.claim_key_package(&take(2, &[]), None, now).await.unwrap();
    assert_eq!(first.bytes.as_ref(), [0xAA]);
    let again = store.save_key_package(&pool, item(0x0B, 0xBB), now).await.unwrap();
    assert_eq!(again, SaveOutcome::AlreadyStored);
    let other = store.save_key_package(&pool, item(0x0C, 0xCC), now).await.unwrap();
    assert_eq!(other, SaveOutcome::InitKeyReused);
    let met = store
        .claim_key_package(&take(3, &[ExtensionType(0xF001)]), None, now)
        .await
        .unwrap();
    assert_eq!(met.bytes.as_ref(), [0xBB]);
}
