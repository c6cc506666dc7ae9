use std::collections::BTreeMap;

use super::{Limits, Record, State};
use crate::server::ReadyKeyPackage;
use crate::{Ciphersuite, Counts, PoolCounts, Slot, Status, Timestamp};

/// Does `list_ready`, over records of a pool by sequence, with those that [`is_available`](Record::is_available) and the
/// slots among them ([READ-2](crate::contract::READ_2), [LAST-2](crate::contract::LAST_2)).
pub fn ready(records: impl IntoIterator<Item = Record>, now: Timestamp) -> Vec<ReadyKeyPackage> {
    let settled = records.into_iter().map(|record| record.settled(now));
    let in_slot = |record: &Record| matches!(record.state, State::Slot { .. }) && !record.is_expired(now);
    let mut ready: Vec<_> = settled
        .filter(|record| record.is_available(now) || in_slot(record))
        .map(|record| ReadyKeyPackage::new(record.info, record.saved_at))
        .collect();
    // Stable: by role, and then by sequence.
    ready.sort_by_key(|package| package.info.role);
    ready
}

/// Does `count_by_status`, over all records of a pool ([READ-3](crate::contract::READ_3)).
pub fn count(records: impl IntoIterator<Item = Record>, limits: Limits, now: Timestamp) -> PoolCounts {
    let mut counts = BTreeMap::<Ciphersuite, Counts>::new();
    for record in records {
        let record = record.settled(now);
        count_into(&record, counts.entry(record.info.ciphersuite).or_default(), now);
    }
    PoolCounts::new(counts, limits.max_records)
}

/// Adds a settled record to the counts of its ciphersuite (READ-3).
fn count_into(record: &Record, counts: &mut Counts, now: Timestamp) {
    match record.status(now) {
        Status::Expired => counts.expired += 1,
        Status::Spent { .. } => {
            counts.spent += 1;
            counts.spent_last_resorts += u32::from(record.info.role.is_last_resort());
        }
        Status::LastResort { used } => counts.last_resort = Slot::of(used),
        Status::Reserved { .. } => {
            counts.reserved += 1;
            counts.recalled += u32::from(record.state.is_recalled());
        }
        Status::NotYetValid => counts.not_yet_valid += 1,
        Status::Available => counts.available += 1,
    }
}
