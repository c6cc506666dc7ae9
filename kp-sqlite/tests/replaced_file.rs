//! The files of a running store are replaced, moved or deleted; and who may read them.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use kp_core::client::*;
use kp_core::server::*;
use kp_core::*;
use kp_sqlite::{SqliteMetadata, SqliteStore};
use rusqlite::Connection;

fn at(seconds: i64) -> Timestamp {
    Timestamp::try_from(1_700_000_000 + seconds).unwrap()
}

fn pool() -> PoolId {
    PoolId::try_from("bob").unwrap()
}

fn package(number: u32) -> KeyPackage {
    let info = KeyPackageInfo::new(
        KeyPackageRef::try_from(number.to_be_bytes().as_slice()).unwrap(),
        Ciphersuite(1),
        Lifetime::new(at(-1), at(10_000)).unwrap(),
        CredentialHash([1; 32]),
    );
    KeyPackage::new(info, KeyPackageBytes::try_from([7; 300].as_slice()).unwrap())
}

async fn save(store: &SqliteStore, numbers: std::ops::Range<u32>) -> Result<Vec<SaveOutcome>> {
    let save = Save::new(pool(), numbers.map(package)).unwrap();
    store.save_key_packages(&save, at(0)).await
}

fn take(number: u8) -> TakeRequest {
    TakeRequest::new(
        pool(),
        ReservationId::from_bytes([number; 16]),
        Ttl::seconds(60).unwrap(),
    )
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(suffix);
    beside.into()
}

/// The call fails, changed nothing, is not worth a retry, and says what happened.
fn assert_lost<T, R>(answer: Result<T, Error<R>>) {
    let Some(Error::Backend(failure)) = answer.err() else {
        panic!("answered from a file that nobody will find again");
    };
    assert_eq!(failure.effect(), Effect::NotApplied, "{failure}");
    assert!(!failure.is_transient(), "{failure}");
    assert!(failure.to_string().contains("replaced, moved or deleted"), "{failure}");
}

/// A way to take a file away from a running store, by the path of the file, and whether another file is there then.
type Way = (&'static str, fn(&Path));

const WAYS: [Way; 8] = [
    ("renamed over", |path| {
        fs::copy(path, path.with_extension("backup")).unwrap();
        fs::rename(path.with_extension("backup"), path).unwrap();
    }),
    ("moved", |path| fs::rename(path, path.with_extension("old")).unwrap()),
    ("deleted", |path| fs::remove_file(path).unwrap()),
    ("deleted with its log", |path| {
        fs::remove_file(path).unwrap();
        fs::remove_file(beside(path, "-wal")).unwrap();
        fs::remove_file(beside(path, "-shm")).unwrap();
    }),
    ("log deleted", |path| fs::remove_file(beside(path, "-wal")).unwrap()),
    ("log replaced", |path| {
        let log = beside(path, "-wal");
        fs::copy(&log, path.with_extension("log")).unwrap();
        fs::rename(path.with_extension("log"), log).unwrap();
    }),
    ("index of the log deleted", |path| {
        fs::remove_file(beside(path, "-shm")).unwrap();
    }),
    ("folder moved", |path| {
        let folder = path.parent().unwrap();
        fs::rename(folder, folder.with_extension("old")).unwrap();
    }),
];

/// ERR-5, LIN-1: no call is answered from files that nobody will find again, until the store is opened anew.
#[tokio::test]
async fn a_file_that_is_taken_away_is_noticed_by_every_call() {
    for (way, take_away) in WAYS {
        println!("{way}");
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("data");
        fs::create_dir(&folder).unwrap();
        let path = folder.join("pools.db");
        let store = SqliteStore::open(&path).await.unwrap();
        save(&store, 0..10).await.unwrap();
        store.claim_key_package(&take(1), None, at(0)).await.unwrap();
        // A claim, or a read, is the first to notice.
        take_away(&path);
        if way == "moved" {
            assert_lost(store.count_by_status(&pool(), at(0)).await);
        }
        assert_lost(store.claim_key_package(&take(2), None, at(0)).await);
        assert_lost(save(&store, 10..11).await);
        assert_lost(store.cleanup_expired(at(0), 10).await);
        assert_lost(store.get_statuses(&pool(), &[], at(0)).await);
        assert_lost(store.list_pools(None, 10).await);
        // Also when it seems to be back.
        if way == "moved" {
            fs::rename(path.with_extension("old"), &path).unwrap();
            assert_lost(store.claim_key_package(&take(2), None, at(0)).await);
        }
        store.close().await.unwrap_err();
    }
}

/// The link that a store was opened by points elsewhere: who opens it next finds another file.
#[tokio::test]
async fn a_link_that_points_elsewhere_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let (first, link) = (dir.path().join("first.db"), dir.path().join("pools.db"));
    SqliteStore::open(&first).await.unwrap().close().await.unwrap();
    symlink(&first, &link).unwrap();
    let store = SqliteStore::open(&link).await.unwrap();
    save(&store, 0..10).await.unwrap();
    store.claim_key_package(&take(1), None, at(0)).await.unwrap();
    SqliteStore::open(dir.path().join("second.db")).await.unwrap();
    symlink(dir.path().join("second.db"), dir.path().join("next")).unwrap();
    fs::rename(dir.path().join("next"), &link).unwrap();
    assert_lost(store.claim_key_package(&take(2), None, at(0)).await);
}

