use super::PoolRecords;
use crate::Timestamp;

/// Ends, for good, the leases and claim windows of the pool whose `expires_at` has come, and returns how many
/// ([TIME-2](crate::contract::TIME_2), [SWEEP-2](crate::contract::SWEEP_2)).
///
/// Every function of this module that changes a pool settles the pool first.
pub fn settle<P: PoolRecords>(pool: &mut P, now: Timestamp) -> Result<u64, P::Error> {
    let mut count = 0;
    for record in pool.lapsed(now)? {
        if let Some(state) = record.state.settled(now) {
            pool.update(&record, state)?;
            count += 1;
        }
    }
    Ok(count)
}
