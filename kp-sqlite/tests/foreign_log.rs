//! Logs beside files that they belong to, as a crash leaves them, and beside others, as a backup that was put back wrongly
//! does.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kp_core::client::*;
use kp_core::server::*;
use kp_core::*;
use kp_sqlite::{SqliteMetadata, SqliteStore, Survives};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use rusqlite::Connection;
use rusqlite::backup::Backup;

fn at(seconds: i64) -> Timestamp {
    Timestamp::try_from(1_700_000_000 + seconds).unwrap()
}

fn pool(number: u64) -> PoolId {
    PoolId::try_from(format!("client {number}").as_str()).unwrap()
}

fn package(number: u64) -> KeyPackage {
    let info = KeyPackageInfo::new(
        KeyPackageRef::try_from([number.to_be_bytes(); 4].concat().as_slice()).unwrap(),
        Ciphersuite(1),
        Lifetime::new(at(-1), at(100_000)).unwrap(),
        CredentialHash([1; 32]),
    );
    KeyPackage::new(info, KeyPackageBytes::try_from(vec![7; 300]).unwrap())
}

async fn save(store: &SqliteStore, of: u64, numbers: std::ops::Range<u64>) {
    let save = Save::new(pool(of), numbers.map(package)).unwrap();
    store.save_key_packages(&save, at(0)).await.unwrap();
}

fn take(of: u64, number: u64) -> TakeRequest {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    TakeRequest::new(pool(of), ReservationId::from_bytes(id), Ttl::seconds(60).unwrap())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(suffix);
    beside.into()
}

/// Takes the files as they are now: as if every process that uses them were killed.
fn killed(path: &Path, to: &Path) {
    fs::copy(path, to).unwrap();
    let _ = fs::remove_file(beside(to, "-wal"));
    let _ = fs::remove_file(beside(to, "-shm"));
    if beside(path, "-wal").exists() {
        fs::copy(beside(path, "-wal"), beside(to, "-wal")).unwrap();
    }
}

fn vacuum_into(path: &Path, to: &Path) {
    let _ = fs::remove_file(to);
    Connection::open(path)
        .unwrap()
        .execute("VACUUM INTO ?1", [to.to_str().unwrap()])
        .unwrap();
}

fn backup_api(path: &Path, to: &Path) {
    let _ = fs::remove_file(to);
    let from = Connection::open(path).unwrap();
    let mut to = Connection::open(to).unwrap();
    Backup::new(&from, &mut to)
        .unwrap()
        .run_to_completion(1_000, Duration::ZERO, None)
        .unwrap();
}

fn assert_refused<T>(opened: Result<T, OpenError>, what: &str) {
    match opened {
        Err(OpenError::UnsafeConfiguration(why)) => {
            assert!(why.contains("belongs to another file"), "{what}: {why}");
        }
        Err(other) => panic!("{what}: {other}"),
        Ok(_) => panic!("{what}: the log of another file was replayed"),
    }
}

/// A file with 20 pools of 50, some of which were deleted; then a second session with backups, claims and a kill.
#[tokio::test]
async fn a_backup_put_in_place_beside_an_old_log_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pools.db");
    let here = |name: &str| dir.path().join(name);
    let store = SqliteStore::open(&path).await.unwrap();
    for of in 0..20 {
        save(&store, of, of * 50..of * 50 + 50).await;
    }
    for of in (0..20).step_by(3) {
        store.delete_pool(&pool(of)).await.unwrap();
    }
    // Within the first session of the file.
    backup_api(&path, &here("first api"));
    vacuum_into(&path, &here("first vacuum"));
    for number in 0..5 {
        store.claim_key_package(&take(1, number), None, at(0)).await.unwrap();
    }
    killed(&path, &here("killed.db"));
    for backup in ["first api", "first vacuum"] {
        fs::copy(here(backup), here("killed.db")).unwrap();
        assert_refused(SqliteStore::open(here("killed.db")).await, backup);
    }
    store.close().await.unwrap();

    fs::copy(&path, here("plain copy")).unwrap();
    backup_api(&path, &here("api before"));
    vacuum_into(&path, &here("vacuum before"));
    let store = SqliteStore::open(&path).await.unwrap();
    backup_api(&path, &here("api"));
    vacuum_into(&path, &here("vacuum"));
    for number in 5..20 {
        store.claim_key_package(&take(1, number), None, at(0)).await.unwrap();
    }
    // A restore that was tried elsewhere.
    fs::copy(here("plain copy"), here("tried.db")).unwrap();
    SqliteStore::open(here("tried.db"))
        .await
        .unwrap()
        .close()
        .await
        .unwrap();

    for backup in [
        "first api",
        "first vacuum",
        "plain copy",
        "api before",
        "vacuum before",
        "api",
        "vacuum",
        "tried.db",
    ] {
        killed(&path, &here("killed.db"));
        fs::copy(here(backup), here("killed.db")).unwrap();
        let before = fs::read(beside(&here("killed.db"), "-wal")).unwrap();
        assert_refused(SqliteStore::open(here("killed.db")).await, backup);
        assert_refused(SqliteMetadata::open(here("killed.db")).await, backup);
        assert_eq!(fs::read(here("killed.db")).unwrap(), fs::read(here(backup)).unwrap());
        assert_eq!(fs::read(beside(&here("killed.db"), "-wal")).unwrap(), before);
        // As the guarantees say: the log is removed, and the file is what it was.
        fs::remove_file(beside(&here("killed.db"), "-wal")).unwrap();
        let restored = SqliteStore::open(here("killed.db")).await.unwrap();
        restored.claim_key_package(&take(1, 100), None, at(1)).await.unwrap();
        restored.close().await.unwrap();
    }
    // The file itself is opened, with all of the log.
    killed(&path, &here("killed.db"));
    let reopened = SqliteStore::open(here("killed.db")).await.unwrap();
    let counts = reopened.count_by_status(&pool(1), at(1)).await.unwrap();
    assert_eq!(counts.of(Ciphersuite(1)).available, 30);
}

