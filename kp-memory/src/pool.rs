use std::collections::BTreeSet;
use std::hash::BuildHasher;
use std::ops::Bound::{Excluded, Unbounded};

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use kp_core::rules::{Record, State};
use kp_core::{
    BackendError, Ciphersuite, KeyPackageRef, Outcome, PackageBytes, PackageInfo, Party, ReservationId, Timestamp,
};

use crate::agenda::Dates;
use crate::entry::Entry;
use crate::queue::Queue;
use crate::slab::{Key, Slab};

/// The records of one client, and the indexes that find them.
///
/// An index is made of what a record *is*, never of what the time was: so `now` may step back (`TIME-3`).
#[derive(Debug, Default)]
pub(crate) struct Pool {
    // First what every call needs: side by side, it is fetched at once.
    pub(crate) entries: Slab<Entry>,
    /// The one that was found last: most are asked for again, or changed, as soon as they are found.
    pub(crate) recent: Key,
    /// The free ones.
    pub(crate) queues: Vec<Queue>,
    /// By [`State::bound_id`].
    pub(crate) by_id: HashMap<ReservationId, Key>,
    /// By [`State::ends_at`].
    pub(crate) ends: BTreeSet<(Timestamp, Key)>,
    /// What the agenda has of the pool.
    pub(crate) noted: Dates,
    /// The first of `expiry`.
    earliest: Option<Timestamp>,
    by_ref: HashTable<Key>,
    refs: DefaultHashBuilder,
    /// How many have this [`State::reserver`].
    pub(crate) taken: HashMap<Party, u32>,
    /// All, by `not_after`.
    expiry: BTreeSet<(Timestamp, Key)>,
    /// The last-resort packages in their slots, by sequence.
    pub(crate) slots: Vec<Key>,
    pub(crate) next_sequence: u64,
    /// Its own, among all pools.
    pub(crate) number: u64,
}

impl Pool {
    /// An empty one.
    pub(crate) fn numbered(number: u64) -> Self {
        Self {
            number,
            ..Self::default()
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.len() == 0
    }

    /// When a sweep first finds work here.
    pub(crate) fn dates(&self) -> Dates {
        Dates {
            ends_at: self.ends.first().map(|(at, _)| *at),
            not_after: self.earliest,
        }
    }

    /// All records, in no order.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record> {
        self.entries.iter().map(Entry::record)
    }

    /// The record of this ref, with the bytes it has.
    pub(crate) fn get(&self, key_package_ref: &KeyPackageRef) -> Option<(Record, Option<PackageBytes>)> {
        let entry = self.entries.get(self.key(key_package_ref)?)?;
        Some((entry.record(), entry.bytes().cloned()))
    }

    /// The records that are not past their `not_after`, by it.
    pub(crate) fn live(&self, now: Timestamp) -> impl Iterator<Item = &Entry> {
        let live = self.expiry.range((Excluded((now, Key::MAX)), Unbounded));
        live.filter_map(|(_, key)| self.entries.get(*key))
    }

    /// Forgets at most `limit` records that are past their `not_after` (`SWEEP-1`); says how many.
    pub(crate) fn sweep(&mut self, now: Timestamp, limit: usize) -> Result<u64, BackendError> {
        let over = self.expiry.range(..=(now, Key::MAX)).take(limit);
        let over: Vec<_> = over.map(|(_, key)| *key).collect();
        for key in &over {
            self.forget(*key);
        }
        if self.entries.is_sparse() {
            self.compact()?;
        }
        Ok(over.len() as u64)
    }

    pub(crate) fn key(&self, key_package_ref: &KeyPackageRef) -> Option<Key> {
        let named = |key: &Key| {
            let entry = self.entries.get(*key);
            entry.is_some_and(|entry| entry.info().key_package_ref == *key_package_ref)
        };
        if named(&self.recent) {
            return Some(self.recent);
        }
        let hash = self.refs.hash_one(key_package_ref.as_bytes());
        self.by_ref.find(hash, named).copied()
    }

    /// The key of a record that was found in this pool.
    pub(crate) fn key_of(&self, record: &Record) -> Option<Key> {
        let recent = self.entries.get(self.recent);
        match recent.filter(|entry| entry.sequence() == record.sequence) {
            Some(_) => Some(self.recent),
            None => self.key(&record.info.key_package_ref),
        }
    }

