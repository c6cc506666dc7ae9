use kp_core::rules::{Kept, PoolRecords, Record, State};
use kp_core::server::{Admitted, InitKeyFingerprint, Support, TakeOptions};
use kp_core::{BoxError, Ciphersuite, KeyPackageBytes, KeyPackageRef, Party, ReservationId, Role, Timestamp};

use crate::pools::table::{Entry, Pool};

impl PoolRecords for Pool {
    type Error = BoxError;

    #[inline]
    fn by_ref(&mut self, key_package_ref: &KeyPackageRef) -> Result<Option<Record>, BoxError> {
        match self.find(key_package_ref) {
            Some(entry) => Ok(Some(entry.record())),
            None => Ok(None),
        }
    }

    #[inline]
    fn by_id(&mut self, id: &ReservationId) -> Result<Option<Record>, BoxError> {
        match self.find_bound(id) {
            Some(entry) => Ok(Some(entry.record())),
            None => Ok(None),
        }
    }

    #[inline]
    fn lapsed(&mut self, now: Timestamp) -> Result<Vec<Record>, BoxError> {
        Ok(self.lapsed_records(now))
    }

    #[inline]
    fn oldest_that_fits(
        &mut self,
        options: &TakeOptions,
        now: Timestamp,
    ) -> Result<Option<(Record, KeyPackageBytes)>, BoxError> {
        match self.oldest(options, now) {
            Some(entry) => Ok(entry.bytes().map(|bytes| (entry.record(), bytes.clone()))),
            None => Ok(None),
        }
    }

    fn has_init_key(&mut self, fingerprint: &InitKeyFingerprint, now: Timestamp) -> Result<bool, BoxError> {
        Ok(self.knows_init_key(fingerprint, now))
    }

    fn has_available(&mut self, now: Timestamp) -> Result<bool, BoxError> {
        Ok(self.any_available(now))
    }

    fn slots(&mut self) -> Result<Vec<Record>, BoxError> {
        Ok(self.slot_records())
    }

    fn unspent(&mut self, now: Timestamp) -> Result<Vec<Record>, BoxError> {
        let unspent = self.unexpired(now).filter(|record| record.state.is_unspent_one_time());
        Ok(unspent.collect())
    }

    fn count_held(&mut self, suite: Ciphersuite, now: Timestamp) -> Result<u32, BoxError> {
        let of_suite = self.unexpired(now).filter(|record| record.info.ciphersuite == suite);
        Ok(count(of_suite.filter(|record| record.state.is_held())))
    }

    fn count_remembered(&mut self, now: Timestamp) -> Result<u32, BoxError> {
        Ok(count(self.unexpired(now)))
    }

    fn count_remembered_of(&mut self, role: Role, now: Timestamp) -> Result<u32, BoxError> {
        Ok(count(self.unexpired(now).filter(|record| record.info.role == role)))
    }

    fn count_taken_by(&mut self, party: &Party) -> Result<u32, BoxError> {
        Ok(self.taken_by(party))
    }

    fn bytes(&mut self, record: &Record) -> Result<KeyPackageBytes, BoxError> {
        // The rules ask only for bytes that a record keeps.
        let bytes = self.entry(record).and_then(Entry::bytes);
        bytes.cloned().ok_or_else(|| "a KeyPackage has no bytes".into())
    }

    fn support(&mut self, record: &Record) -> Result<Option<Support>, BoxError> {
        Ok(self.entry(record).and_then(Entry::support).cloned())
    }

    fn next_sequence(&mut self) -> Result<u64, BoxError> {
        Ok(self.take_sequence())
    }

    fn insert(&mut self, record: &Record, kept: &Kept) -> Result<(), BoxError> {
        Ok(self.add(record.clone(), kept)?)
    }

    fn amend(&mut self, record: &Record, item: &Admitted) -> Result<(), BoxError> {
        self.complete(record, item);
        Ok(())
    }

    #[inline]
    fn update(&mut self, record: &Record, state: State) -> Result<(), BoxError> {
        self.set_state(record, state);
        Ok(())
    }

    fn forget(&mut self, record: &Record) -> Result<(), BoxError> {
        self.remove(record);
        Ok(())
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}
