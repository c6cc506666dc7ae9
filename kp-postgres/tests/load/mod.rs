//! Callers that reserve and spend, whatever becomes of their servers; and what they were answered.
#![allow(dead_code)] // Each test takes what it needs of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kp_core::server::{KeyPackageStore, KeyPackageStoreExt, OnLapse, ReservationToken, Spend};
use kp_core::{BackendError, Effect, Error, KeyPackageRef, PoolId, ReservationId, Status};
use kp_postgres::PostgresStore;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::scene::{NOW, take};

pub(crate) const CALLERS: u64 = 8;

/// What callers were answered: who has each package, and which were spent.
pub(crate) type Answered = HashMap<(PoolId, KeyPackageRef), (ReservationId, bool)>;

/// How many calls failed.
#[derive(Debug, Default)]
struct Failures {
    not_applied: AtomicU64,
    unknown: AtomicU64,
}

impl Failures {
    fn note(&self, failure: &BackendError) {
        assert!(
            failure.is_transient() || failure.effect() == Effect::Unknown,
            "{failure}"
        );
        let count = match failure.effect() {
            Effect::NotApplied => &self.not_applied,
            _ => &self.unknown,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the answer of a call, or `None`: the call is to be made again.
    fn sort<T>(&self, answer: Result<T, Error>) -> Option<T> {
        match answer {
            Ok(answer) => Some(answer),
            Err(Error::Backend(failure)) => {
                self.note(&failure);
                None
            }
            Err(rejected) => panic!("{rejected}"),
        }
    }
}

/// What became of a spend that was made again and again, maybe until the callers were stopped.
enum Spending {
    Done,
    NotDone,
    Unknown,
}

/// One that reserves and spends.
struct Caller {
    store: PostgresStore,
    number: u64,
    pools: u64,
    stopped: Arc<AtomicBool>,
    done: watch::Sender<u64>,
    failures: Arc<Failures>,
}

impl Caller {
    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Goes on until it is stopped. A call that fails is made again, with the same id, until it is answered.
    async fn run(self) -> Answered {
        let mut all = Answered::new();
        let mut round = 0;
        while !self.is_stopped() {
            round += 1;
            let take = take((self.number + round) % self.pools, self.number * 1_000_000 + round);
            let reserved = loop {
                let reserved = self.store.reserve_key_package(&take, OnLapse::Return, NOW).await;
                if let Some(reserved) = self.failures.sort(reserved) {
                    break reserved;
                }
                if self.is_stopped() {
                    return all;
                }
            };
            let lease = reserved.lease.expect("no last resort was saved");
            let place = (take.pool.clone(), reserved.package.info.key_package_ref);
            let before = all.insert(place.clone(), (take.id, false));
            assert_eq!(before, None, "handed out twice to one caller");
            match self.spend(&lease.token, &place).await {
                Spending::Done => all.insert(place, (take.id, true)),
                Spending::Unknown => all.remove(&place),
                Spending::NotDone => None,
            };
            self.done.send_modify(|done| *done += 1);
        }
        all
    }

    /// Spends until that is answered. ERR-1: what is said not to be applied is not. Nobody but this caller can spend the package.
    async fn spend(&self, token: &ReservationToken, (pool, named): &(PoolId, KeyPackageRef)) -> Spending {
        let mut is_unknown = false;
        loop {
            let failure = match self.store.spend_key_package(token, &Spend::new(), NOW).await {
                Ok(_) => return Spending::Done,
                Err(Error::Backend(failure)) => failure,
                Err(rejected) => panic!("{rejected}"),
            };
            self.failures.note(&failure);
            is_unknown |= failure.effect() == Effect::Unknown;
            if self.is_stopped() {
                return if is_unknown {
                    Spending::Unknown
                } else {
                    Spending::NotDone
                };
            }
            if !is_unknown {
                let found = loop {
                    let found = self.store.get_statuses(pool, std::slice::from_ref(named), NOW).await;
                    if let Some(found) = self.failures.sort(found) {
                        break found;
                    }
                    if self.is_stopped() {
                        return Spending::NotDone;
                    }
                };
                assert!(
                    matches!(found[..], [Some(Status::Reserved { .. })]),
                    "{failure}, and {found:?}"
                );
            }
        }
    }
}

/// A load of callers on several stores.
pub(crate) struct Load {
    callers: Vec<JoinHandle<Answered>>,
    stopped: Arc<AtomicBool>,
    done: watch::Sender<u64>,
    failures: Arc<Failures>,
}

impl Load {
    /// Starts the callers, in turn on two stores of this address.
    pub(crate) async fn start(url: &str, pools: u64) -> Self {
        Self::start_at(url, pools, 0).await
    }

    /// As above. Loads of one store have a different `turn` each: else they use the same ids.
    pub(crate) async fn start_at(url: &str, pools: u64, turn: u64) -> Self {
        let stopped = Arc::new(AtomicBool::new(false));
        let done = watch::Sender::new(0);
        let failures = Arc::new(Failures::default());
        let stores = [
            PostgresStore::connect(url).await.expect("it connects"),
            PostgresStore::connect(url).await.expect("it connects"),
        ];
        let start = |number: u64| {
            let caller = Caller {
                store: stores[usize::from(number.is_multiple_of(2))].clone(),
                number,
                pools,
                stopped: Arc::clone(&stopped),
                done: done.clone(),
                failures: Arc::clone(&failures),
            };
            tokio::spawn(caller.run())
        };
        Self {
            callers: (CALLERS * turn..CALLERS * (turn + 1)).map(start).collect(),
            stopped,
            done,
            failures,
        }
    }

    /// Waits until the callers have spent so many more.
    pub(crate) async fn goes_on(&self, more: u64) {
        let mut done = self.done.subscribe();
        let before = *done.borrow();
        let on = done.wait_for(|done| *done >= before + more).await;
        on.expect("the callers go on");
    }

    /// Stops the callers, and returns all that they were answered. Nothing was handed out twice.
    pub(crate) async fn stop(self) -> Answered {
        self.stopped.store(true, Ordering::Release);
        let mut all = Answered::new();
        for caller in self.callers {
            for (place, holder) in caller.await.expect("no caller panics") {
                assert_eq!(all.insert(place, holder), None, "handed out twice");
            }
        }
        let Failures { not_applied, unknown } = &*self.failures;
        println!(
            "{} spends; {not_applied:?} calls were not applied, of {unknown:?} it was unknown",
            all.len()
        );
        all
    }

    /// Stops the callers, and checks their answers against each other and the store.
    pub(crate) async fn check(self, store: &PostgresStore) -> usize {
        let all = self.stop().await;
        let lost = lost(&all, store).await;
        assert!(lost.is_empty(), "what was answered is there, but for {lost:?}");
        all.len()
    }
}

/// Returns which answers a store knows nothing of.
pub(crate) async fn lost(all: &Answered, store: &PostgresStore) -> Vec<KeyPackageRef> {
    let mut lost = Vec::new();
    for ((pool, named), (_, spent)) in all {
        let found = store.get_statuses(pool, std::slice::from_ref(named), NOW).await;
        let found = found.expect("it answers");
        if matches!(found.as_slice(), [Some(Status::Spent { .. })]) != *spent {
            lost.push(named.clone());
        }
    }
    lost
}
