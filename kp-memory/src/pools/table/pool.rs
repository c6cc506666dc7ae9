use std::hash::BuildHasher;
use std::num::TryFromIntError;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use kp_core::rules::{Kept, Record, State};
use kp_core::server::{Admitted, InitKeyFingerprint, Support, TakeOptions};
use kp_core::{Ciphersuite, CredentialHash, KeyPackageInfo, KeyPackageRef, Party, ReservationId, Timestamp};
use smallvec::SmallVec;

use crate::pools::table::entry::{Entry, Owner};
use crate::pools::table::lapses::Lapses;
use crate::pools::table::queue::{Queue, Wanted};
use crate::pools::table::schedule::{Dates, Scheduled};
use crate::pools::table::slab::{Key, Slab};

#[cfg(test)]
mod indexes;

/// How many keys share one date in `latest`.
const SPAN: usize = 64;

/// Holds the records of one client, and the indexes that find them.
///
/// An index is made of what a record *is*, never of what the time was: so `now` may step back (`TIME-3`).
#[derive(Debug, Default)]
// `repr(C)` keeps the fields in the order of use: what every call needs lies side by side, and is fetched at once.
#[repr(C)]
pub(crate) struct Pool {
    lapses: Lapses,
    /// The records by [`State::bound_id`].
    by_id: HashTable<Key>,
    hasher: DefaultHashBuilder,
    /// The free packages, one queue for each ciphersuite.
    queues: SmallVec<[Queue; 1]>,
    entries: Slab<Entry>,
    /// The record that was found last: most records are asked for again, or changed, as soon as they are found.
    recent: Key,
    /// The places of the pool in the schedule.
    pub(super) scheduled: Scheduled,
    /// A lower bound of all `not_after`; `None` when there are no records.
    earliest: Option<Timestamp>,
    /// For each span of keys, an upper bound of their `not_after`: scans skip spans that have expired.
    latest: Vec<Timestamp>,
    by_ref: HashTable<Key>,
    /// The records by the fingerprint of their init key, of which several may have the same (`SAVE-9`).
    by_init_key: HashTable<Key>,
    /// The owner that was added last: the KeyPackages of a client mostly share it.
    owner: Option<Arc<Owner>>,
    /// How many records have this [`State::reserver`].
    taken: HashMap<Party, u32>,
    /// The last-resort packages in their slots, by sequence.
    slots: Vec<Key>,
    next_sequence: u64,
}

