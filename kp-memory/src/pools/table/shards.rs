use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use kp_core::{PoolId, Timestamp};
use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::pools::table::pool::Pool;
use crate::pools::table::schedule::{Dates, Schedule};

const SHARDS: usize = 256;

/// How many pools are listed at a time. Between two batches, other calls get at the schedule (`COST-1`).
const BATCH: usize = 1_000;

/// Finds pools by the hash of their ids, which is made once a call. A pool lies in the hash table itself, so that finding
/// the pool fetches it.
type Shard = HashTable<Named>;

/// Holds a pool, its lock and its id.
#[derive(Debug)]
struct Named {
    id: PoolId,
    pool: Mutex<Pool>,
}

/// Finds pools by id, and runs steps on them, each pool under a lock of its own.
///
/// Locks are taken in this order: the shard, the pool, the schedule. A shard is locked for reading, and for writing only
/// while a pool is added or removed. A pool that is locked is in its shard, since the shard is locked too.
#[derive(Debug)]
pub(crate) struct Table {
    shards: Box<[RwLock<Shard>]>,
    hasher: DefaultHashBuilder,
    schedule: Mutex<Schedule>,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            hasher: DefaultHashBuilder::default(),
            schedule: Mutex::default(),
        }
    }
}

impl Table {
    /// Reads a pool. A pool that is not there is empty.
    pub(crate) fn look<T>(&self, id: &PoolId, look: impl FnOnce(&Pool) -> T) -> T {
        let hash = self.hasher.hash_one(id);
        match find(&self.shard(hash).read(), hash, id) {
            Some(pool) => look(&pool.lock()),
            None => look(&Pool::default()),
        }
    }

    /// Runs one atomic step on a pool (`LIN-1`). A pool that is not there is empty, and what the step puts into it is lost.
    pub(crate) fn change<T>(&self, id: &PoolId, now: Timestamp, step: impl FnOnce(&mut Pool) -> T) -> T {
        let hash = self.hasher.hash_one(id);
        self.step(self.shard(hash).read(), hash, id, now, step)
    }

    /// Runs one atomic step on a pool, and adds the pool if it is not there.
    pub(crate) fn fill<T>(&self, id: &PoolId, now: Timestamp, step: impl FnOnce(&mut Pool) -> T) -> T {
        let hash = self.hasher.hash_one(id);
        let mut shard = self.shard(hash).read();
        if find(&shard, hash, id).is_none() {
            drop(shard);
            let mut writing = self.shard(hash).write();
            let place = writing.entry(hash, |other| other.id == *id, |other| self.hasher.hash_one(&other.id));
            place.or_insert_with(|| Named {
                id: id.clone(),
                pool: Mutex::default(),
            });
            shard = RwLockWriteGuard::downgrade(writing);
        }
        self.step(shard, hash, id, now, step)
    }

    /// Removes a pool at once.
    pub(crate) fn delete(&self, id: &PoolId) {
        let hash = self.hasher.hash_one(id);
        let mut shard = self.shard(hash).write();
        let Ok(found) = shard.find_entry(hash, |other| other.id == *id) else {
            return;
        };
        let (mut named, _) = found.remove();
        let scheduled = &mut named.pool.get_mut().scheduled;
        self.schedule.lock().put(id, scheduled, Dates::default());
        self.shrink(&mut shard);
        // The memory of a large pool is freed after the lock is released.
        drop(shard);
    }

    /// Returns a pool in which a lease or window may have lapsed by `now`. After a step at `now` settled the pool, another
    /// pool is returned.
    pub(crate) fn lapsed(&self, now: Timestamp) -> Option<PoolId> {
        self.schedule.lock().lapsed(now)
    }

    /// Returns a pool in which a package may be past its `not_after` at `now`. A sweep of the pool finds out.
    pub(crate) fn expired(&self, now: Timestamp) -> Option<PoolId> {
        self.schedule.lock().expired(now)
    }

    /// Returns at most `limit` pools after this pool, in the order of their ids, and whether no more follow.
    pub(crate) fn page(&self, after: Option<&PoolId>, limit: usize) -> (Vec<PoolId>, bool) {
        let (mut page, mut complete) = self.schedule.lock().page(after, BATCH.min(limit));
        while !complete && page.len() < limit {
            let size = BATCH.min(limit - page.len());
            let (batch, end) = self.schedule.lock().page(page.last(), size);
            page.extend(batch);
            complete = end;
        }
        (page, complete)
    }

