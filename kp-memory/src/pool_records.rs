use kp_core::rules::{PoolRecords, Record, State};
use kp_core::server::TakeOptions;
use kp_core::{BackendError, Ciphersuite, Effect, KeyPackageBytes, KeyPackageRef, Party, ReservationId, Timestamp};

use crate::entry::Entry;
use crate::pool::Pool;
use crate::queue::Wanted;
use crate::slab::Key;

impl Pool {
    /// The oldest free package of these ciphersuites (none: any) whose lifetime is as wanted.
    fn oldest(&mut self, suites: &[Ciphersuite], wanted: Wanted) -> Option<Key> {
        let lifetime = |key| self.entries.get(key).map(|entry| entry.record().info.lifetime);
        let queues = self.queues.iter_mut();
        let accepted = queues.filter(|queue| suites.is_empty() || suites.contains(&queue.suite));
        // Keys are in the order of sequences.
        accepted.filter_map(|queue| queue.oldest(wanted, &lifetime)).min()
    }

    /// A record that is likely to be asked for again.
    fn found(&mut self, key: Option<Key>) -> Option<Record> {
        let key = key?;
        self.recent = key;
        self.entries.get(key).map(|entry| entry.record().clone())
    }

    fn records_of<'a>(&self, keys: impl Iterator<Item = &'a Key>) -> Vec<Record> {
        keys.filter_map(|key| self.entries.get(*key))
            .map(|entry| entry.record().clone())
            .collect()
    }
}

impl PoolRecords for Pool {
    type Error = BackendError;

    fn by_ref(&mut self, key_package_ref: &KeyPackageRef) -> Result<Option<Record>, BackendError> {
        let key = self.key(key_package_ref);
        Ok(self.found(key))
    }

    fn by_id(&mut self, id: &ReservationId) -> Result<Option<Record>, BackendError> {
        let key = self.bound(id);
        Ok(self.found(key))
    }

    fn lapsed(&mut self, now: Timestamp) -> Result<Vec<Record>, BackendError> {
        if self.ends.first().is_none_or(|(at, _)| *at > now) {
            return Ok(Vec::new());
        }
        let ended = self.ends.range(..=(now, Key::MAX));
        Ok(self.records_of(ended.map(|(_, key)| key)))
    }

    fn oldest_that_fits(
        &mut self,
        options: &TakeOptions,
        now: Timestamp,
    ) -> Result<Option<(Record, KeyPackageBytes)>, BackendError> {
        let oldest = self.oldest(&options.ciphersuites, Wanted::new(now, options.remaining));
        let record = self.found(oldest);
        let bytes = oldest.and_then(|key| self.entries.get(key)?.bytes().cloned());
        Ok(record.zip(bytes))
    }

    fn has_available(&mut self, now: Timestamp) -> Result<bool, BackendError> {
        Ok(self.oldest(&[], Wanted::new(now, 0)).is_some())
    }

    fn slots(&mut self) -> Result<Vec<Record>, BackendError> {
        Ok(self.records_of(self.slots.iter()))
    }

    fn unspent(&mut self, now: Timestamp) -> Result<Vec<Record>, BackendError> {
        let unspent = self.live(now).filter(|record| record.state.is_unspent_one_time());
        Ok(unspent.cloned().collect())
    }

    fn count_held(&mut self, suite: Ciphersuite, now: Timestamp) -> Result<u32, BackendError> {
        let of_suite = self.live(now).filter(|record| record.info.ciphersuite == suite);
        Ok(count(of_suite.filter(|record| record.state.is_held())))
    }

    fn count_remembered(&mut self, now: Timestamp) -> Result<u32, BackendError> {
        Ok(count(self.live(now)))
    }

    fn count_taken_by(&mut self, party: &Party) -> Result<u32, BackendError> {
        Ok(self.taken.get(party).copied().unwrap_or_default())
    }

    fn bytes(&mut self, record: &Record) -> Result<KeyPackageBytes, BackendError> {
        let key = self.key_of(record);
        let bytes = key.and_then(|key| self.entries.get(key)).and_then(Entry::bytes);
        // The rules ask only for bytes that a record keeps.
        let missing = || BackendError::new("memory", "read", Effect::NotApplied, "a package has no bytes");
        bytes.cloned().ok_or_else(missing)
    }

    fn next_sequence(&mut self) -> Result<u64, BackendError> {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        Ok(sequence)
    }

    fn insert(&mut self, record: &Record, bytes: &KeyPackageBytes) -> Result<(), BackendError> {
        self.add(Entry::new(record.clone(), bytes.clone()))
    }

    fn update(&mut self, record: &Record, state: State) -> Result<(), BackendError> {
        if let Some(key) = self.key_of(record) {
            self.index(key, &record.info, Some(&record.state), Some(&state));
            if let Some(entry) = self.entries.get_mut(key) {
                entry.enter(state);
            }
        }
        Ok(())
    }

    fn forget(&mut self, record: &Record) -> Result<(), BackendError> {
        if let Some(key) = self.key_of(record) {
            self.forget(key);
        }
        Ok(())
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}
