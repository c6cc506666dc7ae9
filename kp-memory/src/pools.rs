use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use kp_core::{PoolId, Timestamp};
use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::agenda::{Agenda, Dates};
use crate::pool::Pool;

const SHARDS: usize = 256;

/// How many pools are listed at a time: between two lots, others get at the agenda (`COST-1`).
const LOT: usize = 1_000;

/// Pools by the hash of their ids, which is made once a call. They lie in the table itself: whoever finds one has
/// fetched it.
type Shard = HashTable<Named>;

/// A pool under its lock.
#[derive(Debug)]
struct Named {
    id: PoolId,
    pool: Mutex<Pool>,
}

/// All pools, each under a lock of its own.
///
/// Locks are taken in this order: the shard (for reading, but when a pool comes or goes), the pool, the agenda. A pool
/// that is locked is in its shard, since its shard is held too.
#[derive(Debug)]
pub(crate) struct Pools {
    shards: Box<[RwLock<Shard>]>,
    hasher: DefaultHashBuilder,
    agenda: Mutex<Agenda>,
}

impl Default for Pools {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            hasher: DefaultHashBuilder::default(),
            agenda: Mutex::default(),
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
        let noted = &mut named.pool.get_mut().noted;
        self.agenda.lock().note(id, noted, Dates::default());
        self.shrink(&mut shard);
        // What a large pool held is freed without the lock.
        drop(shard);
    }

    /// A pool in which a lease or window may have ended by `now`; after a step at `now` it is so no more.
    pub(crate) fn ended(&self, now: Timestamp) -> Option<PoolId> {
        self.agenda.lock().ended(now)
    }

    /// A pool in which a package may be past its `not_after` at `now`; a sweep of it finds out.
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
        if pool.noted.misleads(dates, now) {
            self.agenda.lock().note(id, &mut pool.noted, dates);
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
        if let Ok(mut found) = shard.find_entry(hash, |other| other.id == *id)
            && found.get_mut().pool.get_mut().is_empty()
        {
            found.remove();
            self.shrink(&mut shard);
        }
    }

    /// Gives back the room of pools that are gone, when it is most of a shard.
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
    use kp_core::rules::{Record, State};
    use kp_core::{Ciphersuite, CredentialHash, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Lifetime};

    use super::*;
    use crate::entry::Entry;

    #[test]
    fn the_room_of_pools_that_are_gone_is_given_back() {
        let info = KeyPackageInfo::new(
            KeyPackageRef::try_from("ref").unwrap(),
            Ciphersuite(1),
            Lifetime::new(Timestamp::MIN, Timestamp::MAX).unwrap(),
            CredentialHash([0; 32]),
        );
        let record = Record {
            info,
            sequence: 0,
            saved_at: Timestamp::MIN,
            state: State::Free,
        };
        let bytes = KeyPackageBytes::try_from(b"secret".as_slice()).unwrap();
        let pools = Pools::default();
        let ids: Vec<_> = (0..10_000)
            .map(|id| PoolId::try_from(format!("{id}").as_str()).unwrap())
            .collect();
        for id in &ids {
            let entry = Entry::new(record.clone(), bytes.clone());
            pools.fill(id, Timestamp::MIN, |pool| pool.add(entry)).unwrap();
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
