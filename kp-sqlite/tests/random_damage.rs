//! Files with random damage: every call ends with a typed answer, and no package is handed out to two ids.
//!
//! `KP_SQLITE_DAMAGED=3000` runs as many files of each kind, instead of the usual hundred. A seed tells everything.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kp_core::client::*;
use kp_core::server::*;
use kp_core::*;
use kp_sqlite::{SqliteMetadata, SqliteStore, Survives};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

const POOLS: u64 = 6;

fn at(seconds: i64) -> Timestamp {
    Timestamp::try_from(1_700_000_000 + seconds).unwrap()
}

fn pool(number: u64) -> PoolId {
    PoolId::try_from(format!("client {number}").as_str()).unwrap()
}

/// A ref that looks like a hash.
fn named(number: u64) -> KeyPackageRef {
    let mut random = StdRng::seed_from_u64(number);
    KeyPackageRef::try_from(random.random::<[u8; 32]>().to_vec()).unwrap()
}

fn package(number: u64, not_after: i64) -> KeyPackage {
    let lifetime = Lifetime::new(at(-1), at(not_after)).unwrap();
    let info = KeyPackageInfo::new(named(number), Ciphersuite(1), lifetime, CredentialHash([1; 32]));
    KeyPackage::new(info, KeyPackageBytes::try_from(vec![7; 300]).unwrap())
}

fn take(of: u64, number: u64) -> TakeRequest {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    TakeRequest::new(pool(of), ReservationId::from_bytes(id), Ttl::seconds(60).unwrap())
}

/// Damages some bytes, sectors or pages, or cuts the rest off.
fn damage(bytes: &mut Vec<u8>, random: &mut StdRng) {
    let pages = bytes.len() / 4_096;
    match random.random_range(0..8) {
        // Small damage finds its way deepest into the code.
        0..=3 => {
            for _ in 0..=random.random_range(0..20) {
                let at = random.random_range(0..bytes.len());
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << random.random_range(0..8);
                }
            }
        }
        // The heads of pages, where their trees are.
        4 => {
            for _ in 0..=random.random_range(0..10) {
                let at = random.random_range(0..pages) * 4_096 + random.random_range(0..12);
                let value = random.random();
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
        }
        5 => {
            let from = random.random_range(0..pages) * 4_096;
            let value = [0, 0xFF, 0xA5][random.random_range(0..3)];
            let to = (from + 4_096).min(bytes.len());
            bytes[from..to].fill(value);
        }
        6 => {
            let (from, to) = (
                random.random_range(0..pages) * 4_096,
                random.random_range(0..pages) * 4_096,
            );
            if from.max(to) + 4_096 <= bytes.len() {
                bytes.copy_within(from..from + 4_096, to);
            }
        }
        _ => bytes.truncate(random.random_range(0..bytes.len())),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(suffix);
    beside.into()
}

/// A directory in memory where there is one: thousands of files are synced.
fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// The content of a file and of its log.
struct Files {
    file: Vec<u8>,
    log: Vec<u8>,
}

impl Files {
    fn read(path: &Path) -> Self {
        Self {
            file: fs::read(path).unwrap(),
            log: fs::read(beside(path, "-wal")).unwrap_or_default(),
        }
    }

    /// Writes the files anew, with damage in one of them, or in both.
    fn write_damaged(&self, path: &Path, random: &mut StdRng) {
        let (mut file, mut log) = (self.file.clone(), self.log.clone());
        let which = random.random_range(0..4);
        if log.is_empty() || which < 3 {
            damage(&mut file, random);
        }
        if !log.is_empty() && which > 1 {
            damage(&mut log, random);
        }
        fs::write(path, file).unwrap();
        fs::write(beside(path, "-wal"), log).unwrap();
        let _ = fs::remove_file(beside(path, "-shm"));
    }
}

/// What the damaged files answered.
#[derive(Debug, Default)]
struct Counts {
    files: u64,
    refused: BTreeMap<&'static str, u64>,
    ok: u64,
    rejected: u64,
    failed: u64,
}

impl Counts {
    /// Counts why a file was not opened.
    fn refused(&mut self, refused: &OpenError) {
        let kind = match refused {
            OpenError::NotADatabase(_) => "not a database",
            OpenError::UnsafeConfiguration(_) => "unsafe configuration",
            other => panic!("damage passed for something else: {other}"),
        };
        *self.refused.entry(kind).or_default() += 1;
    }

    /// Counts an answer. A thread that ended did so by a panic.
    fn answer<T, R>(&mut self, seed: u64, answer: Result<T, Error<R>>) -> Option<T> {
        match answer {
            Ok(answer) => {
                self.ok += 1;
                Some(answer)
            }
            Err(Error::Backend(failure)) => {
                let said = failure.to_string();
                assert!(!said.contains("ended before it answered"), "seed {seed}: {said}");
                self.failed += 1;
                None
            }
            Err(_) => {
                self.rejected += 1;
                None
            }
        }
    }
}

/// Waits for a call that must end. The time is far above what any machine needs.
async fn ends<T>(seed: u64, call: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(300), call).await {
        Ok(answer) => answer,
        Err(_) => panic!("seed {seed}: a call does not end"),
    }
}

