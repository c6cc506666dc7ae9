//! Random histories, on a file and on the reference store: the same answers after every step, and the same end.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};

use kp_core::rules::{Limits, Model};
use kp_core::*;
use kp_sqlite::{SqliteStore, Survives};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rusqlite::Connection;

const START: i64 = 1_700_000_000;
const STEPS: usize = 3_000;
const LIMITS: Limits = Limits { max_records: 30 };

fn at(seconds: i64) -> Timestamp {
    Timestamp::try_from(seconds).unwrap()
}

/// A history under way: what was made so far, so that later steps meet it again.
struct History {
    random: StdRng,
    now: i64,
    packages: u32,
    tokens: Vec<ReservationToken>,
}

impl History {
    fn pool(&mut self) -> PoolId {
        PoolId::try_from(["bob/phone", "bob/laptop", "carol"][self.random.random_range(0..3)]).unwrap()
    }

    fn package_ref(&mut self) -> KeyPackageRef {
        let newest = self.packages.max(1);
        let oldest = newest.saturating_sub(60);
        KeyPackageRef::try_from(format!("ref {}", self.random.random_range(oldest..newest)).as_str()).unwrap()
    }

    fn id(&mut self) -> ReservationId {
        ReservationId::from_bytes([self.random.random_range(0..24); 16])
    }

    fn party(&mut self) -> Option<Party> {
        let who = self.random.random_range(0..4);
        (who > 0).then(|| Party::try_from([who].as_slice()).unwrap())
    }

    fn group(&mut self) -> Option<GroupId> {
        let which = self.random.random_range(0..3);
        (which > 0).then(|| GroupId::try_from([which].as_slice()).unwrap())
    }

    fn package(&mut self) -> Package {
        let key_package_ref = if self.random.random_bool(0.2) {
            self.package_ref()
        } else {
            self.packages += 1;
            KeyPackageRef::try_from(format!("ref {}", self.packages).as_str()).unwrap()
        };
        let not_before = self.now + self.random.random_range(-200..60);
        let not_after = not_before + self.random.random_range(1..500);
        // Facts that follow from the ref, mostly, so that the same package comes again.
        let twin = self.random.random_bool(0.9);
        let named = u32::from(*key_package_ref.as_bytes().last().unwrap());
        Package {
            info: PackageInfo {
                ciphersuite: Ciphersuite(1 + (named % 3) as u16),
                lifetime: Lifetime::new(at(not_before), at(not_after)).unwrap(),
                last_resort: named % 5 == 0,
                credential: CredentialHash([u8::from(named % 7 == 0); 32]),
                key_package_ref,
            },
            bytes: PackageBytes::try_from(vec![u8::from(twin); 1 + named as usize]).unwrap(),
        }
    }

    fn save(&mut self) -> Save {
        let count = self.random.random_range(0..6);
        let packages = (0..count).map(|_| self.package()).collect();
        let mode = if self.random.random_bool(0.2) {
            SaveMode::Replace
        } else {
            SaveMode::Append
        };
        let pool = self.pool();
        Save::new(pool, packages)
            .unwrap()
            .mode(mode)
            .cap_per_suite(self.random.random_range(0..12))
    }

    fn take(&mut self) -> Take {
        let ttl = Ttl::try_from(self.random.random_range(1_u32..120)).unwrap();
        let mut take = Take::new(self.pool(), self.id(), ttl);
        if self.random.random_bool(0.4) {
            take = take.suites([Ciphersuite(self.random.random_range(1..4)), Ciphersuite(1)]);
        }
        if self.random.random_bool(0.2) {
            take = take.remaining(self.random.random_range(0..300));
        }
        if self.random.random_bool(0.2) {
            take = take.only(self.package_ref());
        }
        take.last_resort = [LastResort::Never, LastResort::Fallback, LastResort::Only][self.random.random_range(0..3)];
        take.by = self.party();
        take.limit = self.random.random_bool(0.3).then(|| self.random.random_range(0..4));
        take
    }

    fn token(&mut self) -> ReservationToken {
        if self.tokens.is_empty() || self.random.random_bool(0.1) {
            return ReservationToken::new(self.pool(), self.package_ref(), self.id());
        }
        let recent = self.tokens.len().saturating_sub(12);
        self.tokens[self.random.random_range(recent..self.tokens.len())].clone()
    }

