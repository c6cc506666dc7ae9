use std::collections::BTreeSet;
use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use kp_core::rules::{Record, State};
use kp_core::{
    BackendError, Ciphersuite, Effect, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Party, ReservationId, Timestamp,
};
use smallvec::SmallVec;

use crate::agenda::{Dates, Noted};
use crate::entry::Entry;
use crate::queue::Queue;
use crate::slab::{Key, Slab};

/// How many keys are passed by at a time.
const SPAN: usize = 64;

/// The records of one client, and the indexes that find them.
///
/// An index is made of what a record *is*, never of what the time was: so `now` may step back (`TIME-3`).
#[derive(Debug, Default)]
// In the order of use, which this keeps: what every call needs lies side by side, and is fetched at once.
#[repr(C)]
pub(crate) struct Pool {
    /// By [`State::lapses_at`].
    pub(crate) ends: BTreeSet<(Timestamp, Key)>,
    /// By [`State::bound_id`].
    by_id: HashTable<Key>,
    hasher: DefaultHashBuilder,
    /// The free ones.
    pub(crate) queues: SmallVec<[Queue; 1]>,
    pub(crate) entries: Slab<Entry>,
    /// The one that was found last: most are asked for again, or changed, as soon as they are found.
    pub(crate) recent: Key,
    /// What the agenda has of the pool.
    pub(crate) noted: Noted,
    /// No `not_after` lies before it; `None` when there are no records.
    earliest: Option<Timestamp>,
    /// No `not_after` of a span of keys lies after it: what has long expired is passed by.
    latest: Vec<Timestamp>,
    by_ref: HashTable<Key>,
    /// How many have this [`State::reserver`].
    pub(crate) taken: HashMap<Party, u32>,
    /// The last-resort packages in their slots, by sequence.
    pub(crate) slots: Vec<Key>,
    pub(crate) next_sequence: u64,
}

impl Pool {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.len() == 0
    }

    /// When a sweep first finds work here.
    pub(crate) fn dates(&self) -> Dates {
        Dates {
            lapses_at: self.ends.first().map(|(at, _)| *at),
            not_after: self.earliest,
        }
    }

    /// All records, in the order of sequences.
    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.entries.iter().map(|(_, entry)| entry.record())
    }

    /// Those that are not past their `not_after`.
    pub(crate) fn live(&self, now: Timestamp) -> impl Iterator<Item = &Record> {
        let spans = (0..).step_by(SPAN).zip(&self.latest);
        let live = spans.filter(move |(_, latest)| now < **latest);
        let records = live.flat_map(|(first, _)| self.entries.range(first..first + SPAN));
        records.map(Entry::record).filter(move |record| !record.is_expired(now))
    }

    /// The record of this ref, with the bytes it has.
    pub(crate) fn get(&self, key_package_ref: &KeyPackageRef) -> Option<(Record, Option<KeyPackageBytes>)> {
        let entry = self.entries.get(self.key(key_package_ref)?)?;
        Some((entry.record().clone(), entry.bytes().cloned()))
    }

    /// Forgets at most `limit` records that are past their `not_after` (`SWEEP-1`); says how many.
    pub(crate) fn sweep(&mut self, now: Timestamp, limit: usize) -> Result<u64, BackendError> {
        let over = self.entries.iter().filter(|(_, entry)| entry.record().is_expired(now));
        let over: Vec<_> = over.map(|(key, _)| key).take(limit).collect();
        for key in &over {
            self.forget(*key);
        }
        if over.len() < limit {
            self.earliest = self.records().map(|record| record.info.lifetime.not_after()).min();
        }
        if self.entries.is_sparse() {
            self.compact()?;
        }
        Ok(over.len() as u64)
    }

    pub(crate) fn key(&self, key_package_ref: &KeyPackageRef) -> Option<Key> {
        let named = |key: &Key| {
            let entry = self.entries.get(*key);
            entry.is_some_and(|entry| entry.record().info.key_package_ref == *key_package_ref)
        };
        if named(&self.recent) {
            return Some(self.recent);
        }
        let hash = self.hasher.hash_one(key_package_ref.as_bytes());
        self.by_ref.find(hash, named).copied()
    }

    /// The key of the package to which this id is bound.
    pub(crate) fn bound(&self, id: &ReservationId) -> Option<Key> {
        let bound = |key: &Key| {
            let entry = self.entries.get(*key);
            entry.is_some_and(|entry| entry.record().state.bound_id() == Some(id))
        };
        self.by_id.find(self.hasher.hash_one(id), bound).copied()
    }

    /// The key of a record that was found in this pool.
    pub(crate) fn key_of(&self, record: &Record) -> Option<Key> {
        let recent = self.entries.get(self.recent);
        match recent.filter(|entry| entry.record().sequence == record.sequence) {
            Some(_) => Some(self.recent),
            None => self.key(&record.info.key_package_ref),
        }
    }

    pub(crate) fn add(&mut self, entry: Entry) -> Result<(), BackendError> {
        if self.entries.is_sparse() {
            self.compact()?;
        }
        let (info, state) = (entry.record().info.clone(), entry.record().state.clone());
        let key = self
            .entries
            .push(entry)
            .map_err(|source| BackendError::new("memory", "insert", Effect::NotApplied, source))?;
        let hash = |key: &Key| {
            let entry = self.entries.get(*key);
            entry.map_or(0, |entry| {
                self.hasher.hash_one(entry.record().info.key_package_ref.as_bytes())
            })
        };
        self.by_ref.insert_unique(hash(&key), key, hash);
        let not_after = info.lifetime.not_after();
        self.earliest = self.earliest.min(Some(not_after)).or(Some(not_after));
        match self.latest.get_mut(key as usize / SPAN) {
            Some(latest) => *latest = not_after.max(*latest),
            None => self.latest.push(not_after),
        }
        self.index(key, &info, None, Some(&state));
        Ok(())
    }

    pub(crate) fn forget(&mut self, key: Key) {
        let Some(entry) = self.entries.remove(key) else { return };
        let info = &entry.record().info;
        let hash = self.hasher.hash_one(info.key_package_ref.as_bytes());
        if let Ok(found) = self.by_ref.find_entry(hash, |other| *other == key) {
            found.remove();
        }
        self.index(key, info, Some(&entry.record().state), None);
        if self.is_empty() {
            self.earliest = None;
        }
    }

    /// Brings the indexes of states from what that of a package was to what it is.
    pub(crate) fn index(&mut self, key: Key, info: &KeyPackageInfo, was: Option<&State>, is: Option<&State>) {
        if let Some((was, is)) = change(was, is, State::bound_id) {
            let hash = |id: &ReservationId| self.hasher.hash_one(id);
            if let Some(id) = was
                && let Ok(found) = self.by_id.find_entry(hash(id), |other| *other == key)
            {
                found.remove();
            }
            if let Some(id) = is {
                let of = |key: &Key| self.entries.get(*key)?.record().state.bound_id();
                self.by_id.insert_unique(hash(id), key, |key| of(key).map_or(0, hash));
            }
        }
        if let Some((was, is)) = change(was, is, State::lapses_at) {
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
            self.queues.push(Queue::new(suite));
            self.queues.len() - 1
        });
        &mut self.queues[at]
    }

    /// Gives back the memory of records that are gone.
    fn compact(&mut self) -> Result<(), BackendError> {
        let mut pool = Self {
            next_sequence: self.next_sequence,
            noted: std::mem::take(&mut self.noted),
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