    pub(crate) fn len(&self) -> usize {
        self.schedule.lock().len()
    }

    fn shard(&self, hash: u64) -> &RwLock<Shard> {
        // The bits in the middle: the shard's own hash table uses the others.
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
        if pool.scheduled.is_stale(dates, now) {
            self.schedule.lock().put(id, &mut pool.scheduled, dates);
        }
        if pool.is_empty() {
            drop(pool);
            drop(shard);
            self.remove_if_empty(hash, id);
        }
        answer
    }

    /// Removes a pool, unless another call has filled it since.
    fn remove_if_empty(&self, hash: u64, id: &PoolId) {
        let mut shard = self.shard(hash).write();
        if let Ok(mut found) = shard.find_entry(hash, |other| other.id == *id)
            && found.get_mut().pool.get_mut().is_empty()
        {
            found.remove();
            self.shrink(&mut shard);
        }
    }

    /// Gives back the room of removed pools, when it is most of a shard.
    fn shrink(&self, shard: &mut Shard) {
        if shard.capacity() > 4 * shard.len() {
            shard.shrink_to(2 * shard.len(), |named| self.hasher.hash_one(&named.id));
        }
    }
}

fn find<'a>(shard: &'a Shard, hash: u64, id: &PoolId) -> Option<&'a Mutex<Pool>> {
    let found = shard.find(hash, |other| other.id == *id);
    found.map(|named| &named.pool)
}

#[cfg(test)]
mod tests {
    use kp_core::rules::{Kept, LeaseRecord, Record, State};
    use kp_core::server::{Admitted, OnLapse};
    use kp_core::{
        Ciphersuite, CredentialHash, KeyPackage, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Lifetime,
        ReservationId,
    };

    use super::*;

    fn record(state: State) -> (Record, Kept) {
        let info = KeyPackageInfo::new(
            KeyPackageRef::try_from("ref").unwrap(),
            Ciphersuite(1),
            Lifetime::new(Timestamp::MIN, Timestamp::MAX).unwrap(),
            CredentialHash([0; 32]),
        );
        let bytes = KeyPackageBytes::try_from(b"secret".as_slice()).unwrap();
        let kept = Kept::of(&Admitted::new(KeyPackage::new(info.clone(), bytes)));
        let record = Record {
            info,
            sequence: 0,
            saved_at: Timestamp::MIN,
            state,
        };
        (record, kept)
    }

    /// A lease ends in a heap that keeps its date. A pool that is gone must not be due for it: a sweep would ask for it for ever.
    #[test]
    fn a_pool_that_is_gone_is_never_due() {
        let (record, kept) = record(State::Reserved(LeaseRecord {
            id: ReservationId::from_bytes([7; 16]),
            by: None,
            expires_at: Timestamp::new(10).unwrap(),
            on_lapse: OnLapse::Return,
            recalled: None,
        }));
        let pools = Table::default();
        let bob = PoolId::try_from("bob").unwrap();
        pools
            .fill(&bob, Timestamp::MIN, |pool| pool.add(record, &kept))
            .unwrap();
        assert_eq!(pools.lapsed(Timestamp::MAX), Some(bob.clone()));
        pools
            .change(&bob, Timestamp::MAX, |pool| pool.sweep(Timestamp::MAX, 10))
            .unwrap();
        assert_eq!(pools.len(), 0);
        assert_eq!(pools.lapsed(Timestamp::MAX), None);
        assert_eq!(pools.expired(Timestamp::MAX), None);
    }

    #[test]
    fn the_room_of_removed_pools_is_given_back() {
        let (record, kept) = record(State::Free);
        let pools = Table::default();
        let ids: Vec<_> = (0..10_000)
            .map(|id| PoolId::try_from(format!("{id}").as_str()).unwrap())
            .collect();
        for id in &ids {
            pools
                .fill(id, Timestamp::MIN, |pool| pool.add(record.clone(), &kept))
                .unwrap();
        }
        let room = || pools.shards.iter().map(|shard| shard.read().capacity()).sum::<usize>();
        let full = room();
        let (kept, gone) = ids.split_at(1_000);
        gone.iter().for_each(|id| pools.delete(id));
        assert!(room() < full / 2, "{} of {full}", room());
        for id in kept {
            assert!(pools.look(id, |pool| !pool.is_empty()));
        }
        kept.iter().for_each(|id| pools.delete(id));
        assert_eq!(room(), 0);
    }
}