/// SQLite would delete the log without a word, and with it what may be all that is left.
#[tokio::test]
async fn a_log_without_its_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("client.db");
    let metadata = SqliteMetadata::open(&path).await.unwrap();
    let row = KeyPackageMetadata::created(&package(1).info, at(0));
    metadata.create_pool_metadata(&[row]).await.unwrap();
    let lost = dir.path().join("lost.db");
    killed(&path, &lost);
    fs::remove_file(&lost).unwrap();
    assert_refused(SqliteMetadata::open(&lost).await, "deleted");
    assert!(!lost.exists());
    fs::write(&lost, "").unwrap();
    assert_refused(SqliteMetadata::open(&lost).await, "empty");
    // Another file's log.
    fs::remove_file(&lost).unwrap();
    fs::remove_file(beside(&lost, "-wal")).unwrap();
    let other = SqliteMetadata::open(&lost).await.unwrap();
    other.close().await.unwrap();
    fs::copy(beside(&path, "-wal"), beside(&lost, "-wal")).unwrap();
    assert_refused(SqliteMetadata::open(&lost).await, "of another");
}

/// A KeyPackage that holds the bytes of a mark is not taken for one.
#[tokio::test]
async fn nobody_can_forge_a_mark() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pools.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let row = [&[43, 1, 3, 0, 92][..], b"KeyPackages1", &[9; 28]].concat();
    let mut forged = package(1);
    // The only row of its page, in several alignments.
    forged.bytes = KeyPackageBytes::try_from(row.repeat(60)).unwrap();
    let save = Save::one(pool(1), forged.clone());
    store.save_key_packages(&save, at(0)).await.unwrap();
    killed(&path, &dir.path().join("killed.db"));
    let reopened = SqliteStore::open(dir.path().join("killed.db")).await.unwrap();
    assert_eq!(
        reopened.claim_key_package(&take(1, 1), None, at(0)).await.unwrap(),
        forged
    );
}

/// Returns how much of the log is in the file already, and so was synced before: what the index of the log says.
fn checkpointed(path: &Path) -> usize {
    let index = fs::read(beside(path, "-shm")).unwrap_or_default();
    let frames = index
        .get(96..100)
        .map_or(0, |frames| u32::from_ne_bytes(frames.try_into().unwrap()));
    32 + frames as usize * (24 + 4_096)
}

/// Cuts the log off somewhere, and moves some of the pages that it still has into the file, as a power cut in the middle of
/// a checkpoint does. Returns whether anything was cut off.
fn cut_power(path: &Path, synced: usize, random: &mut StdRng) -> bool {
    let log_path = beside(path, "-wal");
    let Ok(mut log) = fs::read(&log_path) else {
        return false;
    };
    let is_cut = random.random_range(0..2) == 0 && log.len() > synced;
    if is_cut {
        log.truncate(synced + random.random_range(0..log.len() - synced));
        fs::write(&log_path, &log).unwrap();
    }
    let Some(salts) = log.get(16..24) else { return is_cut };
    let word = |frame: &[u8], at: usize| u32::from_be_bytes(frame[at..at + 4].try_into().unwrap());
    // What is committed: no checkpoint writes anything else.
    let (mut pages, mut committed) = (BTreeMap::new(), BTreeMap::new());
    for frame in log[32..]
        .chunks_exact(24 + 4_096)
        .take_while(|frame| frame[8..16] == *salts)
    {
        pages.insert(word(frame, 0), frame[24..].to_vec());
        if word(frame, 4) != 0 {
            committed.append(&mut pages);
        }
    }
    let mut file = fs::read(path).unwrap();
    let part = random.random_range(0..5);
    for (page, bytes) in committed {
        if random.random_range(0..4) < part {
            let from = (page as usize - 1) * 4_096;
            if file.len() < from + 4_096 {
                file.resize(from + 4_096, 0);
            }
            // A disk writes sectors, not pages.
            for (number, sector) in bytes.chunks(512).enumerate() {
                if part == 4 || random.random_range(0..8) > 0 {
                    file[from + number * 512..from + number * 512 + 512].copy_from_slice(sector);
                }
            }
        }
    }
    fs::write(path, file).unwrap();
    is_cut
}

