//! Runs the calls that visit many pools in transactions of bounded size, so that other calls run in between (SWEEP-3).

use kp_core::rules::{retire, settle};
use kp_core::server::Cursor;
use kp_core::{PoolId, Timestamp};
use rusqlite::Row;

use crate::file::error::{Damage, Failure};
use crate::pools::cache::PoolSession;
use crate::pools::records::step;
use crate::sql::Sql;

/// The maximum number of pools that one transaction visits.
pub(crate) const POOLS_PER_TRANSACTION: u32 = 32;

/// The maximum number of records that one transaction deletes.
pub(crate) const PACKAGES_PER_TRANSACTION: u32 = 1_000;

/// A position in an index of the file: the value and the key of the entry that was visited last.
///
/// Each transaction continues behind the position of the one before, so that a damaged file ends a sweep too: an entry that
/// cannot be dealt with stays in the file, and is not visited twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position(i64, i64);

impl Position {
    pub(crate) const START: Self = Self(i64::MIN, i64::MIN);

    /// Fails if the position is not behind `last`: then the index is out of order, and a sweep could go in circles.
    fn behind(self, last: Self, column: &'static str) -> Result<Self, Failure> {
        if self > last {
            Ok(self)
        } else {
            Err(Damage { key: self.1, column }.into())
        }
    }
}

/// The result of one transaction of `cleanup_expired`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cleaned {
    /// The number of records that were deleted.
    pub(crate) deleted: u32,
    /// The position at which the next transaction continues.
    pub(crate) position: Position,
}

/// Deletes up to `limit` expired records (SWEEP-1). `None`: no pool behind `position` has expired records.
pub(crate) fn cleanup(
    session: &mut PoolSession<'_>,
    now: Timestamp,
    position: Position,
    limit: u32,
) -> Result<Option<Cleaned>, Failure> {
    let found = positions(session, Sql::PoolsExpired, now, position, POOLS_PER_TRANSACTION)?;
    if found.is_empty() {
        return Ok(None);
    }
    let mut cleaned = Cleaned { deleted: 0, position };
    for (position, pool) in found {
        let left = limit.saturating_sub(cleaned.deleted);
        if left == 0 {
            break;
        }
        let position = position.behind(cleaned.position, "next_expiry")?;
        let deleted = match id(pool) {
            Some(pool) => step(session, &pool, |records| records.cleanup(now, left))?,
            None => 0,
        };
        cleaned.deleted += deleted;
        // Fewer than asked for: this pool has no more that could be deleted, whatever its row says.
        if deleted < left {
            cleaned.position = position;
        }
    }
    Ok(Some(cleaned))
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

/// Settles up to `limit` pools with lapsed leases or windows (SWEEP-2). `None`: there is none behind `position`.
pub(crate) fn settle_lapsed(
    session: &mut PoolSession<'_>,
    now: Timestamp,
    position: Position,
    limit: u32,
) -> Result<Option<Settled>, Failure> {
    let found = positions(session, Sql::PoolsLapsed, now, position, limit)?;
    if found.is_empty() {
        return Ok(None);
    }
    let mut settled = Settled {
        leases: 0,
        pools: 0,
        position,
    };
    for (position, pool) in found {
        settled.position = position.behind(settled.position, "lapses_at")?;
        let Some(pool) = id(pool) else { continue };
        let leases = step(session, &pool, |records| settle(records, now))?;
        settled.leases += leases;
        settled.pools += u32::from(leases > 0);
    }
    Ok(Some(settled))
}

/// Lists entries of an index behind a position, with the ids of their pools.
fn positions(
    session: &mut PoolSession<'_>,
    sql: Sql,
    now: Timestamp,
    Position(value, key): Position,
    limit: u32,
) -> Result<Vec<(Position, Vec<u8>)>, Failure> {
    let found = session.statements.all(sql, (now.get(), value, key, limit), |row| {
        Ok((Position(row.get(0)?, row.get(1)?), blob(row, 2)?))
    })?;
    Ok(found)
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
    let mut after = after.to_vec();
    loop {
        let mut found = session
            .statements
            .all(Sql::PoolsAfter, (&after, i64::from(limit) + 1), |row| blob(row, 0))?;
        for pool in &found {
            // In an index out of order, the pages could go in circles.
            if *pool <= after {
                return Err(Damage {
                    key: -1,
                    column: "pool",
                }
                .into());
            }
            after.clone_from(pool);
        }
        let more = found.len() > limit as usize;
        found.truncate(limit as usize);
        if let Some(last) = found.last() {
            after.clone_from(last);
        }
        let pools: Vec<_> = found.into_iter().filter_map(id).collect();
        let next = pools.last().filter(|_| more).cloned().map(Cursor::after_pool);
        if !more || next.is_some() {
            return Ok((pools, next));
        }
    }
}

/// Reads the id of a pool; empty, which no id is, if it is damaged.
fn blob(row: &Row<'_>, index: usize) -> rusqlite::Result<Vec<u8>> {
    Ok(row.get_ref(index)?.as_blob().unwrap_or_default().to_vec())
}

/// Returns the id of a pool. `None`: it is damaged, and the pool is passed over, with a warning in the log.
fn id(pool: Vec<u8>) -> Option<PoolId> {
    let id = PoolId::try_from(pool).ok();
    if id.is_none() {
        tracing::warn!("skipped a pool whose id is damaged");
    }
    id
}

fn count(pools: &[PoolId]) -> u32 {
    u32::try_from(pools.len()).unwrap_or(u32::MAX)
}
