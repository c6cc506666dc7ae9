//! The file that metadata is kept in: shared with others, and in a bad way.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

use std::path::Path;

use kp_core::client::*;
use kp_core::server::*;
use kp_core::*;
use kp_sqlite::{SqliteMetadata, SqliteStore};
use rusqlite::Connection;

fn at(seconds: i64) -> Timestamp {
    Timestamp::try_from(1_700_000_000 + seconds).unwrap()
}

fn package(n: u8) -> KeyPackage {
    KeyPackage::new(
        KeyPackageInfo::new(
            KeyPackageRef::try_from([n; 32].as_slice()).unwrap(),
            Ciphersuite(1),
            Lifetime::new(at(0), at(10_000)).unwrap(),
            CredentialHash([n; 32]),
        ),
        KeyPackageBytes::try_from(vec![n; 300]).unwrap(),
    )
}

fn row(n: u8) -> KeyPackageMetadata {
    KeyPackageMetadata::created(&package(n).info, at(n.into()))
}

async fn open(path: &Path) -> SqliteMetadata {
    SqliteMetadata::open(path).await.unwrap()
}

#[tokio::test]
async fn a_file_may_hold_anything_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("all.db");
    let application = Connection::open(&path).unwrap();
    application
        .execute_batch(
            "CREATE TABLE openmls_key_packages (key_package_ref BLOB PRIMARY KEY, key_package BLOB);
             INSERT INTO openmls_key_packages VALUES (x'01', x'02');
             PRAGMA user_version = 7;",
        )
        .unwrap();
    let store = SqliteStore::open(&path).await.unwrap();
    let metadata = open(&path).await;
    let pool = PoolId::try_from("bob/phone").unwrap();
    assert_eq!(
        store.save_key_package(&pool, package(1), at(1)).await.unwrap(),
        SaveOutcome::Saved
    );
    metadata.create_pool_metadata(&[row(1), row(2)]).await.unwrap();
    // Another writer, between two steps.
    application
        .execute("INSERT INTO openmls_key_packages VALUES (x'03', x'04')", [])
        .unwrap();
    let step = [(row(1).key_package_ref, Lifecycle::Available)];
    metadata.update_pool_status(&step, at(2)).await.unwrap();
    metadata.close().await.unwrap();
    store.close().await.unwrap();

    let metadata = open(&path).await;
    assert_eq!(metadata.get_available_count(Ciphersuite(1), at(3)).await.unwrap(), 1);
    let theirs = "SELECT count(*), (SELECT user_version FROM pragma_user_version) FROM openmls_key_packages";
    let theirs: (i64, i64) = application
        .query_row(theirs, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    assert_eq!(theirs, (2, 7));
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_the_pools_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("all.db");
    open(&path).await.close().await.unwrap();
    let newer = "INSERT INTO keypackage_pool_schema (tables, version) VALUES ('metadata', 999)";
    Connection::open(&path).unwrap().execute(newer, []).unwrap();
    let refused = SqliteMetadata::open(&path).await.unwrap_err();
    assert!(
        matches!(refused, OpenError::NewerSchema { found: 999, known: 3 }),
        "{refused}"
    );
    SqliteStore::open(&path).await.unwrap();
}

#[tokio::test]
async fn what_is_no_database_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("letter.txt");
    let letter = "not a database, but quite a long letter. ".repeat(200);
    std::fs::write(&path, &letter).unwrap();
    for path in [path.as_path(), dir.path()] {
        let refused = SqliteMetadata::open(path).await.unwrap_err();
        assert!(matches!(refused, OpenError::NotADatabase(_)), "{refused}");
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), letter);
}

/// A row that cannot be read is a failure, wherever it is asked for: a client must not take its key for lost.
#[tokio::test]
async fn a_damaged_row_is_a_failure() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("client.db");
    let metadata = open(&path).await;
    metadata.create_pool_metadata(&[row(1), row(2)]).await.unwrap();
    let file = Connection::open(&path).unwrap();
    file.execute_batch("PRAGMA ignore_check_constraints = ON").unwrap();
    let damaged = "UPDATE keypackage_pool_metadata SET status = 'lost' WHERE keypackage_ref = ?1";
    assert_eq!(file.execute(damaged, [[1_u8; 32]]), Ok(1));

    let step = [(row(1).key_package_ref, Lifecycle::Available)];
    let failures = [
        metadata.get(&row(1).key_package_ref).await.unwrap_err(),
        metadata.list().await.unwrap_err(),
        metadata.update_pool_status(&step, at(2)).await.unwrap_err(),
    ];
    for failure in failures {
        let Error::Backend(failure) = failure else {
            panic!("{failure}")
        };
        assert_eq!(failure.effect(), Effect::NotApplied);
        assert!(failure.to_string().contains("status of record"), "{failure}");
    }
    // The others are served, and it can be deleted.
    assert_eq!(metadata.get(&row(2).key_package_ref).await.unwrap(), Some(row(2)));
    assert_eq!(
        metadata.delete_pool_metadata(&[row(1).key_package_ref]).await.unwrap(),
        1
    );
    assert_eq!(metadata.list().await.unwrap(), [row(2)]);
}

/// META-4: whatever is written, the file holds no more than the columns name.
#[tokio::test]
async fn no_column_can_hold_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("client.db");
    open(&path).await.close().await.unwrap();
    let file = Connection::open(&path).unwrap();
    let mut columns = file
        .prepare(
            "SELECT t.name || '.' || c.name || ' ' || c.type FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
                  WHERE t.name LIKE 'keypackage_pool_%' AND t.type = 'table' AND c.type NOT IN ('INTEGER')
                  ORDER BY 1",
        )
        .unwrap();
    let columns: Vec<String> = columns
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let expected = [
        "keypackage_pool_credentials.hash BLOB",
        // Random numbers, and a fixed length.
        "keypackage_pool_log.mark BLOB",
        // Random bytes, and a fixed length.
        "keypackage_pool_metadata.join_holder BLOB",
        "keypackage_pool_metadata.keypackage_ref BLOB",
        "keypackage_pool_metadata.status TEXT",
        // Random bytes, and a fixed length.
        "keypackage_pool_metadata_leases.holder BLOB",
        "keypackage_pool_metadata_leases.name TEXT",
        "keypackage_pool_schema.tables TEXT",
    ];
    assert_eq!(columns, expected);
    // And those are bounded: a bundle does not fit.
    for (values, bytes, bounded) in [
        (
            "metadata VALUES (zeroblob(?1), 'created', 0, NULL, NULL, NULL, 0, NULL, 1, 0, 1, NULL, NULL, NULL, NULL)",
            64,
            65,
        ),
        (
            "metadata VALUES (x'01', 'joining', 0, NULL, NULL, NULL, 0, NULL, 1, 0, 1, NULL, zeroblob(?1), 0, NULL)",
            16,
            17,
        ),
        ("credentials (hash) VALUES (zeroblob(?1))", 32, 33),
        ("metadata_leases VALUES ('round', zeroblob(?1), 1, 0, 0)", 16, 17),
        (
            "metadata_leases VALUES (replace(hex(zeroblob(?1)), '0', 'a'), zeroblob(16), 1, 0, 0)",
            8,
            9,
        ),
    ] {
        let insert = format!("INSERT INTO keypackage_pool_{values}");
        assert_eq!(file.execute(&insert, [bytes]), Ok(1), "{insert}");
        assert!(file.execute(&insert, [bounded]).is_err(), "{insert}");
    }
}