/// What was counted in histories.
#[derive(Debug, Default)]
struct Counts {
    crashes: u32,
    /// Older copies beside the log of the last session.
    refused: u32,
    /// Older copies beside a log in which, perhaps, the schema was changed, and how many of them were not noticed.
    tried: u32,
    missed: u32,
}

/// After any kill, and any power cut at any moment, the log is replayed: no alarm is false. And the copies of all moments
/// before the last opening are refused.
async fn histories(seeds: std::ops::Range<u64>) -> Counts {
    let mut counts = Counts::default();
    for seed in seeds {
        let random = &mut StdRng::seed_from_u64(seed);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pools.db");
        let crashed = dir.path().join("crashed.db");
        let open = || SqliteStore::builder(&path).survives(Survives::ProcessCrash).open();
        let foreign = Connection::open(&path).unwrap();
        if random.random_range(0..2) == 0 {
            foreign.execute_batch("CREATE TABLE theirs (a)").unwrap();
        }
        let mut store = open().await.unwrap();
        let mut copies = Vec::new();
        let mut next = 0;
        for step in 0..40 {
            next += 10;
            match random.random_range(0..10) {
                0 | 1 => save(&store, next % 3, next..next + 10).await,
                2 | 3 => drop(store.claim_key_package(&take(next % 3, next), None, at(1)).await),
                4 => store.delete_pool(&pool(next % 3)).await.unwrap(),
                5 => foreign.execute_batch(&format!("CREATE TABLE t{next} (a)")).unwrap(),
                6 => {
                    let how = ["PASSIVE", "RESTART", "TRUNCATE"][random.random_range(0..3)];
                    let checkpoint = format!("PRAGMA wal_checkpoint({how})");
                    let _: i64 = foreign.query_row(&checkpoint, [], |row| row.get(0)).unwrap();
                }
                7 => foreign.execute_batch("VACUUM").unwrap(),
                8 => open().await.unwrap().close().await.unwrap(),
                _ => {
                    store.close().await.unwrap();
                    let to = dir.path().join(format!("copy {step}"));
                    match random.random_range(0..3) {
                        // The log is empty: the file is whole.
                        0 => drop(fs::copy(&path, &to).unwrap()),
                        1 => vacuum_into(&path, &to),
                        _ => backup_api(&path, &to),
                    }
                    copies.push(to);
                    store = open().await.unwrap();
                }
            }
            // The writer has no work left, so that the files are those of one moment.
            store.delete_pool(&pool(99)).await.unwrap();
            let expected = store.count_by_status(&pool(0), at(1)).await.unwrap();
            killed(&path, &crashed);
            let is_cut = cut_power(&crashed, checkpointed(&path), random);
            let reopened = SqliteStore::open(&crashed)
                .await
                .unwrap_or_else(|refused| panic!("seed {seed}, step {step}: {refused}"));
            counts.crashes += 1;
            if !is_cut {
                assert_eq!(reopened.count_by_status(&pool(0), at(1)).await.unwrap(), expected);
            }
            reopened.close().await.unwrap();
        }
        save(&store, 7, 100_000..100_001).await;
        for copy in &copies {
            killed(&path, &crashed);
            fs::copy(copy, &crashed).unwrap();
            counts.tried += 1;
            if let Ok(missed) = SqliteStore::open(&crashed).await {
                counts.missed += 1;
                missed.close().await.unwrap();
            }
        }
        store.close().await.unwrap();
        let store = open().await.unwrap();
        save(&store, 8, 100_001..100_002).await;
        for copy in copies {
            killed(&path, &crashed);
            fs::copy(&copy, &crashed).unwrap();
            assert_refused(SqliteStore::open(&crashed).await, &format!("seed {seed}, {copy:?}"));
            counts.refused += 1;
        }
    }
    counts
}

#[tokio::test]
async fn no_log_is_refused_after_a_crash_and_every_older_copy_is() {
    let more = std::env::var("KP_SQLITE_HISTORIES").ok();
    let seeds = more.and_then(|more| more.parse().ok()).unwrap_or(5);
    let counts = histories(0..seeds).await;
    println!("{seeds} histories: {counts:?}");
    assert!(counts.missed * 10 <= counts.tried, "{counts:?}");
}