    pub(crate) fn add(&mut self, entry: Entry) -> Result<(), BackendError> {
        if self.entries.is_sparse() {
            self.compact()?;
        }
        let (info, state) = (entry.info().clone(), entry.state().clone());
        let key = self
            .entries
            .push(entry)
            .map_err(|source| BackendError::new("memory", "insert", Outcome::NotApplied, source))?;
        let hash = |key: &Key| {
            let entry = self.entries.get(*key);
            entry.map_or(0, |entry| self.refs.hash_one(entry.info().key_package_ref.as_bytes()))
        };
        self.by_ref.insert_unique(hash(&key), key, hash);
        let not_after = info.lifetime.not_after();
        self.expiry.insert((not_after, key));
        self.earliest = self.earliest.min(Some(not_after)).or(Some(not_after));
        let mut was = None;
        if state.is_unspent_one_time() {
            // It has its place in the queue, also while it is reserved.
            self.queue(info.ciphersuite).put(key, info.lifetime);
            was = Some(&State::Free);
        }
        self.index(key, &info, was, Some(&state));
        Ok(())
    }

    pub(crate) fn forget(&mut self, key: Key) {
        let Some(entry) = self.entries.remove(key) else { return };
        let info = entry.info();
        let hash = self.refs.hash_one(info.key_package_ref.as_bytes());
        if let Ok(found) = self.by_ref.find_entry(hash, |other| *other == key) {
            found.remove();
        }
        self.expiry.remove(&(info.lifetime.not_after(), key));
        self.earliest = self.expiry.first().map(|(at, _)| *at);
        self.index(key, info, Some(entry.state()), None);
    }

    /// Brings the indexes of states from what that of a package was to what it is.
    pub(crate) fn index(&mut self, key: Key, info: &PackageInfo, was: Option<&State>, is: Option<&State>) {
        if let Some((was, is)) = change(was, is, State::bound_id) {
            if let Some(id) = was {
                self.by_id.remove(id);
            }
            if let Some(id) = is {
                self.by_id.insert(*id, key);
            }
        }
        if let Some((was, is)) = change(was, is, State::ends_at) {
            if let Some(at) = was {
                self.ends.remove(&(at, key));
            }
            if let Some(at) = is {
                self.ends.insert((at, key));
            }
        }
        if let Some((was, is)) = change(was, is, State::reserver) {
            if let Some(party) = was
                && let Some(count) = self.taken.get_mut(party)
            {
                *count -= 1;
                if *count == 0 {
                    self.taken.remove(party);
                }
            }
            if let Some(party) = is {
                *self.taken.entry_ref(party).or_default() += 1;
            }
        }
        if let Some((_, is)) = change(was, is, |state| (*state == State::Free).then_some(())) {
            let queue = self.queue(info.ciphersuite);
            match is {
                Some(()) => queue.put(key, info.lifetime),
                None => queue.take(key),
            }
        }
        if let Some((_, is)) = change(was, is, |state| matches!(state, State::Slot { .. }).then_some(())) {
            match is {
                Some(()) => self.slots.push(key),
                None => self.slots.retain(|other| *other != key),
            }
        }
    }

    fn queue(&mut self, suite: Ciphersuite) -> &mut Queue {
        let at = self.queues.iter().position(|queue| queue.suite == suite);
        let at = at.unwrap_or_else(|| {
            self.queues.reserve_exact(1);
            self.queues.push(Queue::new(suite));
            self.queues.len() - 1
        });
        &mut self.queues[at]
    }

    /// Gives back the memory of records that are gone.
    fn compact(&mut self) -> Result<(), BackendError> {
        let mut pool = Self {
            next_sequence: self.next_sequence,
            number: self.number,
            noted: self.noted,
            ..Self::default()
        };
        for entry in std::mem::take(&mut self.entries).into_entries() {
            pool.add(entry)?;
        }
        *self = pool;
        Ok(())
    }
}

/// What a part of a state was and is, where the two differ.
fn change<'a, T: PartialEq>(
    was: Option<&'a State>,
    is: Option<&'a State>,
    part: impl Fn(&'a State) -> Option<T>,
) -> Option<(Option<T>, Option<T>)> {
    let (was, is) = (was.and_then(&part), is.and_then(&part));
    (was != is).then_some((was, is))
}
