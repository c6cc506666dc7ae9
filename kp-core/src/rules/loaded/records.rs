use super::entry::Entry;
use super::{Interrupted, LoadedPool, LookUp};
use crate::rules::{Kept, PoolRecords, Record, State, fits};
use crate::server::{Admitted, InitKeyFingerprint, Support, TakeOptions};
use crate::{Ciphersuite, KeyPackageBytes, KeyPackageRef, Party, ReservationId, Role, Timestamp};

impl PoolRecords for LoadedPool {
    type Error = Interrupted;

    fn by_ref(&mut self, key_package_ref: &KeyPackageRef) -> Result<Option<Record>, Interrupted> {
        let found = self.one(self.refs.get(key_package_ref), |record| {
            record.info.key_package_ref == *key_package_ref
        });
        match found {
            Some(record) => Ok(Some(record)),
            None => self.need(LookUp::Ref(key_package_ref.clone())).map(|()| None),
        }
    }

    fn by_id(&mut self, id: &ReservationId) -> Result<Option<Record>, Interrupted> {
        match self.one(self.ids.get(id), |record| record.state.bound_id() == Some(id)) {
            Some(record) => Ok(Some(record)),
            None => self.need(LookUp::Id(*id)).map(|()| None),
        }
    }

    fn lapsed(&mut self, now: Timestamp) -> Result<Vec<Record>, Interrupted> {
        self.need(LookUp::Lapsed(now))?;
        Ok(self.select(|record| record.state.lapses_at().is_some_and(|at| at <= now)))
    }

    fn oldest_that_fits(
        &mut self,
        options: &TakeOptions,
        now: Timestamp,
    ) -> Result<Option<(Record, KeyPackageBytes)>, Interrupted> {
        let Some(Entry {
            now: Some(record),
            kept,
            ..
        }) = self.first_free(now, |record, kept| {
            fits(&record.info, options, now) && options.requirements.are_met_by(kept.support.as_ref())
        })?
        else {
            return Ok(None);
        };
        match &kept.bytes {
            Some(bytes) => Ok(Some((record.clone(), bytes.clone()))),
            None => Err(Interrupted::Missing(LookUp::Bytes(record.sequence))),
        }
    }

    fn has_available(&mut self, now: Timestamp) -> Result<bool, Interrupted> {
        if self.current().any(|record| record.is_available(now)) {
            return Ok(true);
        }
        Ok(self.first_free(now, |record, _| record.is_available(now))?.is_some())
    }

    fn slots(&mut self) -> Result<Vec<Record>, Interrupted> {
        self.need(LookUp::Slots)?;
        Ok(self.select(|record| matches!(record.state, State::Slot { .. })))
    }

    fn unspent(&mut self, now: Timestamp) -> Result<Vec<Record>, Interrupted> {
        self.need(LookUp::Unspent(now))?;
        Ok(self.select(|record| record.state.is_unspent_one_time() && !record.is_expired(now)))
    }

    fn count_held(&mut self, suite: Ciphersuite, now: Timestamp) -> Result<u32, Interrupted> {
        self.count(LookUp::Held(suite, now))
    }

    fn count_remembered(&mut self, now: Timestamp) -> Result<u32, Interrupted> {
        self.count(LookUp::Remembered(now))
    }

    fn count_remembered_of(&mut self, role: Role, now: Timestamp) -> Result<u32, Interrupted> {
        self.count(LookUp::RememberedOf(role, now))
    }

    fn count_taken_by(&mut self, party: &Party) -> Result<u32, Interrupted> {
        self.count(LookUp::TakenBy(party.clone()))
    }

    fn bytes(&mut self, record: &Record) -> Result<KeyPackageBytes, Interrupted> {
        let look_up = LookUp::Bytes(record.sequence);
        match self
            .entries
            .get(&record.sequence)
            .and_then(|entry| entry.kept.bytes.clone())
        {
            Some(bytes) => Ok(bytes),
            None if self.known.unreadable.contains(&look_up) => Err(Interrupted::Unreadable(look_up)),
            None => Err(Interrupted::Missing(look_up)),
        }
    }

    fn support(&mut self, record: &Record) -> Result<Option<Support>, Interrupted> {
        let entry = self.entries.get(&record.sequence);
        Ok(entry.and_then(|entry| entry.kept.support.clone()))
    }

    fn has_init_key(&mut self, fingerprint: &InitKeyFingerprint, now: Timestamp) -> Result<bool, Interrupted> {
        let has = |entry: &Entry| {
            let is_there = entry.now.as_ref().is_some_and(|record| !record.is_expired(now));
            is_there && entry.kept.fingerprint == Some(*fingerprint)
        };
        if self.entries.values().any(has) {
            return Ok(true);
        }
        self.need(LookUp::InitKey(*fingerprint, now)).map(|()| false)
    }

    fn next_sequence(&mut self) -> Result<u64, Interrupted> {
        self.last_sequence = self.last_sequence.saturating_add(1);
        Ok(self.last_sequence)
    }

    fn insert(&mut self, record: &Record, kept: &Kept) -> Result<(), Interrupted> {
        self.index(record);
        let entry = Entry {
            stored: None,
            now: None,
            kept: kept.clone(),
        };
        self.entries.insert(record.sequence, entry);
        self.set(record.sequence, Some(record.clone()));
        Ok(())
    }

    fn update(&mut self, record: &Record, state: State) -> Result<(), Interrupted> {
        let after = Record {
            state,
            ..record.clone()
        };
        if let Some(id) = after.state.bound_id() {
            self.ids.entry(*id).or_default().push(after.sequence);
        }
        self.set(record.sequence, Some(after));
        Ok(())
    }

    fn amend(&mut self, record: &Record, item: &Admitted) -> Result<(), Interrupted> {
        if let Some(entry) = self.entries.get_mut(&record.sequence) {
            self.undo.push((record.sequence, entry.now.clone(), entry.kept.clone()));
            let Kept {
                support, fingerprint, ..
            } = &mut entry.kept;
            *fingerprint = fingerprint.or(item.fingerprint);
            *support = support.take().or_else(|| item.support.clone());
        }
        Ok(())
    }

    fn forget(&mut self, record: &Record) -> Result<(), Interrupted> {
        self.set(record.sequence, None);
        Ok(())
    }
}