    fn removal(&mut self) -> Removal {
        if self.random.random_bool(0.1) {
            return Removal::All;
        }
        let count = self.random.random_range(0..4);
        Removal::Refs((0..count).map(|_| self.package_ref()).collect())
    }

    /// On, back, or still (TIME-3).
    fn pass_time(&mut self) {
        self.now += match self.random.random_range(0..10) {
            0 => -self.random.random_range(1..150),
            1..=4 => 0,
            5..=8 => self.random.random_range(1..20),
            _ => self.random.random_range(20..200),
        };
    }
}

fn answer<T>(result: Result<T>) -> std::result::Result<T, Rejection> {
    result.map_err(|error| match error {
        Error::Rejected(rejection) => rejection,
        other => panic!("a failure: {other}"),
    })
}

fn only<T>(mut answers: Vec<Result<T>>) -> std::result::Result<T, Rejection> {
    assert_eq!(answers.len(), 1);
    answer(answers.remove(0))
}

/// One step on both; the answers are compared.
async fn step(history: &mut History, store: &SqliteStore, model: &mut Model) {
    history.pass_time();
    let now = at(history.now);
    match history.random.random_range(0..100) {
        0..=24 => {
            let save = history.save();
            let saved = store.save_key_packages(&save, now).await.unwrap();
            assert_eq!(saved, model.save(&save, now), "{save:?}");
        }
        25..=44 => {
            let take = history.take();
            let lapse = if history.random.random_bool(0.3) {
                OnLapse::Retire
            } else {
                OnLapse::Return
            };
            let taken = only(
                store
                    .reserve_key_packages(std::slice::from_ref(&take), lapse, now)
                    .await,
            );
            assert_eq!(taken, model.reserve(&take, lapse, now), "{take:?}");
            history
                .tokens
                .extend(taken.ok().and_then(|taken| taken.lease).map(|lease| lease.token));
        }
        45..=56 => {
            let (take, group) = (history.take(), history.group());
            let taken = only(
                store
                    .claim_key_packages(std::slice::from_ref(&take), group.as_ref(), now)
                    .await,
            );
            assert_eq!(taken, model.claim(&take, group.as_ref(), now), "{take:?}");
        }
        57..=66 => {
            let token = history.token();
            let usage = Usage {
                group: history.group(),
                by: history.party(),
            };
            let spent = only(
                store
                    .spend_key_packages(std::slice::from_ref(&token), &usage, now)
                    .await,
            );
            assert_eq!(spent, model.spend(&token, &usage, now), "{token:?}");
        }
        67..=72 => {
            let token = history.token();
            let released = only(store.release_key_packages(std::slice::from_ref(&token), now).await);
            assert_eq!(released, model.release(&token, now), "{token:?}");
        }
        73..=78 => {
            let (pool, removal) = (history.pool(), history.removal());
            let removed = store.remove_key_packages(&pool, &removal, now).await.unwrap();
            assert_eq!(removed, model.remove(&pool, &removal, now), "{removal:?}");
        }
        79..=80 => {
            let saved_before = at(history.now - history.random.random_range(0..100));
            let retired = retire(store, saved_before, now, history.random.random_range(1..3)).await;
            assert_eq!(retired, model.retire_unspent(saved_before, now));
        }
        81..=85 => {
            let now = at(history.now - history.random.random_range(0..200));
            let limit = history.random.random_range(1..9);
            let mut swept = 0;
            loop {
                let part = store.cleanup_expired(now, limit).await.unwrap();
                assert!(part <= u64::from(limit));
                swept += part;
                if part == 0 {
                    break;
                }
            }
            assert_eq!(swept, model.cleanup_expired(now));
        }
        86..=89 => {
            let mut released = 0;
            loop {
                let part = store.release_expired_reservations(now, 1).await.unwrap();
                released += part;
                if part == 0 {
                    break;
                }
            }
            assert_eq!(released, model.release_expired_reservations(now));
        }
        90 => {
            let pool = history.pool();
            store.delete_pool(&pool).await.unwrap();
            model.delete_pool(&pool);
        }
        _ => compare(history, store, model).await,
    }
}

