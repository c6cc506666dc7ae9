use kp_core::{BoxError, Timestamp, rules};

use crate::pools::table::Table;

/// How many packages a sweep removes in one step of a pool, before other calls get at the pool (`SWEEP-3`).
const BATCH: u64 = 256;

/// Forgets at most `limit` expired packages of all pools (`SWEEP-1`); returns how many.
pub(crate) fn cleanup_expired(pools: &Table, now: Timestamp, limit: u64) -> Result<u64, BoxError> {
    let mut count = 0;
    while count < limit
        && let Some(pool) = pools.expired(now)
    {
        let batch = BATCH.min(limit - count);
        count += pools.change(&pool, now, |pool| pool.sweep(now, batch as usize))?;
    }
    Ok(count)
}

/// Settles at most `limit` pools in which a lease has lapsed (`SWEEP-2`); returns how many leases it settled.
pub(crate) fn release_expired_reservations(pools: &Table, now: Timestamp, limit: u32) -> Result<u64, BoxError> {
    let (mut pools_settled, mut leases_settled) = (0, 0);
    while pools_settled < limit
        && let Some(pool) = pools.lapsed(now)
    {
        let settled = pools.change(&pool, now, |pool| rules::settle(pool, now))?;
        pools_settled += u32::from(settled > 0);
        leases_settled += settled;
    }
    Ok(leases_settled)
}
