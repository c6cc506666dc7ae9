use std::fmt;

use super::{Consistency, Contradiction};
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
        let mut consistency = Consistency::default();
        for ((record, kept), sequence) in records.iter_mut().zip(0..) {
            // What a support without a package, or without a type, says makes no difference to any call, and backends differ in it.
            let keeps_bytes = record.state.keeps_bytes();
            kept.support = kept
                .support
                .take()
                .filter(|support| keeps_bytes && !support.as_bytes().is_empty());
            consistency.take(record, kept)?;
            record.sequence = sequence;
            if !record.state.shows_bytes() {
                record.saved_at = Timestamp::MIN;
            }
            // The same holds of how a recalled lease would lapse.
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
