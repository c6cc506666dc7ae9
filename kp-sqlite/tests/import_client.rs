//! Imports the older client table, and checks that no byte of its keys is left.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

use std::fs;
use std::path::Path;

use kp_core::Role;
use kp_core::client::{KeyPackageMetadata, Lifecycle, PoolMetadataStore as _, PoolMetadataStoreExt as _};
use kp_core::{Ciphersuite, CredentialHash, KeyPackageRef, Timestamp};
use kp_sqlite::{ImportError, Imported, RowError, SqliteMetadata, import_client_table};
use rusqlite::Connection;

/// The schema of the older table, with its bundles.
const TABLE: &str = "
    CREATE TABLE keypackages (
        keypackage_ref BLOB PRIMARY KEY,
        keypackage_bytes BLOB NOT NULL,
        private_init_key BLOB NOT NULL,
        private_encryption_key BLOB NOT NULL,
        created_at INTEGER NOT NULL,
        status TEXT NOT NULL DEFAULT 'created',
        uploaded_at INTEGER,
        reserved_at INTEGER,
        spent_at INTEGER,
        not_after INTEGER NOT NULL,
        credential_hash BLOB NOT NULL,
        ciphersuite INTEGER NOT NULL
    );
    CREATE INDEX idx_status ON keypackages (status);
    CREATE TABLE application (id INTEGER PRIMARY KEY, note TEXT);
    INSERT INTO application VALUES (7, 'kept');
";

/// What stands in every key and package of the old table.
const SECRET: &[u8] = b"PRIVATE-KEY-MATERIAL";

fn secret(n: u8) -> Vec<u8> {
    [SECRET, &[n; 44]].concat()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::try_from(1_700_000_000 + seconds).unwrap()
}

fn old_row(old: &Connection, n: u8, status: &str, times: [Option<i64>; 3]) {
    let [uploaded_at, reserved_at, spent_at] = times.map(|time| time.map(|seconds| at(seconds).get()));
    old.execute(
        "INSERT INTO keypackages VALUES (?1, ?2, ?2, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 1)",
        (
            [n; 32],
            secret(n),
            at(n.into()).get(),
            status,
            uploaded_at,
            reserved_at,
            spent_at,
            at(1_000).get(),
            [9_u8; 32],
        ),
    )
    .unwrap();
}

fn row(n: u8, lifecycle: Lifecycle, [uploaded_at, reserved_at, spent_at]: [Option<i64>; 3]) -> KeyPackageMetadata {
    KeyPackageMetadata {
        key_package_ref: KeyPackageRef::try_from([n; 32].as_slice()).unwrap(),
        ciphersuite: Ciphersuite(1),
        role: Role::OneTime,
        credential: CredentialHash([9; 32]),
        created_at: at(n.into()),
        not_before: None,
        not_after: at(1_000),
        lifecycle,
        offered_at: Some(at(n.into())),
        uploaded_at: uploaded_at.map(at),
        reserved_at: reserved_at.map(at),
        spent_at: spent_at.map(at),
    }
}

/// Whether the bytes stand anywhere in the file or in what SQLite keeps beside it.
fn found_on_disk(path: &Path, needle: &[u8]) -> bool {
    let name = path.file_name().unwrap().to_str().unwrap();
    let files = fs::read_dir(path.parent().unwrap()).unwrap().map(|file| file.unwrap());
    let ours = files.filter(|file| file.file_name().to_str().unwrap().starts_with(name));
    ours.map(|file| fs::read(file.path()).unwrap())
        .any(|bytes| bytes.windows(needle.len()).any(|window| window == needle))
}

async fn rows_of(path: &Path) -> Vec<KeyPackageMetadata> {
    let metadata = SqliteMetadata::open(path).await.unwrap();
    let rows = metadata.list().await.unwrap();
    metadata.close().await.unwrap();
    rows
}

#[tokio::test]
async fn the_state_is_kept_and_the_keys_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let living = dir.path().join("living.db");
    let old = Connection::open(&living).unwrap();
    old.pragma_update(None, "journal_mode", "WAL").unwrap();
    old.execute_batch(TABLE).unwrap();
    old_row(&old, 1, "created", [None, None, None]);
    old_row(&old, 2, "available", [Some(20), None, None]);
    old_row(&old, 3, "reserved", [Some(20), Some(30), None]);
    old_row(&old, 4, "spent", [Some(20), Some(30), Some(40)]);
    old_row(&old, 5, "expired", [Some(20), None, None]);
    // Deleted long ago, and still in a free page.
    (100..200).for_each(|n| old_row(&old, n, "spent", [None, None, Some(1)]));
    old.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    old.execute("DELETE FROM keypackages WHERE created_at > ?1", [at(99).get()])
        .unwrap();
    old_row(&old, 6, "failed", [None, None, None]);
    old_row(&old, 7, "joining", [Some(20), None, None]);
    // As after a crash: a file, and a log that holds what the file does not.
    let path = dir.path().join("client.db");
    fs::copy(&living, &path).unwrap();
    fs::copy(dir.path().join("living.db-wal"), dir.path().join("client.db-wal")).unwrap();
    assert!(fs::metadata(dir.path().join("client.db-wal")).unwrap().len() > 0);
    assert!(found_on_disk(&path, &secret(2)) && found_on_disk(&path, &secret(6)) && found_on_disk(&path, &secret(150)));

    let imported = import_client_table(&path).await.unwrap();
    let mut all_of_them = Imported::default();
    all_of_them.imported = 7;
    assert_eq!(imported, all_of_them);
    assert!(!found_on_disk(&path, SECRET), "no byte of a key is left");
    let expected = [
        row(1, Lifecycle::Created, [None, None, None]),
        row(2, Lifecycle::Available, [Some(20), None, None]),
        row(3, Lifecycle::Reserved, [Some(20), Some(30), None]),
        row(4, Lifecycle::Spent, [Some(20), Some(30), Some(40)]),
        row(5, Lifecycle::Expired, [Some(20), None, None]),
        row(6, Lifecycle::Failed, [None, None, None]),
        row(7, Lifecycle::Joining { mark: None }, [Some(20), None, None]),
    ];
    assert_eq!(rows_of(&path).await, expected);

    // Again: nothing to do, nothing changed.
    assert_eq!(import_client_table(&path).await.unwrap(), Imported::default());
    assert_eq!(rows_of(&path).await, expected);
    let file = Connection::open(&path).unwrap();
    let note: String = file
        .query_row("SELECT note FROM application WHERE id = 7", [], |row| row.get(0))
        .unwrap();
    assert_eq!(note, "kept");
    let gone = "SELECT count(*) FROM sqlite_schema WHERE name IN ('keypackages', 'idx_status')";
    assert_eq!(file.query_row(gone, [], |row| row.get(0)), Ok(0));
}

