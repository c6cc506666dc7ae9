//! The store against the reference store, call by call, on histories drawn from a seed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod servers;

use std::collections::BTreeMap;

use kp_core::rules::{Limits, Model};
use kp_core::*;
use kp_redis::RedisStore;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use servers::Server;

/// What a history is drawn from.
struct Scale {
    refs: u32,
    ids: u8,
    batch: usize,
    /// Moments are 0 to this.
    moments: i64,
    max_records: u32,
    steps: u32,
    /// All reads are compared every so many steps.
    compare_every: u32,
}

/// Few refs, ids and moments: everything collides.
const NARROW: Scale = Scale {
    refs: 14,
    ids: 6,
    batch: 5,
    moments: 24,
    max_records: 11,
    steps: 1_500,
    compare_every: 3,
};

/// Pools of thousands: walks of many pages, sweeps of many steps.
const WIDE: Scale = Scale {
    refs: 8_000,
    ids: 200,
    batch: 700,
    moments: 2_000,
    max_records: 3_000,
    steps: 150,
    compare_every: 30,
};

struct History {
    seed: u64,
    step: u32,
    rng: StdRng,
    scale: Scale,
    now: Timestamp,
    store: RedisStore,
    model: Model,
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::new(seconds).unwrap()
}

/// Says where a history failed.
impl Drop for History {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}, step {}, now {}", self.seed, self.step, self.now.get());
        }
    }
}

/// A backend's failure would be a bug here: only the rules answer.
fn rules_said<T>(answer: Result<T>) -> rules::Answer<T> {
    answer.map_err(|error| *error.rejection().expect("the server does not fail"))
}

impl History {
    async fn new(server: &Server, seed: u64, scale: Scale) -> Self {
        let limits = Limits {
            max_records: scale.max_records,
        };
        let store = RedisStore::builder(server.url()).prefix(format!("{seed}:"));
        Self {
            seed,
            step: 0,
            rng: StdRng::seed_from_u64(seed),
            now: at(0),
            store: store.limits(limits).buckets(16).open().await.unwrap(),
            model: Model::with_limits(limits),
            scale,
        }
    }

    fn pool(&mut self) -> PoolId {
        PoolId::try_from(*["bob/phone", "bob/laptop", "carol"].choose(&mut self.rng).unwrap()).unwrap()
    }

    fn key_package_ref(&mut self) -> KeyPackageRef {
        named(self.rng.random_range(0..self.scale.refs))
    }

    fn party(&mut self) -> Option<Party> {
        let name = [None, Some("alice"), Some("mallory")].choose(&mut self.rng).unwrap();
        name.map(|name| Party::try_from(name).unwrap())
    }

    fn group(&mut self) -> Option<GroupId> {
        let name = [None, Some("g"), Some("h")].choose(&mut self.rng).unwrap();
        name.map(|name| GroupId::try_from(name).unwrap())
    }

    fn id(&mut self) -> ReservationId {
        ReservationId::from_bytes([self.rng.random_range(0..self.scale.ids); 16])
    }

    fn moment(&mut self) -> Timestamp {
        at(self.rng.random_range(0..=self.scale.moments))
    }

    /// Mostly onwards, now and then back (`TIME-3`).
    fn tick(&mut self) {
        let onwards = self.scale.moments / 12;
        self.now = match self.rng.random_range(0..12) {
            0 => self.moment(),
            1 => self.now.minus(self.rng.random_range(0..=onwards.unsigned_abs())),
            2..6 => self.now.plus(self.rng.random_range(0..=onwards.unsigned_abs())),
            _ => self.now,
        };
        if self.now.get() > self.scale.moments {
            self.now = at(0);
        }
    }

    /// The facts follow from the ref, but now and then: so most saves of a ref again are of the same package.
    fn package(&mut self) -> Package {
        let key_package_ref = self.key_package_ref();
        let mut facts = StdRng::seed_from_u64(u64::from(u32::from_be_bytes(
            key_package_ref.as_bytes().try_into().unwrap(),
        )));
        let facts = if self.rng.random_bool(0.02) {
            &mut self.rng
        } else {
            &mut facts
        };
        let last_resort = facts.random_bool(if self.scale.refs < 100 { 0.3 } else { 0.01 });
        let not_before = facts.random_range(0..self.scale.moments);
        let not_before = if facts.random_bool(0.7) { 0 } else { not_before };
        let not_after = not_before + facts.random_range(1..=self.scale.moments);
        Package {
            info: PackageInfo {
                key_package_ref,
                ciphersuite: Ciphersuite(facts.random_range(1..=3)),
                lifetime: Lifetime::new(at(not_before), at(not_after)).unwrap(),
                last_resort,
                credential: CredentialHash([0; 32]),
            },
            bytes: PackageBytes::try_from(vec![facts.random_range(0..3); 4]).unwrap(),
        }
    }

