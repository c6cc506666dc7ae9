//! The steps of calls that walk many pools: each a transaction of bounded size, so that live traffic goes on beside them
//! (SWEEP-3).

use kp_core::rules::{retire, settle};
use kp_core::{Cursor, PoolId, Timestamp};

use crate::cursor;
use crate::error::{Damage, Failure};
use crate::records::step;
use crate::statements::{Sql, Statements};

/// The most pools that one transaction walks.
pub(crate) const POOLS_AT_ONCE: u32 = 32;

/// The most packages that one transaction sweeps.
pub(crate) const PACKAGES_AT_ONCE: u32 = 1_000;

/// What a step of a sweep did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Swept {
    /// How many pools it found worth a look: when none, the sweep is done.
    pub(crate) pools: u32,
    /// How many of them had something to do.
    pub(crate) busy: u32,
    /// How much it did.
    pub(crate) done: u64,
}

/// SWEEP-1: a part of `cleanup_expired`.
pub(crate) fn sweep(statements: &mut Statements<'_>, now: Timestamp, limit: u32) -> Result<Swept, Failure> {
    let found = pools(statements, Sql::PoolsToSweep, now, POOLS_AT_ONCE)?;
    let mut left = limit;
    let mut busy = 0;
    for pool in &found {
        if left == 0 {
            break;
        }
        let swept = step(statements, pool, |records| records.sweep(now, left))?;
        left -= swept;
        busy += u32::from(swept > 0);
    }
    Ok(Swept {
        pools: count(&found),
        busy,
        done: u64::from(limit - left),
    })
}

/// SWEEP-2: a part of `release_expired_reservations`.
pub(crate) fn release(statements: &mut Statements<'_>, now: Timestamp, limit: u32) -> Result<Swept, Failure> {
    let found = pools(statements, Sql::PoolsToSettle, now, limit)?;
    let mut swept = Swept {
        pools: count(&found),
        busy: 0,
        done: 0,
    };
    for pool in &found {
        let ended = step(statements, pool, |records| settle(records, now))?;
        swept.busy += u32::from(ended > 0);
        swept.done += ended;
    }
    Ok(swept)
}

/// DEL-2: a part of `retire_unspent`, from the pool after `after` on. Says how many it retired, how many pools it walked,
/// and where to go on, if anywhere.
pub(crate) fn retire_from(
    statements: &mut Statements<'_>,
    saved_before: Timestamp,
    now: Timestamp,
    after: &[u8],
    limit: u32,
) -> Result<(u64, u32, Option<Cursor>), Failure> {
    let (walked, next) = page_of_pools(statements, after, limit)?;
    let mut retired = 0;
    for pool in &walked {
        retired += step(statements, pool, |records| retire(records, saved_before, now))?;
    }
    Ok((retired, count(&walked), next))
}

/// READ-5: the pools after `after`, and where to go on, if there are more.
pub(crate) fn page_of_pools(
    statements: &mut Statements<'_>,
    after: &[u8],
    limit: u32,
) -> Result<(Vec<PoolId>, Option<Cursor>), Failure> {
    let limit = limit.max(1);
    let found = statements.all(Sql::PoolsAfter, (after, i64::from(limit) + 1), |row| row.get(0))?;
    let mut pools = ids(found)?;
    let more = pools.len() > limit as usize;
    pools.truncate(limit as usize);
    let next = pools.last().filter(|_| more).map(cursor::after_pool);
    Ok((pools, next))
}

fn pools(statements: &mut Statements<'_>, sql: Sql, now: Timestamp, limit: u32) -> Result<Vec<PoolId>, Failure> {
    ids(statements.all(sql, (now.get(), limit), |row| row.get(0))?)
}

fn ids(found: Vec<Vec<u8>>) -> Result<Vec<PoolId>, Failure> {
    let id = |bytes| {
        PoolId::try_from(bytes).map_err(|_| {
            Damage {
                key: -1,
                column: "pool",
            }
            .into()
        })
    };
    found.into_iter().map(id).collect()
}

fn count(pools: &[PoolId]) -> u32 {
    u32::try_from(pools.len()).unwrap_or(u32::MAX)
}