#[tokio::test]
async fn a_bad_row_is_reported_and_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("client.db");
    let old = Connection::open(&path).unwrap();
    old.execute_batch(TABLE).unwrap();
    for n in 1..=6 {
        old_row(&old, n, "available", [Some(20), None, None]);
    }
    for change in [
        "status = 'lost' WHERE created_at = 1700000001",
        "created_at = -5 WHERE created_at = 1700000002",
        "credential_hash = x'0102' WHERE created_at = 1700000003",
        "ciphersuite = 65536 WHERE created_at = 1700000004",
        "spent_at = 'yesterday' WHERE created_at = 1700000005",
    ] {
        assert_eq!(old.execute(&format!("UPDATE keypackages SET {change}"), []), Ok(1));
    }
    drop(old);
    let imported = import_client_table(&path).await.unwrap();
    assert_eq!(imported.imported, 1);
    let why: Vec<_> = imported.bad_rows.into_iter().map(|bad| (bad.rowid, bad.why)).collect();
    let expected = [
        (1, RowError::Status("lost".into())),
        (2, RowError::Column("created_at")),
        (3, RowError::Column("credential_hash")),
        (4, RowError::Column("ciphersuite")),
        (5, RowError::Column("spent_at")),
    ];
    assert_eq!(why, expected);
    assert_eq!(
        rows_of(&path).await,
        [row(6, Lifecycle::Available, [Some(20), None, None])]
    );
    assert!(!found_on_disk(&path, SECRET), "the keys of bad rows go too");
}

#[tokio::test]
async fn what_is_here_already_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("client.db");
    let here = row(1, Lifecycle::Spent, [Some(1), None, Some(2)]);
    let metadata = SqliteMetadata::open(&path).await.unwrap();
    metadata
        .create_pool_metadata(std::slice::from_ref(&here))
        .await
        .unwrap();
    metadata.close().await.unwrap();
    let old = Connection::open(&path).unwrap();
    old.execute_batch(TABLE).unwrap();
    old_row(&old, 1, "available", [Some(20), None, None]);
    drop(old);
    let imported = import_client_table(&path).await.unwrap();
    assert_eq!((imported.imported, imported.already_here), (0, 1));
    assert_eq!(rows_of(&path).await, [here]);
}

#[tokio::test]
async fn another_table_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.db");
    let other = Connection::open(&path).unwrap();
    other
        .execute_batch("CREATE TABLE keypackages (keypackage_ref BLOB, username TEXT); INSERT INTO keypackages VALUES (x'01', 'bob')")
        .unwrap();
    let refused = import_client_table(&path).await.unwrap_err();
    assert!(
        matches!(refused, ImportError::NotTheTable("keypackage_bytes")),
        "{refused}"
    );
    assert_eq!(
        other.query_row("SELECT username FROM keypackages", [], |row| row.get(0)),
        Ok("bob".to_owned())
    );
}

/// Others who read keep the log from being cut: it is said, and the next run ends it.
#[tokio::test]
async fn a_file_in_use_is_said_to_be() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("client.db");
    let old = Connection::open(&path).unwrap();
    old.pragma_update(None, "journal_mode", "WAL").unwrap();
    old.execute_batch(TABLE).unwrap();
    old_row(&old, 1, "available", [Some(20), None, None]);
    old.execute_batch("BEGIN; SELECT * FROM keypackages").unwrap();
    let in_use = import_client_table(&path).await.unwrap_err();
    assert!(matches!(in_use, ImportError::InUse), "{in_use}");
    assert!(found_on_disk(&path, SECRET), "the reader still sees the old table");
    old.execute_batch("COMMIT").unwrap();
    drop(old);
    assert_eq!(import_client_table(&path).await.unwrap(), Imported::default());
    assert!(!found_on_disk(&path, SECRET));
    assert_eq!(
        rows_of(&path).await,
        [row(1, Lifecycle::Available, [Some(20), None, None])]
    );
}