/// A file with pools in all states, as it was closed, and the same with a log.
async fn pools(dir: &Path) -> [Files; 2] {
    let path = dir.join("whole.db");
    let store = SqliteStore::open(&path).await.unwrap();
    for of in 0..POOLS {
        let mut packages: Vec<_> = (of * 100..of * 100 + 40)
            .map(|number| package(number, if number % 4 == 0 { 50 } else { 10_000 }))
            .collect();
        packages[3].info.role = Role::LastResort;
        let save = Save::new(pool(of), packages).unwrap();
        store.save_key_packages(&save, at(0)).await.unwrap();
        for number in of * 100..of * 100 + 10 {
            let lapse = [OnLapse::Return, OnLapse::Retire][number as usize % 2];
            let take = take(of, number);
            if number % 3 == 0 {
                store.claim_key_package(&take, None, at(0)).await.unwrap();
                continue;
            }
            let reserved = store.reserve_key_package(&take, lapse, at(0)).await.unwrap();
            let token = reserved.lease.unwrap().token;
            if number % 3 == 1 {
                store.spend_key_package(&token, &Spend::default(), at(1)).await.unwrap();
            }
        }
        let some = Withdrawal::Refs((of * 100 + 9..of * 100 + 12).map(named).collect());
        store.withdraw_key_packages(&pool(of), &some, at(1)).await.unwrap();
    }
    store.close().await.unwrap();
    let closed = Files::read(&path);
    let store = SqliteStore::open(&path).await.unwrap();
    for of in 0..POOLS {
        let save = Save::one(pool(of), package(of * 100 + 50, 10_000));
        store.save_key_packages(&save, at(1)).await.unwrap();
        store
            .claim_key_package(&take(of, of * 100 + 50), None, at(1))
            .await
            .unwrap();
    }
    [closed, Files::read(&path)]
}

/// Calls everything on a damaged file.
async fn call_everything(store: &SqliteStore, seed: u64, counts: &mut Counts) {
    let mut holders = HashMap::new();
    for (round, now) in (0..).zip([at(2), at(30), at(100), at(20_000)]) {
        for of in 0..POOLS {
            let id = |number| of * 1_000_000 + now.get() as u64 % 100_000 * 10 + number;
            let pool = pool(of);
            counts.answer(seed, ends(seed, store.count_by_status(&pool, now)).await);
            let page = ends(seed, store.list_available(&pool, None, 5, now)).await;
            let mut next = counts.answer(seed, page).and_then(|page| page.next);
            while let Some(cursor) = next {
                let page = ends(seed, store.list_available(&pool, Some(&cursor), 5, now)).await;
                next = counts.answer(seed, page).and_then(|page| page.next);
            }
            let refs: Vec<_> = (of * 100..of * 100 + 60).map(named).collect();
            counts.answer(seed, ends(seed, store.get_statuses(&pool, &refs, now)).await);
            counts.answer(seed, ends(seed, store.get_key_package(&pool, &refs[7], now)).await);
            // Another one each time: where an index has lost what it names, the same would be taken for new.
            let save = Save::one(pool.clone(), package(of * 100 + 70 + round, 30_000));
            counts.answer(seed, ends(seed, store.save_key_packages(&save, now)).await);
            for number in 0..3 {
                let take = take(of, id(number));
                let reserved = ends(seed, store.reserve_key_package(&take, OnLapse::Return, now)).await;
                let Some(reserved) = counts.answer(seed, reserved) else {
                    continue;
                };
                let Some(lease) = reserved.lease else { continue };
                // It is spent or left to lapse: only what lapsed may go to another.
                if number > 0 {
                    let spent = ends(seed, store.spend_key_package(&lease.token, &Spend::default(), now)).await;
                    if counts.answer(seed, spent).is_some() {
                        let named = reserved.package.info.key_package_ref;
                        let other = holders.insert((of, named), id(number));
                        assert!(
                            other.is_none(),
                            "seed {seed}: one package, two ids, of {of} at {now:?}: {other:?}"
                        );
                    }
                } else {
                    counts.answer(seed, ends(seed, store.release_key_package(&lease.token, now)).await);
                }
            }
            let take = take(of, id(5)).options(TakeOptions::new().last_resort(LastResort::Never));
            let claimed = ends(seed, store.claim_key_package(&take, None, now)).await;
            if let Some(claimed) = counts.answer(seed, claimed) {
                let other = holders.insert((of, claimed.info.key_package_ref), id(5));
                assert!(
                    other.is_none(),
                    "seed {seed}: one package, two ids, of {of} at {now:?}: {other:?}"
                );
            }
        }
        counts.answer(seed, ends(seed, store.release_expired_reservations(now, 3)).await);
        counts.answer(seed, ends(seed, store.release_expired_reservations(now, 1_000)).await);
        counts.answer(seed, ends(seed, store.cleanup_expired(now, 7)).await);
        counts.answer(seed, ends(seed, store.cleanup_expired(now, 1_000)).await);
        let mut next = None;
        loop {
            let page = ends(seed, store.list_pools(next.as_ref(), 2)).await;
            next = counts.answer(seed, page).and_then(|page| page.next);
            if next.is_none() {
                break;
            }
        }
    }
    let retired = ends(seed, store.retire_unspent(at(3), at(3), None, 100)).await;
    counts.answer(seed, retired);
    for of in 0..POOLS {
        let all = ends(seed, store.withdraw_key_packages(&pool(of), &Withdrawal::All, at(3))).await;
        counts.answer(seed, all);
        counts.answer(seed, ends(seed, store.delete_pool(&pool(of))).await);
    }
}