impl Pool {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.len() == 0
    }

    /// Returns the dates at which a sweep first finds work here.
    pub(super) fn dates(&self) -> Dates {
        Dates {
            lapses_at: self.lapses.earliest(),
            not_after: self.earliest,
        }
    }

    /// Returns all records by sequence.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record> {
        self.entries().map(Entry::record)
    }

    /// Returns all entries by sequence.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().map(|(_, entry)| entry)
    }

    /// Returns the records that are not past their `not_after`, by sequence.
    pub(crate) fn unexpired(&self, now: Timestamp) -> impl Iterator<Item = Record> {
        let spans = (0..).step_by(SPAN).zip(&self.latest);
        let unexpired = spans.filter(move |(_, latest)| now < **latest);
        let entries = unexpired.flat_map(|(first, _)| self.entries.range(first..first + SPAN));
        let unexpired = entries.filter(move |entry| !entry.lifetime().is_expired(now));
        unexpired.map(Entry::record)
    }

    /// Returns the record of this ref.
    pub(crate) fn get(&self, key_package_ref: &KeyPackageRef) -> Option<&Entry> {
        self.entries.get(self.key(key_package_ref)?)
    }

    /// Returns the record of this ref, which is likely to be asked for again.
    pub(crate) fn find(&mut self, key_package_ref: &KeyPackageRef) -> Option<&Entry> {
        let key = self.key(key_package_ref)?;
        self.found(key)
    }

    /// Returns the record to which this id is bound.
    pub(crate) fn find_bound(&mut self, id: &ReservationId) -> Option<&Entry> {
        let bound = |key: &Key| {
            let entry = self.entries.get(*key);
            entry.is_some_and(|entry| entry.bound_id() == Some(id))
        };
        let key = *self.by_id.find(self.hasher.hash_one(id), bound)?;
        self.found(key)
    }

    /// Returns the entry of a record that was found in this pool.
    pub(crate) fn entry(&self, record: &Record) -> Option<&Entry> {
        self.entries.get(self.key_of(record)?)
    }

    /// Returns the oldest free package that is as asked (`RES-3`).
    pub(crate) fn oldest(&mut self, options: &TakeOptions, now: Timestamp) -> Option<&Entry> {
        let key = self.oldest_key(options, now)?;
        self.found(key)
    }

    /// Returns whether any free package is within its lifetime.
    pub(crate) fn any_available(&mut self, now: Timestamp) -> bool {
        self.oldest_key(&TakeOptions::default(), now).is_some()
    }

    /// Returns whether a record that is not past its `not_after` has this fingerprint (`SAVE-9`).
    pub(crate) fn knows_init_key(&self, fingerprint: &InitKeyFingerprint, now: Timestamp) -> bool {
        let same_hash = self.by_init_key.iter_hash(self.hasher.hash_one(fingerprint));
        let mut entries = same_hash.filter_map(|key| self.entries.get(*key));
        entries.any(|entry| entry.fingerprint() == Some(fingerprint) && !entry.lifetime().is_expired(now))
    }

    /// Returns the records whose [`State::lapses_at`] has come, once: the caller settles them.
    pub(crate) fn lapsed_records(&mut self, now: Timestamp) -> Vec<Record> {
        if self.lapses.earliest().is_none_or(|earliest| now < earliest) {
            return Vec::new();
        }
        let due = self.lapses.take_due(now, lapses_at(&self.entries));
        self.records_of(due.iter())
    }

    /// Returns the last-resort packages in their slots, by sequence.
    pub(crate) fn slot_records(&self) -> Vec<Record> {
        self.records_of(self.slots.iter())
    }

    /// Counts the records that have this [`State::reserver`].
    pub(crate) fn taken_by(&self, party: &Party) -> u32 {
        self.taken.get(party).copied().unwrap_or_default()
    }

    pub(crate) fn take_sequence(&mut self) -> u64 {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        sequence
    }

    /// Adds a record, whose sequence is higher than that of all others.
    ///
    /// Fails when there are more places than keys.
    pub(crate) fn add(&mut self, record: Record, kept: &Kept) -> Result<(), TryFromIntError> {
        if self.entries.is_sparse() {
            self.compact()?;
        }
        let owner = self.owner(record.info.credential, kept.support.as_ref());
        self.push(Entry::new(record, kept, owner))
    }

    /// Adds support and fingerprint to a record that has none (`SAVE-5`).
    pub(crate) fn complete(&mut self, record: &Record, item: &Admitted) {
        let Some(key) = self.key_of(record) else { return };
        let owner = self.owner(record.info.credential, item.support.as_ref());
        let Some(entry) = self.entries.get_mut(key) else { return };
        let is_known = entry.fingerprint().is_some();
        entry.amend(item.fingerprint, owner);
        if !is_known {
            self.index_init_key(key);
        }
    }

    /// Returns an owner with these, as the pool has it in memory already if it is that of the KeyPackage before.
    fn owner(&mut self, credential: CredentialHash, support: Option<&Support>) -> Arc<Owner> {
        match &self.owner {
            Some(owner) if owner.credential == credential && owner.support.as_ref() == support => Arc::clone(owner),
            _ => {
                let support = support.cloned();
                Arc::clone(self.owner.insert(Arc::new(Owner { credential, support })))
            }
        }
    }

    /// Brings a record, given as it was before, to another state.
    pub(crate) fn set_state(&mut self, record: &Record, state: State) {
        if let Some(key) = self.key_of(record) {
            self.index(key, &record.info, Some(&record.state), Some(&state));
            if let Some(entry) = self.entries.get_mut(key) {
                entry.enter(state);
            }
        }
    }

    pub(crate) fn remove(&mut self, record: &Record) {
        if let Some(key) = self.key_of(record) {
            self.remove_key(key);
        }
    }

    /// Forgets at most `limit` records that are past their `not_after` (`SWEEP-1`); returns how many.
    pub(crate) fn sweep(&mut self, now: Timestamp, limit: usize) -> Result<u64, TryFromIntError> {
        let expired = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.lifetime().is_expired(now));
        let expired: Vec<_> = expired.map(|(key, _)| key).take(limit).collect();
        for key in &expired {
            self.remove_key(*key);
        }
        if expired.len() < limit {
            self.earliest = self.entries().map(|entry| entry.lifetime().not_after()).min();
        }
        if self.entries.is_sparse() {
            self.compact()?;
        }
        Ok(expired.len() as u64)
    }

    fn key(&self, key_package_ref: &KeyPackageRef) -> Option<Key> {
        let named = |key: &Key| {
            let entry = self.entries.get(*key);
            entry.is_some_and(|entry| entry.key_package_ref() == key_package_ref)
        };
        if named(&self.recent) {
            return Some(self.recent);
        }
        let hash = self.hasher.hash_one(key_package_ref.as_bytes());
        self.by_ref.find(hash, named).copied()
    }

    /// Returns the key of a record that was found in this pool.
    fn key_of(&self, record: &Record) -> Option<Key> {
        let recent = self.entries.get(self.recent);
        match recent.filter(|entry| entry.sequence() == record.sequence) {
            Some(_) => Some(self.recent),
            None => self.key(&record.info.key_package_ref),
        }
    }

    /// Remembers the key as the most recent.
    fn found(&mut self, key: Key) -> Option<&Entry> {
        self.recent = key;
        self.entries.get(key)
    }

    fn records_of<'a>(&self, keys: impl Iterator<Item = &'a Key>) -> Vec<Record> {
        keys.filter_map(|key| self.entries.get(*key))
            .map(Entry::record)
            .collect()
    }

    fn oldest_key(&mut self, options: &TakeOptions, now: Timestamp) -> Option<Key> {
        let (suites, requirements) = (&options.ciphersuites, &options.requirements);
        let wanted = Wanted::new(now, options.remaining);
        let lifetime = |key| self.entries.get(key).map(Entry::lifetime);
        let will_do =
            |key| requirements.is_empty() || self.entries.get(key).is_some_and(|entry| entry.meets(requirements));
        let queues = self.queues.iter_mut();
        let accepted = queues.filter(|queue| suites.is_empty() || suites.contains(&queue.suite));
        // Keys are in the order of sequences.
        accepted
            .filter_map(|queue| queue.oldest(wanted, &lifetime, &will_do))
            .min()
    }

    fn push(&mut self, entry: Entry) -> Result<(), TryFromIntError> {
        let (info, state) = (entry.info(), entry.state());
        let key = self.entries.push(entry)?;
        let hash = |key: &Key| {
            let entry = self.entries.get(*key);
            entry.map_or(0, |entry| self.hasher.hash_one(entry.key_package_ref().as_bytes()))
        };
        self.by_ref.insert_unique(hash(&key), key, hash);
        let not_after = info.lifetime.not_after();
        self.earliest = self.earliest.min(Some(not_after)).or(Some(not_after));
        match self.latest.get_mut(key as usize / SPAN) {
            Some(latest) => *latest = not_after.max(*latest),
            None => self.latest.push(not_after),
        }
        self.index(key, &info, None, Some(&state));
        self.index_init_key(key);
        Ok(())
    }

    /// Adds a record to the index of fingerprints, if the record has one.
    fn index_init_key(&mut self, key: Key) {
        let hash = |key: &Key| {
            let fingerprint = self.entries.get(*key).and_then(Entry::fingerprint);
            fingerprint.map(|fingerprint| self.hasher.hash_one(fingerprint))
        };
        if let Some(hashed) = hash(&key) {
            self.by_init_key
                .insert_unique(hashed, key, |key| hash(key).unwrap_or_default());
        }
    }

    fn remove_key(&mut self, key: Key) {
        let Some(entry) = self.entries.remove(key) else { return };
        let info = entry.info();
        let hash = self.hasher.hash_one(info.key_package_ref.as_bytes());
        if let Ok(found) = self.by_ref.find_entry(hash, |other| *other == key) {
            found.remove();
        }
        if let Some(fingerprint) = entry.fingerprint()
            && let Ok(found) = self
                .by_init_key
                .find_entry(self.hasher.hash_one(fingerprint), |other| *other == key)
        {
            found.remove();
        }
        self.index(key, &info, Some(&entry.state()), None);
        if self.is_empty() {
            self.earliest = None;
        }
    }

    /// Brings the indexes of states from the former state of a record to the present one.
    fn index(&mut self, key: Key, info: &KeyPackageInfo, was: Option<&State>, is: Option<&State>) {
        if let Some((was, is)) = change(was, is, State::bound_id) {
            let hash = |id: &ReservationId| self.hasher.hash_one(id);
            if let Some(id) = was
                && let Ok(found) = self.by_id.find_entry(hash(id), |other| *other == key)
            {
                found.remove();
            }
            if let Some(id) = is {
                let of = |key: &Key| self.entries.get(*key)?.bound_id();
                self.by_id.insert_unique(hash(id), key, |key| of(key).map_or(0, hash));
            }
        }
        if let Some((was, is)) = change(was, is, State::lapses_at) {
            if was.is_some() {
                self.lapses.end();
            }
            if let Some(at) = is {
                self.lapses.add(at, key, lapses_at(&self.entries));
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

    /// Gives back the memory of records that are gone, by moving the others to new places.
    fn compact(&mut self) -> Result<(), TryFromIntError> {
        let mut pool = Self {
            next_sequence: self.next_sequence,
            scheduled: std::mem::take(&mut self.scheduled),
            owner: self.owner.take(),
            ..Self::default()
        };
        for entry in std::mem::take(&mut self.entries).into_entries() {
            pool.push(entry)?;
        }
        *self = pool;
        Ok(())
    }
}

/// Returns when the lease or window of a record lapses.
fn lapses_at(entries: &Slab<Entry>) -> impl Fn(Key) -> Option<Timestamp> {
    |key| entries.get(key)?.lapses_at()
}

/// Returns a part of the former state and of the present one, if the two differ.
fn change<'a, T: PartialEq>(
    was: Option<&'a State>,
    is: Option<&'a State>,
    part: impl Fn(&'a State) -> Option<T>,
) -> Option<(Option<T>, Option<T>)> {
    let (was, is) = (was.and_then(&part), is.and_then(&part));
    (was != is).then_some((was, is))
}