    fn take(&mut self) -> Take {
        let ttl = self
            .rng
            .random_range(1..=u32::try_from(self.scale.moments / 3).unwrap());
        let mut take = Take::new(self.pool(), self.id(), Ttl::try_from(ttl).unwrap());
        take.by = self.party();
        let rng = &mut self.rng;
        take.limit = rng.random_bool(0.2).then(|| rng.random_range(0..4));
        let suites = (1..=3).map(Ciphersuite);
        if rng.random_bool(0.4) {
            take.suites = suites.filter(|_| rng.random_bool(0.5)).collect();
        }
        if rng.random_bool(0.3) {
            take.remaining = rng.random_range(0..u32::try_from(self.scale.moments).unwrap());
        }
        take.last_resort = *[LastResort::Never, LastResort::Fallback, LastResort::Only]
            .choose_weighted(rng, |which| if *which == LastResort::Only { 1 } else { 4 })
            .unwrap();
        if rng.random_bool(0.2) {
            take.only = Some(self.key_package_ref());
        }
        take
    }

    /// Most tokens are those of a reservation that is or was there.
    fn token(&mut self) -> ReservationToken {
        let (pool, id) = (self.pool(), self.id());
        let records = self.model.pool(&pool).into_iter().flat_map(|pool| &pool.records);
        let bound = records
            .map(|(record, _)| record)
            .find(|record| record.bound_id() == Some(&id));
        let bound = bound.map(|record| record.info.key_package_ref.clone());
        let key_package_ref = bound.unwrap_or_else(|| self.key_package_ref());
        ReservationToken::new(pool, key_package_ref, id)
    }

    async fn step(&mut self) {
        self.tick();
        let now = self.now;
        match self.rng.random_range(0..100) {
            0..20 => self.save().await,
            20..45 => {
                let takes = [self.take(), self.take()];
                let lapse = *[OnLapse::Return, OnLapse::Retire].choose(&mut self.rng).unwrap();
                let answers = self.store.reserve_key_packages(&takes, lapse, now).await;
                for (take, answer) in takes.iter().zip(answers) {
                    assert_eq!(rules_said(answer), self.model.reserve(take, lapse, now), "{take:?}");
                }
            }
            45..60 => {
                let (take, group) = (self.take(), self.group());
                let answer = self.store.claim_key_package(&take, group.as_ref(), now).await;
                assert_eq!(
                    rules_said(answer),
                    self.model.claim(&take, group.as_ref(), now),
                    "{take:?}"
                );
            }
            60..72 => {
                let token = self.token();
                let usage = Usage {
                    group: self.group(),
                    by: self.party(),
                };
                let answer = self.store.spend_key_package(&token, &usage, now).await;
                assert_eq!(
                    rules_said(answer),
                    self.model.spend(&token, &usage, now),
                    "{token:?} {usage:?}"
                );
            }
            72..80 => {
                let token = self.token();
                let answer = self.store.release_key_package(&token, now).await;
                assert_eq!(rules_said(answer), self.model.release(&token, now), "{token:?}");
            }
            80..87 => self.remove().await,
            87..89 => {
                if self.rng.random_bool(0.3) {
                    let pool = self.pool();
                    self.store.delete_pool(&pool).await.unwrap();
                    self.model.delete_pool(&pool);
                }
            }
            89..91 => self.retire().await,
            91..95 => {
                let limit = self.rng.random_range(0..4);
                let mut count = 0;
                loop {
                    match self.store.release_expired_reservations(now, limit).await.unwrap() {
                        0 => break,
                        some => count += some,
                    }
                }
                assert_eq!(count, self.model.release_expired_reservations(now));
            }
            _ => {
                // A sweep forgets, so it runs behind (`DIR-4`), if not always.
                let now = now.minus(self.rng.random_range(0..=self.scale.moments.unsigned_abs() / 2));
                let limit = self.rng.random_range(0..=u32::try_from(self.scale.batch).unwrap());
                let mut count = 0;
                loop {
                    let some = self.store.cleanup_expired(now, limit).await.unwrap();
                    assert!(some <= u64::from(limit.max(1)));
                    count += some;
                    if some == 0 {
                        break;
                    }
                }
                assert_eq!(count, self.model.cleanup_expired(now));
            }
        }
    }

