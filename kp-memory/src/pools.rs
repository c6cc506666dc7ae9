use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::{DefaultHashBuilder, HashTable};
use kp_core::{PoolId, Timestamp};
use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::agenda::{Agenda, Dates};
use crate::pool::Pool;

const SHARDS: usize = 256;

/// How many pools are listed at a time: between two lots, others get at the agenda (`COST-1`).
const LOT: usize = 1_000;

/// Pools by the hash of their ids, which is made once a call.
type Shard = HashTable<(PoolId, Box<Mutex<Pool>>)>;

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
        let hash = self.hasher.hash_one(id);
        match find(&self.shard(hash).read(), hash, id) {
            Some(pool) => look(&pool.lock()),
            None => look(&Pool::default()),
        }
    }

    /// One atomic step on a pool (`LIN-1`); one that is not there is empty, and stays so.
    pub(crate) fn change<T>(&self, id: &PoolId, now: Timestamp, step: impl FnOnce(&mut Pool) -> T) -> T {
        let hash = self.hasher.hash_one(id);
        self.step(self.shard(hash).read(), hash, id, now, step)
    }

    /// The same, but what the step puts into a pool that was not there stays.
    pub(crate) fn fill<T>(&self, id: &PoolId, now: Timestamp, step: impl FnOnce(&mut Pool) -> T) -> T {
        let hash = self.hasher.hash_one(id);
        let mut shard = self.shard(hash).read();
        if find(&shard, hash, id).is_none() {
            drop(shard);
            let mut writing = self.shard(hash).write();
            let place = writing.entry(hash, |(other, _)| other == id, |(id, _)| self.hasher.hash_one(id));
            place.or_insert_with(|| {
                let number = self.numbers.fetch_add(1, Ordering::Relaxed);
                (id.clone(), Box::new(Mutex::new(Pool::numbered(number))))
            });
            shard = RwLockWriteGuard::downgrade(writing);
        }
        self.step(shard, hash, id, now, step)
    }

    /// Removes a pool at once.
    pub(crate) fn delete(&self, id: &PoolId) {
        let hash = self.hasher.hash_one(id);
        let mut shard = self.shard(hash).write();
        let Ok(found) = shard.find_entry(hash, |(other, _)| other == id) else {
            return;
        };
        let ((_, mut pool), _) = found.remove();
        let (pool, nothing) = (pool.get_mut(), Dates::default());
        self.agenda.lock().note(id, pool.number, pool.noted, nothing);
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

    fn shard(&self, hash: u64) -> &RwLock<Shard> {
        // The bits in the middle, since the shard's own table uses the others.
        &self.shards[(hash >> 32) as usize % SHARDS]
    }

    fn step<T>(
        &self,
        shard: RwLockReadGuard<'_, Shard>,
        hash: u64,
        id: &PoolId,
        now: Timestamp,
        step: impl FnOnce(&mut Pool) -> T,
    ) -> T {
        let Some(pool) = find(&shard, hash, id) else {
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
            self.remove_if_empty(hash, id);
        }
        answer
    }

    /// Another may have filled it meanwhile.
    fn remove_if_empty(&self, hash: u64, id: &PoolId) {
        let mut shard = self.shard(hash).write();
        if let Ok(mut found) = shard.find_entry(hash, |(other, _)| other == id)
            && found.get_mut().1.get_mut().is_empty()
        {
            found.remove();
        }
    }
}

fn find<'a>(shard: &'a Shard, hash: u64, id: &PoolId) -> Option<&'a Mutex<Pool>> {
    let found = shard.find(hash, |(other, _)| other == id);
    found.map(|(_, pool)| &**pool)
}
