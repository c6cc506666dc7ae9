use super::PoolRecords;
use crate::Timestamp;

/// Ends, for good, the leases and claim windows of the pool whose `expires_at` has come (`TIME-2`, `SWEEP-2`); says how
/// many there were.
///
/// Every function of this module that changes a pool does so first.
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