/// The seeds of the files; `KP_SQLITE_SEED` runs one alone.
fn seeds() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|number| number.parse().ok());
    match number("KP_SQLITE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("KP_SQLITE_DAMAGED").unwrap_or(100),
    }
}

#[tokio::test]
async fn every_call_on_a_damaged_file_of_pools_ends_with_an_answer() {
    let dir = directory();
    let whole = pools(dir.path()).await;
    let path = dir.path().join("damaged.db");
    let mut counts = Counts::default();
    for seed in seeds() {
        let random = &mut StdRng::seed_from_u64(seed);
        whole[random.random_range(0..2)].write_damaged(&path, random);
        counts.files += 1;
        let builder = SqliteStore::builder(&path).survives(Survives::ProcessCrash);
        match ends(seed, builder.open()).await {
            Ok(store) => {
                call_everything(&store, seed, &mut counts).await;
                let _ = ends(seed, store.close()).await;
            }
            Err(refused) => counts.refused(&refused),
        }
    }
    println!("pools: {counts:?}");
}

#[tokio::test]
async fn every_call_on_a_damaged_file_of_metadata_ends_with_an_answer() {
    let dir = directory();
    let whole = dir.path().join("whole.db");
    let row = |number| KeyPackageMetadata::created(&package(number, 10_000).info, at(0));
    let metadata = SqliteMetadata::open(&whole).await.unwrap();
    let rows: Vec<_> = (0..60).map(row).collect();
    metadata.create_pool_metadata(&rows).await.unwrap();
    let whole = Files::read(&whole);
    let path = dir.path().join("damaged.db");
    let mut counts = Counts::default();
    for seed in seeds() {
        let random = &mut StdRng::seed_from_u64(seed);
        whole.write_damaged(&path, random);
        counts.files += 1;
        match ends(seed, SqliteMetadata::open(&path)).await {
            Ok(metadata) => {
                for number in 0..70 {
                    counts.answer(seed, ends(seed, metadata.get(&named(number))).await);
                    let step = [(named(number), Lifecycle::Available)];
                    counts.answer(seed, ends(seed, metadata.update_pool_status(&step, at(1))).await);
                }
                counts.answer(seed, ends(seed, metadata.list()).await);
                let available = metadata.get_available_count(Ciphersuite(1), at(1));
                counts.answer(seed, ends(seed, available).await);
                let new = [row(100), row(101)];
                counts.answer(seed, ends(seed, metadata.create_pool_metadata(&new)).await);
                let refs: Vec<_> = (0..70).map(named).collect();
                counts.answer(seed, ends(seed, metadata.delete_pool_metadata(&refs)).await);
                let _ = ends(seed, metadata.close()).await;
            }
            Err(refused) => counts.refused(&refused),
        }
    }
    println!("metadata: {counts:?}");
}
