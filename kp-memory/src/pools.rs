use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::{DefaultHashBuilder, HashMap};
use kp_core::{PoolId, Timestamp};
use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::agenda::{Agenda, Dates};
use crate::pool::Pool;

const SHARDS: usize = 256;

/// How many pools are listed at a time: between two lots, others get at the agenda (`COST-1`).
const LOT: usize = 1_000;

type Shard = HashMap<PoolId, Box<Mutex<Pool>>>;

/// All pools, each under a lock of its own.
///
/// Locks are taken in this order: the shard (for reading, but when a pool comes or goes), the pool, the agenda. A pool
/// that is locked is in its shard, since its shard is held too.
#[derive(Debug)]
pub(crate) struct Pools {
    shards: Box<[RwLock<Shard>]>,
    hasher: DefaultHashBuilder,
    agenda: Mutex<Agenda>,
    /// How many pools there ever were: each has a number for the agenda.
    numbers: AtomicU64,
}

impl Default for Pools {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            hasher: DefaultHashBuilder::default(),
            agenda: Mutex::default(),
            numbers: AtomicU64::default(),
        }
    }
}

impl Pools {
    /// Looks at a pool; one that is not there is empty.
    pub(crate) fn look<T>(&self, id: &PoolId, look: impl FnOnce(&Pool) -> T) -> T {
        match self.shard(id).read().get(id) {
            Some(pool) => look(&pool.lock()),
            None => look(&Pool::default()),
        }
    }

    /// One atomic step on a pool (`LIN-1`); one that is not there is empty, and stays so.
    pub(crate) fn change<T>(&self, id: &PoolId, now: Timestamp, step: impl FnOnce(&mut Pool) -> T) -> T {
        self.step(self.shard(id).read(), id, now, step)
    }

    /// The same, but what the step puts into a pool that was not there stays.
    pub(crate) fn fill<T>(&self, id: &PoolId, now: Timestamp, step: impl FnOnce(&mut Pool) -> T) -> T {
        let mut shard = self.shard(id).read();
        if !shard.contains_key(id) {
            drop(shard);
            let mut writing = self.shard(id).write();
            writing.entry(id.clone()).or_insert_with(|| {
                let number = self.numbers.fetch_add(1, Ordering::Relaxed);
                Box::new(Mutex::new(Pool::numbered(number)))
            });
            shard = RwLockWriteGuard::downgrade(writing);
        }
        self.step(shard, id, now, step)
    }

    /// Removes a pool at once.
    pub(crate) fn delete(&self, id: &PoolId) {
        let mut shard = self.shard(id).write();
        let mut pool = shard.remove(id);
        if let Some(pool) = pool.as_mut().map(|pool| pool.get_mut()) {
            let nothing = Dates::default();
            self.agenda.lock().note(id, pool.number, pool.noted, nothing);
        }
        // What a large pool held is freed without the lock.
        drop(shard);
    }

    /// A pool in which a lease or window may have ended by `now`; after a step at `now` it is so no more.
    pub(crate) fn ended(&self, now: Timestamp) -> Option<PoolId> {
        self.agenda.lock().ended(now)
    }

    /// A pool in which a package may be past its `not_after` at `now`; after a step at `now` it certainly is.
    pub(crate) fn over(&self, now: Timestamp) -> Option<PoolId> {
        self.agenda.lock().over(now)
    }

    /// At most `limit` pools after this one, in the order of their ids, and whether no more follow.
    pub(crate) fn page(&self, after: Option<&PoolId>, limit: usize) -> (Vec<PoolId>, bool) {
        let (mut page, mut complete) = self.agenda.lock().page(after, LOT.min(limit));
        while !complete && page.len() < limit {
            let lot = LOT.min(limit - page.len());
            let (lot, end) = self.agenda.lock().page(page.last(), lot);
            page.extend(lot);
            complete = end;
        }
        (page, complete)
    }

    pub(crate) fn len(&self) -> usize {
        self.agenda.lock().len()
    }

    fn shard(&self, id: &PoolId) -> &RwLock<Shard> {
        // The upper bits, since the shard's own table uses the lower ones.
        let upper = self.hasher.hash_one(id) >> 32;
        &self.shards[upper as usize % SHARDS]
    }

    fn step<T>(
        &self,
        shard: RwLockReadGuard<'_, Shard>,
        id: &PoolId,
        now: Timestamp,
        step: impl FnOnce(&mut Pool) -> T,
    ) -> T {
        let Some(pool) = shard.get(id) else {
            return step(&mut Pool::default());
        };
        let mut pool = pool.lock();
        let answer = step(&mut pool);
        let dates = pool.dates();
        if pool.noted.mislead(dates, now) {
            self.agenda.lock().note(id, pool.number, pool.noted, dates);
            pool.noted = dates;
        }
        if pool.is_empty() {
            drop(pool);
            drop(shard);
            self.remove_if_empty(id);
        }
        answer
    }

    /// Another may have filled it meanwhile.
    fn remove_if_empty(&self, id: &PoolId) {
        let mut shard = self.shard(id).write();
        if shard.get_mut(id).is_some_and(|pool| pool.get_mut().is_empty()) {
            shard.remove(id);
        }
    }
}
