//! A disk that is really full, and a limit on the size of files: each test runs itself again in a process that has little
//! room.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

use std::path::{Path, PathBuf};
use std::process::Command;

use futures::future::join_all;
use kp_core::server::*;
use kp_core::*;
use kp_sqlite::SqliteStore;
use rusqlite::Connection;

/// Set in the process that has little room: the directory of the file.
const DIRECTORY: &str = "KP_SQLITE_LITTLE_ROOM";

fn at(seconds: i64) -> Timestamp {
    Timestamp::try_from(1_700_000_000 + seconds).unwrap()
}

fn pool(number: u32) -> PoolId {
    PoolId::try_from(format!("client {number}").as_str()).unwrap()
}

fn save(number: u32, size: usize) -> Save {
    let info = KeyPackageInfo::new(
        KeyPackageRef::try_from(number.to_be_bytes().as_slice()).unwrap(),
        Ciphersuite(1),
        Lifetime::new(at(0), at(10_000)).unwrap(),
        CredentialHash([1; 32]),
    );
    let bytes = KeyPackageBytes::try_from(vec![7; size]).unwrap();
    Save::one(pool(number), KeyPackage::new(info, bytes))
}

fn take(number: u32) -> TakeRequest {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    TakeRequest::new(pool(number), ReservationId::from_bytes(id), Ttl::seconds(600).unwrap())
}

/// What the calls on a disk without room were answered.
#[derive(Debug, Default)]
struct Answers {
    ok: u32,
    not_applied: u32,
    unknown: u32,
}

impl Answers {
    /// Counts an answer. A failure for want of room is transient: there may be room soon.
    fn count<T>(&mut self, answer: Result<T>) -> Option<T> {
        match answer {
            Ok(answer) => {
                self.ok += 1;
                return Some(answer);
            }
            Err(Error::Backend(failure)) => {
                assert!(failure.is_transient(), "{failure}");
                match failure.effect() {
                    Effect::NotApplied => self.not_applied += 1,
                    Effect::Unknown => self.unknown += 1,
                }
            }
            Err(refused) => panic!("a full disk passed for an answer: {refused}"),
        }
        None
    }
}

/// Fills the disk, calls everything, makes room, and calls everything again.
async fn fill(dir: &Path, make_room: impl FnOnce()) -> Answers {
    let path = dir.join("pools.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let first: Vec<_> = (0..20).map(|number| save(number, 300)).collect();
    for saved in join_all(first.iter().map(|save| store.save_key_packages(save, at(0)))).await {
        assert_eq!(saved.unwrap(), [SaveOutcome::Saved]);
    }
    let mut answers = Answers::default();
    let mut saved = Vec::new();
    for number in 100..160 {
        let large = answers.count(store.save_key_packages(&save(number, 30_000), at(0)).await);
        saved.extend(large.map(|_| number));
        let small = answers.count(store.save_key_packages(&save(1_000 + number, 100), at(0)).await);
        saved.extend(small.map(|_| 1_000 + number));
    }
    let claimed: Vec<_> = (0..20).collect::<Vec<u32>>();
    let mut handed_out = Vec::new();
    for &number in &claimed {
        handed_out.push(answers.count(store.claim_key_package(&take(number), None, at(0)).await));
    }
    answers.count(store.delete_pool(&pool(5)).await);
    answers.count(store.cleanup_expired(at(1), 10).await);
    answers.count(store.retire_unspent(at(-1), at(0), None, 100).await);
    assert!(
        answers.not_applied + answers.unknown > 10,
        "the disk is full: {answers:?}"
    );
    // Reads go on, and whatever was answered is there.
    for number in saved.iter().copied() {
        let key_package_ref = KeyPackageRef::try_from(number.to_be_bytes().as_slice()).unwrap();
        let found = store.get_key_package(&pool(number), &key_package_ref, at(0)).await;
        assert!(found.unwrap().is_some(), "{number} was saved");
    }
    make_room();
    // All goes on without reopening, and the same claims get the same packages.
    for (number, before) in claimed.into_iter().zip(handed_out) {
        if number != 5 {
            let again = store.claim_key_package(&take(number), None, at(1)).await.unwrap();
            assert_eq!(
                again.info.key_package_ref,
                save(number, 300).packages()[0].package.info.key_package_ref
            );
            assert!(before.is_none_or(|before| before == again));
        }
    }
    store.save_key_packages(&save(2_000, 30_000), at(1)).await.unwrap();
    store.close().await.unwrap();
    let check: String = Connection::open(&path)
        .unwrap()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
    answers
}

/// Runs a test of this file in another process, by a shell. Returns what it printed; `None`: the shell could not begin.
fn run_again(test: &str, dir: &Path, shell: &[&str], script: &str) -> Option<String> {
    let done = Command::new(shell[0])
        .args(&shell[1..])
        .args(["sh", "-c"])
        .arg(format!("{script} || exit 77; exec \"$0\" \"$@\""))
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(DIRECTORY, dir)
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    // `unshare` itself ends with 1, and without having run a test.
    if done.status.code() == Some(77) || !said.contains("running 1 test") {
        return None;
    }
    assert!(done.status.success(), "{said}");
    Some(said)
}

fn little_room() -> Option<PathBuf> {
    std::env::var_os(DIRECTORY).map(PathBuf::from)
}

/// ERR-1: SQLite meets a full disk at the commit and rolls back. So the call is certainly not applied, and transient.
#[tokio::test]
async fn on_a_full_disk_calls_are_not_applied_and_transient() {
    if let Some(dir) = little_room() {
        let ballast = dir.join("ballast");
        std::fs::write(&ballast, vec![1; 1024 * 1024]).unwrap();
        let answers = fill(&dir, || std::fs::remove_file(&ballast).unwrap()).await;
        println!("full disk: {answers:?}");
        assert_eq!(answers.unknown, 0);
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mount = "mount -t tmpfs -o size=2m none \"$KP_SQLITE_LITTLE_ROOM\"";
    let test = "on_a_full_disk_calls_are_not_applied_and_transient";
    let shells: [&[&str]; 2] = [
        &["unshare", "--mount"],
        &["unshare", "--user", "--map-root-user", "--mount"],
    ];
    match shells
        .iter()
        .find_map(|shell| run_again(test, dir.path(), shell, mount))
    {
        Some(said) => print!("{said}"),
        None => eprintln!("SKIPPED: no file system of 2 MiB can be mounted here"),
    }
}

/// ERR-1: a limit on the size of files looks like a broken disk. So what a commit did is unknown, and a retry finds out.
#[tokio::test]
async fn at_a_limit_on_files_calls_are_transient_and_can_be_repeated() {
    if let Some(dir) = little_room() {
        // Room is made by the log: once it is in the file, it begins anew.
        let path = dir.join("pools.db");
        let answers = fill(&dir, || {
            let file = Connection::open(&path).unwrap();
            let _: i64 = file
                .query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| row.get(0))
                .unwrap();
        })
        .await;
        println!("limit on files: {answers:?}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // In blocks of 512 bytes, or of 1 KiB, as the shell counts.
    let limit = "trap '' XFSZ; ulimit -f 4000";
    let test = "at_a_limit_on_files_calls_are_transient_and_can_be_repeated";
    match run_again(test, dir.path(), &["env"], limit) {
        Some(said) => print!("{said}"),
        None => eprintln!("SKIPPED: this shell cannot limit the size of files"),
    }
}
