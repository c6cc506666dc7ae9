//! Backups, made and put back step by step as docs/guarantees.md says.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kp_core::server::*;
use kp_core::*;
use kp_sqlite::SqliteStore;
use rusqlite::Connection;
use rusqlite::backup::Backup;

fn at(seconds: i64) -> Timestamp {
    Timestamp::try_from(1_700_000_000 + seconds).unwrap()
}

fn pool() -> PoolId {
    PoolId::try_from("bob").unwrap()
}

async fn save(store: &SqliteStore, numbers: std::ops::Range<u32>, now: Timestamp) {
    let package = |number: u32| {
        let info = KeyPackageInfo::new(
            KeyPackageRef::try_from(number.to_be_bytes().as_slice()).unwrap(),
            Ciphersuite(1),
            Lifetime::new(at(-1), at(100_000)).unwrap(),
            CredentialHash([1; 32]),
        );
        KeyPackage::new(info, KeyPackageBytes::try_from([7; 300].as_slice()).unwrap())
    };
    let save = Save::new(pool(), numbers.map(package)).unwrap();
    store.save_key_packages(&save, now).await.unwrap();
}

async fn claim(store: &SqliteStore, number: u8, now: Timestamp) -> Result<KeyPackageRef> {
    let id = ReservationId::from_bytes([number; 16]);
    let take = TakeRequest::new(pool(), id, Ttl::seconds(60).unwrap());
    let claimed = store.claim_key_package(&take, None, now).await?;
    Ok(claimed.info.key_package_ref)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(suffix);
    beside.into()
}

/// The three ways to make a backup: two beside running stores, and a copy after all have stopped.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    VacuumInto,
    BackupApi,
    StopAndCopy,
}

#[tokio::test]
async fn a_backup_is_made_and_put_back_as_the_guarantees_say() {
    for way in [Way::VacuumInto, Way::BackupApi, Way::StopAndCopy] {
        println!("{way:?}");
        let dir = tempfile::tempdir().unwrap();
        let (path, backup) = (dir.path().join("pools.db"), dir.path().join("backup.db"));
        let mut store = SqliteStore::open(&path).await.unwrap();
        let mut handed_out = HashSet::new();
        save(&store, 0..20, at(0)).await;
        for number in 0..3 {
            handed_out.insert(claim(&store, number, at(0)).await.unwrap());
        }

        // To make one.
        match way {
            Way::VacuumInto => {
                let tool = Connection::open(&path).unwrap();
                tool.execute("VACUUM INTO ?1", [backup.to_str().unwrap()]).unwrap();
            }
            Way::BackupApi => {
                let (from, mut to) = (Connection::open(&path).unwrap(), Connection::open(&backup).unwrap());
                let copying = Backup::new(&from, &mut to).unwrap();
                copying.run_to_completion(100, Duration::ZERO, None).unwrap();
            }
            Way::StopAndCopy => {
                store.close().await.unwrap();
                assert!(!beside(&path, "-wal").exists(), "so that `pools.db-wal` is gone");
                fs::copy(&path, &backup).unwrap();
                store = SqliteStore::open(&path).await.unwrap();
            }
        }
        for number in 3..10 {
            handed_out.insert(claim(&store, number, at(1)).await.unwrap());
        }
        // Whoever was killed leaves a log.
        let killed = dir.path().join("killed.db");
        fs::copy(&path, &killed).unwrap();
        fs::copy(beside(&path, "-wal"), beside(&killed, "-wal")).unwrap();
        fs::copy(beside(&path, "-shm"), beside(&killed, "-shm")).unwrap();

        // To put one back. 1. Stop all processes.
        store.close().await.unwrap();
        // 2. Remove the log and its index.
        fs::remove_file(beside(&killed, "-wal")).unwrap();
        fs::remove_file(beside(&killed, "-shm")).unwrap();
        // 3. Put the backup in the place of the file.
        let permissions = fs::metadata(&killed).unwrap().permissions();
        fs::copy(&backup, &killed).unwrap();
        fs::set_permissions(&killed, permissions).unwrap();
        let store = SqliteStore::builder(&killed).check(true).open().await.unwrap();
        // Without step 4, packages would be handed out again.
        let counts = store.count_by_status(&pool(), at(2)).await.unwrap();
        assert_eq!(counts.of(Ciphersuite(1)).available, 17);
        // 4. `retire_unspent` with the present.
        let (retired, next) = store.retire_unspent(at(2), at(2), None, 100).await.unwrap();
        assert_eq!((retired, next), (17, None));
        let refused = claim(&store, 20, at(2)).await.unwrap_err();
        assert_eq!(refused.rejection(), Some(&Rejection::PoolExhausted));
        // 5. The owners upload again.
        save(&store, 20..30, at(2)).await;
        for number in 30..40 {
            let claimed = claim(&store, number, at(3)).await.unwrap();
            assert!(handed_out.insert(claimed), "handed out twice");
        }
        store.close().await.unwrap();
        SqliteStore::builder(&killed).check(true).open().await.unwrap();
    }
}

/// The option finds what SQLite alone does not: entries of an index without a row.
#[tokio::test]
async fn a_damaged_file_is_refused_where_the_whole_file_is_checked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pools.db");
    let store = SqliteStore::open(&path).await.unwrap();
    save(&store, 0..20, at(0)).await;
    store.close().await.unwrap();
    let damage = "PRAGMA writable_schema = ON;
        DELETE FROM sqlite_schema WHERE name = 'keypackage_pool_expiry';";
    let sql = "CREATE INDEX keypackage_pool_expiry ON keypackage_pool_packages (pool, not_after)";
    let file = Connection::open(&path).unwrap();
    let root: i64 = file
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'keypackage_pool_expiry'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    file.execute_batch(damage).unwrap();
    drop(file);
    let file = Connection::open(&path).unwrap();
    file.execute_batch("DELETE FROM keypackage_pool_packages WHERE key = 7; PRAGMA writable_schema = ON")
        .unwrap();
    let insert =
        "INSERT INTO sqlite_schema VALUES ('index', 'keypackage_pool_expiry', 'keypackage_pool_packages', ?1, ?2)";
    file.execute(insert, (root, sql)).unwrap();
    drop(file);

    let refused = SqliteStore::builder(&path).check(true).open().await.unwrap_err();
    assert!(
        matches!(&refused, OpenError::NotADatabase(why) if why.contains("damaged")),
        "{refused}"
    );
    SqliteStore::open(&path).await.unwrap();
}
