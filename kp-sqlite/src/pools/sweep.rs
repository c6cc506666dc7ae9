//! The steps of calls that walk many pools: each a transaction of bounded size, so that live traffic goes on beside them
//! (SWEEP-3).

use kp_core::rules::{retire, settle};
use kp_core::server::Cursor;
use kp_core::{PoolId, Timestamp};

use crate::file::error::{Damage, Failure};
use crate::pools::cache::PoolSession;
use crate::pools::records::step;
use crate::sql::Sql;

/// The most pools that one transaction walks.
pub(crate) const POOLS_PER_TRANSACTION: u32 = 32;

/// The most packages that one transaction sweeps.
pub(crate) const PACKAGES_PER_TRANSACTION: u32 = 1_000;

/// SWEEP-1: a part of `cleanup_expired`. Says how many packages it swept; `None` when no pool is left to look at.
pub(crate) fn cleanup(session: &mut PoolSession<'_>, now: Timestamp, limit: u32) -> Result<Option<u32>, Failure> {
    let found = ids(session
        .statements
        .all(Sql::PoolsExpired, (now.get(), POOLS_PER_TRANSACTION), |row| row.get(0))?)?;
    let mut left = limit;
    for pool in &found {
        if left == 0 {
            break;
        }
        left -= step(session, pool, |records| records.cleanup(now, left))?;
    }
    Ok((!found.is_empty()).then_some(limit - left))
}

/// What a step of `release_expired_reservations` did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settled {
    /// How many leases and windows it ended ...
    pub(crate) ended: u64,
    /// ... of how many pools.
    pub(crate) pools: u32,
    /// Where to go on.
    pub(crate) position: Position,
}

/// How far a sweep over leases has come: the end and the key of the last that it met. One that cannot be read stays, and
/// is not met again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Position(i64, i64);

impl Position {
    pub(crate) const START: Self = Self(i64::MIN, i64::MIN);
}

/// SWEEP-2: a part of `release_expired_reservations`; `None` when nothing is left from `place` on.
pub(crate) fn settle_lapsed(
    session: &mut PoolSession<'_>,
    now: Timestamp,
    Position(end, key): Position,
    limit: u32,
) -> Result<Option<Settled>, Failure> {
    let found = session
        .statements
        .all(Sql::PoolsLapsed, (now.get(), end, key, limit), |row| {
            Ok((Position(row.get(0)?, row.get(1)?), row.get(2)?))
        })?;
    let Some((position, _)) = found.last() else {
        return Ok(None);
    };
    let mut settled = Settled {
        ended: 0,
        pools: 0,
        position: *position,
    };
    for pool in ids(found.into_iter().map(|(_, pool)| pool).collect())? {
        let ended = step(session, &pool, |records| settle(records, now))?;
        settled.ended += ended;
        settled.pools += u32::from(ended > 0);
    }
    Ok(Some(settled))
}

/// DEL-2: a part of `retire_unspent`, from the pool after `after` on. Says how many it retired, how many pools it walked,
/// and where to go on, if anywhere.
pub(crate) fn retire_unspent(
    session: &mut PoolSession<'_>,
    saved_before: Timestamp,
    now: Timestamp,
    after: &[u8],
    limit: u32,
) -> Result<(u64, u32, Option<Cursor>), Failure> {
    let (walked, next) = page_of_pools(session, after, limit)?;
    let mut retired = 0;
    for pool in &walked {
        retired += step(session, pool, |records| retire(records, saved_before, now))?;
    }
    Ok((retired, count(&walked), next))
}

/// READ-5: the pools after `after`, and where to go on, if there are more.
pub(crate) fn page_of_pools(
    session: &mut PoolSession<'_>,
    after: &[u8],
    limit: u32,
) -> Result<(Vec<PoolId>, Option<Cursor>), Failure> {
    let limit = limit.max(1);
    let found = session
        .statements
        .all(Sql::PoolsAfter, (after, i64::from(limit) + 1), |row| row.get(0))?;
    let mut pools = ids(found)?;
    let more = pools.len() > limit as usize;
    pools.truncate(limit as usize);
    let next = pools
        .last()
        .filter(|_| more)
        .map(|pool| Cursor::after_pool(pool.clone()));
    Ok((pools, next))
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