async fn retire(store: &SqliteStore, saved_before: Timestamp, now: Timestamp, limit: u32) -> u64 {
    let (mut total, mut cursor) = (0, None);
    loop {
        let (count, next) = store
            .retire_unspent(saved_before, now, cursor.as_ref(), limit)
            .await
            .unwrap();
        total += count;
        match next {
            Some(next) => cursor = Some(next),
            None => return total,
        }
    }
}

/// All reads, of all pools.
async fn compare(history: &mut History, store: &SqliteStore, model: &Model) {
    let now = at(history.now);
    let mut pools = BTreeSet::new();
    let mut cursor = None;
    loop {
        let page = store.list_pools(cursor.as_ref(), 1).await.unwrap();
        pools.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(pools, model.list_pools().cloned().collect());
    for name in ["bob/phone", "bob/laptop", "carol"] {
        let pool = PoolId::try_from(name).unwrap();
        let mut available = Vec::new();
        let mut cursor = None;
        loop {
            let page = store.list_available(&pool, cursor.as_ref(), 2, now).await.unwrap();
            available.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(available, model.list_available(&pool, now));
        let counts = store.count_by_status(&pool, now).await.unwrap();
        assert_eq!(counts, model.count_by_status(&pool, now));
        let refs: Vec<_> = (0..8).map(|_| history.package_ref()).collect();
        let statuses = store.get_statuses(&pool, &refs, now).await.unwrap();
        for (key_package_ref, status) in refs.iter().zip(statuses) {
            assert_eq!(status, model.status(&pool, key_package_ref, now));
            let stored = store.get_key_package(&pool, key_package_ref, now).await.unwrap();
            assert_eq!(stored, model.get(&pool, key_package_ref, now));
        }
    }
}

/// What the rows say of themselves: the bounds and counts of pools hold, and bytes are kept where they should be.
fn check_rows(path: &std::path::Path) {
    let file = Connection::open(path).unwrap();
    let wrong = |sql: &str| -> i64 { file.query_row(sql, [], |row| row.get(0)).unwrap() };
    assert_eq!(
        wrong("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"),
        0
    );
    assert_eq!(
        wrong(
            "SELECT count(*) FROM keypackage_pools AS q WHERE
                 records <> (SELECT count(*) FROM keypackage_pool_packages WHERE pool = q.key)
                 OR sweep_at > (SELECT min(not_after) FROM keypackage_pool_packages WHERE pool = q.key)
                 OR last_sequence < (SELECT max(key) FROM keypackage_pool_packages WHERE pool = q.key)
                 OR coalesce(settle_at, 1 << 60) >
                    (SELECT min(ends_at) FROM keypackage_pool_packages WHERE pool = q.key)"
        ),
        0
    );
    assert_eq!(
        wrong(
            "SELECT count(*) FROM keypackage_pool_packages AS p WHERE
                 (state <= 6 OR state = 8) <> EXISTS (SELECT 1 FROM keypackage_pool_bytes WHERE key = p.key)
                 OR NOT EXISTS (SELECT 1 FROM keypackage_pools WHERE key = p.pool)"
        ),
        0
    );
    assert_eq!(
        wrong("SELECT count(*) FROM keypackage_pool_bytes WHERE key NOT IN (SELECT key FROM keypackage_pool_packages)"),
        0
    );
}

async fn run(seed: u64) {
    println!("seed {seed}");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pools.db");
    let open = || {
        SqliteStore::builder(&path)
            .survives(Survives::ProcessCrash)
            .limits(LIMITS)
            .open()
    };
    let mut store = open().await.unwrap();
    let mut model = Model::with_limits(LIMITS);
    let mut history = History {
        random: StdRng::seed_from_u64(seed),
        now: START,
        packages: 0,
        tokens: Vec::new(),
    };
    for number in 0..STEPS {
        println!("step {number}");
        step(&mut history, &store, &mut model).await;
        if number % 500 == 499 {
            compare(&mut history, &store, &model).await;
            store.close().await.unwrap();
            check_rows(&path);
            store = open().await.unwrap();
        }
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn histories_of_fixed_seeds_answer_as_the_model_does() {
    for seed in 1..=4 {
        run(seed).await;
    }
}

#[tokio::test]
async fn a_history_of_a_fresh_seed_answers_as_the_model_does() {
    run(RandomState::new().hash_one(0)).await;
}
