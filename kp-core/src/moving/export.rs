use std::collections::HashSet;
use std::fmt;

use crate::Timestamp;
use crate::rules::{Kept, LeaseRecord, Record, State};
use crate::server::OnLapse;

/// Holds all that a store remembers of one pool: spent records, then the others by sequence. It holds nothing of where: neither
/// the pool's id nor the numbers of the store's sequence ([MOVE-1](crate::contract::MOVE_1)).
///
/// Exports of pools that answer every call alike are equal, whatever the backend. `Debug` shows the number of records alone
/// ([ERR-4](crate::contract::ERR_4)).
#[derive(Clone, PartialEq, Eq, Default)]
pub struct PoolExport {
    records: Vec<(Record, Kept)>,
}

/// Says how the records of a pool contradict the rules: the store is damaged, or the export was not made by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Contradiction {
    /// Two records have one ref ([SAVE-2](crate::contract::SAVE_2)).
    #[error("two records have one ref")]
    RefTwice,
    /// Two records are bound to one reservation ([RES-5](crate::contract::RES_5)).
    #[error("two records are bound to one reservation")]
    IdBoundTwice,
    /// Two last-resort packages are in one slot ([LAST-1](crate::contract::LAST_1)).
    #[error("two last-resort KeyPackages are in one slot")]
    SlotTwice,
    /// A last-resort package is in a state of one-time packages, or the reverse ([LAST-3](crate::contract::LAST_3)).
    #[error("a record is in a state that its role does not have")]
    RoleMismatch,
    /// A record whose state keeps bytes has none.
    #[error("the bytes of an unspent KeyPackage are missing")]
    BytesMissing,
    /// A record whose state keeps no bytes has some ([SPEND-4](crate::contract::SPEND_4)).
    #[error("the bytes of a spent KeyPackage are still there")]
    BytesLeft,
}

impl PoolExport {
    /// Takes the records of a pool in any order, each with what is kept beside it. The sequences of unspent records tell their
    /// order; then all are numbered anew. Of spent records, sequence and `saved_at` are left out: no call depends on them.
    ///
    /// # Errors
    ///
    /// A [`Contradiction`] between the records.
    pub fn new(records: impl IntoIterator<Item = (Record, Kept)>) -> Result<Self, Contradiction> {
        let mut records: Vec<_> = records.into_iter().collect();
        // Spent records have no place in the queue, and no call asks when they were saved: some backends forget both.
        let place = |record: &Record| match &record.state {
            state if state.shows_bytes() => (Some(record.sequence), None),
            _ => (None, Some(record.info.key_package_ref.clone())),
        };
        records.sort_by_cached_key(|(record, _)| place(record));
        let (mut refs, mut ids, mut slots) = (HashSet::new(), HashSet::new(), HashSet::new());
        for ((record, kept), sequence) in records.iter_mut().zip(0..) {
            record.sequence = sequence;
            if !record.state.shows_bytes() {
                record.saved_at = Timestamp::MIN;
            }
            let info = &record.info;
            if !refs.insert(info.key_package_ref.clone()) {
                return Err(Contradiction::RefTwice);
            }
            if record.state.bound_id().is_some_and(|id| !ids.insert(*id)) {
                return Err(Contradiction::IdBoundTwice);
            }
            if matches!(record.state, State::Slot { .. }) && !slots.insert(info.ciphersuite) {
                return Err(Contradiction::SlotTwice);
            }
            let fits = match record.state {
                State::Withdrawn { .. } => true,
                State::Slot { .. } | State::Replaced { .. } => info.role.is_last_resort(),
                _ => !info.role.is_last_resort(),
            };
            if !fits {
                return Err(Contradiction::RoleMismatch);
            }
            let keeps_bytes = record.state.keeps_bytes();
            match kept.bytes {
                None if keeps_bytes => return Err(Contradiction::BytesMissing),
                Some(_) if !keeps_bytes => return Err(Contradiction::BytesLeft),
                _ => {}
            }
            // What follows makes no difference to any call, and backends differ in it.
            kept.support = kept
                .support
                .take()
                .filter(|support| keeps_bytes && !support.as_bytes().is_empty());
            if let State::Reserved(LeaseRecord {
                recalled: Some(_),
                on_lapse,
                ..
            }) = &mut record.state
            {
                *on_lapse = OnLapse::Retire;
            }
        }
        Ok(Self { records })
    }

    /// Returns the records, each with what is kept beside it: spent ones by ref, then the others by sequence. The sequences count
    /// from 0.
    #[must_use]
    pub fn records(&self) -> &[(Record, Kept)] {
        &self.records
    }

    /// Returns whether the pool holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}

impl fmt::Debug for PoolExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolExport")
            .field("records", &self.records.len())
            .finish_non_exhaustive()
    }
}
