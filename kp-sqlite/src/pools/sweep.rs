//! Runs the calls that visit many pools in transactions of bounded size, so that other calls run in between (SWEEP-3).

use kp_core::rules::{retire, settle};
use kp_core::server::Cursor;
use kp_core::{PoolId, Timestamp};

use crate::file::error::{Damage, Failure};
use crate::pools::cache::PoolSession;
use crate::pools::records::step;
use crate::sql::Sql;

/// The maximum number of pools that one transaction visits.
pub(crate) const POOLS_PER_TRANSACTION: u32 = 32;

/// The maximum number of records that one transaction deletes.
pub(crate) const PACKAGES_PER_TRANSACTION: u32 = 1_000;

/// Deletes up to `limit` expired records, and returns how many (SWEEP-1). `None`: no pool has expired records.
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

/// The result of one transaction of `release_expired_reservations`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settled {
    /// The number of leases and windows that were settled.
    pub(crate) leases: u64,
    /// The number of pools that were settled.
    pub(crate) pools: u32,
    /// The position at which the next transaction continues.
    pub(crate) position: Position,
}

/// A position in the leases by their lapse: the lapse and the key of the last lease that was visited. A damaged lease stays
/// in the file, and is not visited twice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Position(i64, i64);

impl Position {
    pub(crate) const START: Self = Self(i64::MIN, i64::MIN);
}

/// Settles up to `limit` pools with lapsed leases or windows (SWEEP-2). `None`: there is none after `position`.
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
        leases: 0,
        pools: 0,
        position: *position,
    };
    for pool in ids(found.into_iter().map(|(_, pool)| pool).collect())? {
        let leases = step(session, &pool, |records| settle(records, now))?;
        settled.leases += leases;
        settled.pools += u32::from(leases > 0);
    }
    Ok(Some(settled))
}

/// Retires unspent KeyPackages of the pools after `after` (DEL-2). Returns how many KeyPackages were retired, how many pools
/// were visited, and where to continue.
pub(crate) fn retire_unspent(
    session: &mut PoolSession<'_>,
    saved_before: Timestamp,
    now: Timestamp,
    after: &[u8],
    limit: u32,
) -> Result<(u64, u32, Option<Cursor>), Failure> {
    let (visited, next) = page_of_pools(session, after, limit)?;
    let mut retired = 0;
    for pool in &visited {
        retired += step(session, pool, |records| retire(records, saved_before, now))?;
    }
    Ok((retired, count(&visited), next))
}

/// Lists the pools after `after` (READ-5), and returns where to continue if there are more.
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
