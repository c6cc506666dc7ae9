use kp_core::{BoxError, Timestamp, rules};

use crate::pools::table::Table;

/// How many packages a sweep removes in one step of a pool, before others get at it (`SWEEP-3`).
const SWEPT_IN_ONE_STEP: u64 = 256;

/// Forgets at most `limit` expired packages of all pools (`SWEEP-1`); returns how many.
pub(crate) fn cleanup_expired(pools: &Table, now: Timestamp, limit: u64) -> Result<u64, BoxError> {
    let mut count = 0;
    while count < limit
        && let Some(pool) = pools.over(now)
    {
        let lot = SWEPT_IN_ONE_STEP.min(limit - count);
        count += pools.change(&pool, now, |pool| pool.sweep(now, lot as usize))?;
    }
    Ok(count)
}

/// Settles at most `limit` pools in which a lease has lapsed (`SWEEP-2`); returns how many leases.
pub(crate) fn release_expired_reservations(pools: &Table, now: Timestamp, limit: u32) -> Result<u64, BoxError> {
    let (mut settled, mut count) = (0, 0);
    while settled < limit
        && let Some(pool) = pools.ended(now)
    {
        let ended = pools.change(&pool, now, |pool| rules::settle(pool, now))?;
        settled += u32::from(ended > 0);
        count += ended;
    }
    Ok(count)
}