/// A store that lost its file writes nothing into the log of the one that was put there, and closing it does no harm either.
#[tokio::test]
async fn the_file_that_was_put_there_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pools.db");
    let store = SqliteStore::open(&path).await.unwrap();
    save(&store, 0..10).await.unwrap();
    store.close().await.unwrap();
    fs::copy(&path, dir.path().join("backup")).unwrap();

    let lost = SqliteStore::open(&path).await.unwrap();
    for number in 0..5 {
        lost.claim_key_package(&take(number), None, at(0)).await.unwrap();
    }
    // As documented, but for the store that was not stopped.
    fs::remove_file(beside(&path, "-wal")).unwrap();
    fs::remove_file(beside(&path, "-shm")).unwrap();
    fs::rename(dir.path().join("backup"), &path).unwrap();
    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(store.retire_unspent(at(1), at(1), None, 10).await.unwrap().0, 10);
    for number in 10..15 {
        assert_lost(lost.claim_key_package(&take(number), None, at(0)).await);
    }
    lost.close().await.unwrap_err();
    save(&store, 10..20).await.unwrap();
    store.claim_key_package(&take(20), None, at(1)).await.unwrap();
    store.close().await.unwrap();
    let check: String = Connection::open(&path)
        .unwrap()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
}

/// A client that goes on in a lost file would lose its keys' rows.
#[tokio::test]
async fn a_client_notices_that_its_file_is_taken_away() {
    for (way, take_away) in WAYS {
        println!("{way}");
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("data");
        fs::create_dir(&folder).unwrap();
        let path = folder.join("client.db");
        let metadata = SqliteMetadata::open(&path).await.unwrap();
        let row = |number| KeyPackageMetadata::created(&package(number).info, at(0));
        metadata.create_pool_metadata(&[row(1)]).await.unwrap();
        take_away(&path);
        assert_lost(metadata.list().await);
        assert_lost(metadata.create_pool_metadata(&[row(2)]).await);
        metadata.close().await.unwrap_err();
    }
}

/// A new file, its log and the index of its log are for their owner alone; a file that was there keeps its permissions.
#[tokio::test]
async fn new_files_are_readable_by_their_owner_alone() {
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("old.db");
    Connection::open(&old)
        .unwrap()
        .execute_batch("CREATE TABLE a (a)")
        .unwrap();
    fs::set_permissions(&old, fs::Permissions::from_mode(0o644)).unwrap();
    for (name, expected) in [
        ("old.db", 0o644),
        ("pools.db", 0o600),
        ("file:pools.db?mode=memory", 0o600),
    ] {
        let path = dir.path().join(name);
        let store = SqliteStore::open(&path).await.unwrap();
        save(&store, 0..10).await.unwrap();
        for suffix in ["", "-wal", "-shm"] {
            assert_eq!(mode(&beside(&path, suffix)), expected, "{name}{suffix}");
        }
    }
    // A link to what is not there yet: SQLite makes the file that it leads to.
    std::os::unix::fs::symlink("target.db", dir.path().join("link.db")).unwrap();
    let store = SqliteStore::open(dir.path().join("link.db")).await.unwrap();
    save(&store, 0..10).await.unwrap();
    assert_eq!(mode(&dir.path().join("target.db")), 0o600);
    assert_eq!(mode(&dir.path().join("target.db-wal")), 0o600);

    let client = dir.path().join("client.db");
    let _metadata = SqliteMetadata::open(&client).await.unwrap();
    assert_eq!(mode(&client), 0o600);
}