    async fn save(&mut self) {
        let count = self.rng.random_range(0..=self.scale.batch);
        let packages = (0..count).map(|_| self.package()).collect();
        let mut save = Save::new(self.pool(), packages).unwrap();
        if self.rng.random_bool(0.25) {
            save.mode = SaveMode::Replace;
        }
        if self.rng.random_bool(0.4) {
            save.cap_per_suite = self.rng.random_range(0..=self.scale.max_records / 2);
        }
        let outcomes = self.store.save_key_packages(&save, self.now).await.unwrap();
        assert_eq!(outcomes, self.model.save(&save, self.now), "{save:?}");
    }

    async fn remove(&mut self) {
        let (pool, now) = (self.pool(), self.now);
        let what = if self.rng.random_bool(0.1) {
            Removal::All
        } else {
            Removal::Refs(
                (0..self.rng.random_range(0..4))
                    .map(|_| self.key_package_ref())
                    .collect(),
            )
        };
        let answer = self.store.remove_key_packages(&pool, &what, now).await.unwrap();
        assert_eq!(answer, self.model.remove(&pool, &what, now), "{what:?}");
    }

    async fn retire(&mut self) {
        let (saved_before, limit) = (self.moment(), self.rng.random_range(0..3));
        let (mut count, mut after) = (0, None);
        loop {
            let step = self.store.retire_unspent(saved_before, self.now, after.as_ref(), limit);
            let (some, next) = step.await.unwrap();
            count += some;
            after = next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(count, self.model.retire_unspent(saved_before, self.now));
    }

    /// Every read, at any moment.
    async fn compare(&mut self) {
        let now = self.moment();
        let mut pools = Vec::new();
        let (mut after, limit) = (None, self.rng.random_range(0..4));
        loop {
            let page = self.store.list_pools(after.as_ref(), limit).await.unwrap();
            assert!(page.items.len() <= limit.max(1) as usize);
            pools.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        pools.sort(); // They come in no order.
        assert_eq!(pools, self.model.list_pools().cloned().collect::<Vec<_>>());

        let (pool, refs) = (self.pool(), (0..self.scale.refs.min(500)).map(named));
        let refs: Vec<_> = refs.collect();
        let statuses = self.store.get_statuses(&pool, &refs, now).await.unwrap();
        for (key_package_ref, status) in refs.iter().zip(statuses) {
            let stored = self.store.get_key_package(&pool, key_package_ref, now).await.unwrap();
            assert_eq!(stored, self.model.get(&pool, key_package_ref, now));
            assert_eq!(status, stored.map(|stored| stored.status));
        }
        let counts: BTreeMap<_, _> = self.store.count_by_status(&pool, now).await.unwrap();
        assert_eq!(counts, self.model.count_by_status(&pool, now));

        let (mut available, mut after) = (Vec::new(), None);
        let limit = self.rng.random_range(0..u32::try_from(self.scale.batch).unwrap());
        loop {
            let page = self
                .store
                .list_available(&pool, after.as_ref(), limit, now)
                .await
                .unwrap();
            assert!(page.items.len() <= limit.max(1) as usize);
            available.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(available, self.model.list_available(&pool, now));
    }
}

fn named(number: u32) -> KeyPackageRef {
    KeyPackageRef::try_from(number.to_be_bytes().as_slice()).unwrap()
}

async fn run(seeds: impl Iterator<Item = u64>, scale: fn() -> Scale) {
    let server = Server::start(&[]);
    for seed in seeds {
        let mut history = History::new(&server, seed, scale()).await;
        while history.step < history.scale.steps {
            history.step += 1;
            history.step().await;
            if history.step % history.scale.compare_every == 0 {
                history.compare().await;
            }
        }
    }
}

#[tokio::test]
async fn the_store_answers_as_the_model_does_where_everything_collides() {
    run(0..10, || NARROW).await;
}

#[tokio::test]
async fn the_store_answers_as_the_model_does_in_large_pools() {
    run(100..103, || WIDE).await;
}
