//! Runs the calls that visit many pools in transactions of bounded size, so that other calls run in between (SWEEP-3). A pool is
//! found by a read, and changed by a call on it, like any other.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use futures::future::join_all;
use kp_core::rules::{Interrupted, LoadedPool, LookUp, PoolRecords, retire, settle};
use kp_core::server::{Cursor, Page};
use kp_core::{BackendError, Effect, PoolId, Timestamp};

use crate::link::calls::{Kind, Operation};
use crate::link::error::{Failure, backend_error};
use crate::link::param::Param;
use crate::link::row::Row;
use crate::pools::access::Access;
use crate::sql::ReadSql;

/// The most pools that are visited at once.
const POOLS: u32 = 32;

/// The most records that one call removes from a pool.
const RECORDS: u32 = 1_000;

/// A position in an index: the bound and the key of the pool that was visited last.
#[derive(Debug, Clone, Copy)]
struct Position(i64, i64);

const START: Position = Position(i64::MIN, i64::MIN);

/// Reports a row of a listing that cannot be read. Nothing is changed by that.
fn unreadable(operation: &'static str) -> impl Fn(Failure) -> BackendError {
    move |failure| backend_error(operation, Effect::NotApplied, Arc::new(failure))
}

/// Says why a call ended when it was done with some of its pools.
#[derive(Debug)]
struct HalfDone(BackendError);

impl fmt::Display for HalfDone {
    /// Omits what is known of the pool that failed: of the call, it says nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it was done with some pools")?;
        self.source().map_or(Ok(()), |cause| write!(f, ", and then: {cause}"))
    }
}

impl Error for HalfDone {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// Finds the next pools of an index, `most` at most, and the position of the last of them.
async fn find(
    access: &Access,
    operation: &'static str,
    sql: ReadSql,
    now: Timestamp,
    Position(bound, key): Position,
    most: u64,
) -> Result<(Vec<PoolId>, Position), BackendError> {
    let most = i64::try_from(most.min(POOLS.into())).unwrap_or(i64::MAX);
    let params = || [now.get(), bound, key, most].map(Param::Int).into();
    let rows = access.read(operation, sql, params).await?;
    let position = match rows.last() {
        None => Position(bound, key),
        Some(last) => Position(
            last.try_get(0).map_err(unreadable(operation))?,
            last.try_get(1).map_err(unreadable(operation))?,
        ),
    };
    Ok((ids(operation, &rows, 2)?, position))
}

/// Reads the ids of pools. The table keeps no other.
fn ids(operation: &'static str, rows: &[Row], column: usize) -> Result<Vec<PoolId>, BackendError> {
    let mut ids = Vec::with_capacity(rows.len());
    for row in rows {
        let id: &[u8] = row.try_get(column).map_err(unreadable(operation))?;
        ids.extend(PoolId::try_from(id).ok());
    }
    Ok(ids)
}

/// Takes the same step on each pool. Returns what was done, and the last failure.
async fn each(
    access: &Access,
    operation: &'static str,
    pools: Vec<PoolId>,
    (kind, look_ups): (Kind, Vec<LookUp>),
    step: impl FnMut(&mut LoadedPool) -> Result<u64, Interrupted> + Clone + Send + 'static,
) -> (Vec<u64>, Option<BackendError>) {
    let steps = pools.into_iter().map(|pool| {
        let operation = Operation {
            name: operation,
            pool,
            kind,
            look_ups: look_ups.clone(),
            step: Box::new(step.clone()),
        };
        access.write(operation).wait()
    });
    let (mut done, mut failed) = (Vec::new(), None);
    for answer in join_all(steps).await {
        match answer {
            Ok(count) => done.push(count),
            Err(failure) => failed = Some(failure),
        }
    }
    (done, failed)
}

/// Removes expired records until `limit` is reached or nothing is left (SWEEP-1).
pub(crate) async fn cleanup(access: &Access, now: Timestamp, limit: u32) -> Result<u64, BackendError> {
    let operation = "cleanup_expired";
    let (mut left, mut position) = (u64::from(limit), START);
    let mut done = 0;
    while left > 0 {
        let found = find(access, operation, ReadSql::PoolsExpired, now, position, left).await;
        let (pools, last) = match found {
            Ok(found) => found,
            Err(failure) if done == 0 => return Err(failure),
            // ERR-1: what was done before is committed. The next call tells why this one ended early.
            Err(_) => break,
        };
        if pools.is_empty() {
            break;
        }
        let share = (left / pools.len() as u64).min(RECORDS.into());
        let share = usize::try_from(share).unwrap_or(1);
        let look_ups = vec![LookUp::Expired { after: None, now }];
        let (counts, failed) = each(access, operation, pools, (Kind::Sweep, look_ups), move |pool| {
            let expired = pool.expired(now, share)?;
            for record in &expired {
                pool.forget(record)?;
            }
            Ok(expired.len() as u64)
        })
        .await;
        let removed: u64 = counts.iter().sum();
        (done, left) = (done + removed, left.saturating_sub(removed));
        match failed {
            Some(failure) if done == 0 => return Err(failure),
            Some(_) => break,
            // A pool that is done is no longer found. One whose records cannot be read would be found for ever.
            None => position = if removed == 0 { last } else { START },
        }
    }
    Ok(done)
}

/// Settles pools with ended leases or windows until `limit` is reached or nothing is left (SWEEP-2).
pub(crate) async fn settle_lapsed(access: &Access, now: Timestamp, limit: u32) -> Result<u64, BackendError> {
    let operation = "release_expired_reservations";
    let (mut left, mut position) = (limit as usize, START);
    let mut done = 0;
    while left > 0 {
        let found = find(access, operation, ReadSql::PoolsLapsed, now, position, left as u64).await;
        let (pools, last) = match found {
            Ok(found) => found,
            Err(failure) if done == 0 => return Err(failure),
            Err(_) => break,
        };
        if pools.is_empty() {
            break;
        }
        let look_ups = vec![LookUp::Lapsed(now)];
        let (counts, failed) = each(access, operation, pools, (Kind::Sweep, look_ups), move |pool| {
            settle(pool, now)
        })
        .await;
        done += counts.iter().sum::<u64>();
        left -= counts.iter().filter(|count| **count > 0).count();
        match failed {
            Some(failure) if done == 0 => return Err(failure),
            Some(_) => break,
            None => position = last,
        }
    }
    Ok(done)
}

/// Retires unspent KeyPackages of the pools after `after` (DEL-2), and returns where to continue.
pub(crate) async fn retire_unspent(
    access: &Access,
    saved_before: Timestamp,
    now: Timestamp,
    after: Vec<u8>,
    limit: u32,
) -> Result<(u64, Option<Cursor>), BackendError> {
    let operation = "retire_unspent";
    let (mut after, mut left, mut total) = (after, limit, 0);
    let mut next = None;
    loop {
        let page = page_of_pools(access, operation, after, left.min(POOLS)).await;
        let page = match page {
            Ok(page) => page,
            // ERR-1: what was done before is committed, and the caller goes on where it ended.
            Err(_) if next.is_some() => return Ok((total, next)),
            Err(failure) => return Err(failure),
        };
        let visited = page.items.len();
        let look_ups = LookUp::of_retirement(now);
        let (counts, failed) = each(access, operation, page.items, (Kind::Other, look_ups), move |pool| {
            retire(pool, saved_before, now)
        })
        .await;
        match failed {
            None => {}
            Some(_) if next.is_some() => return Ok((total, next)),
            Some(failure) if counts.is_empty() => return Err(failure),
            Some(failure) => {
                return Err(BackendError::transient(
                    "postgres",
                    operation,
                    Effect::Unknown,
                    HalfDone(failure),
                ));
            }
        }
        total += counts.iter().sum::<u64>();
        left = left.saturating_sub(u32::try_from(visited).unwrap_or(u32::MAX));
        let Some(cursor) = page.next else {
            return Ok((total, None));
        };
        if left == 0 {
            return Ok((total, Some(cursor)));
        }
        after = cursor.pool().map(|pool| pool.as_bytes().to_vec()).unwrap_or_default();
        next = Some(cursor);
    }
}

/// Lists the pools after `after` (READ-5), and returns where to continue if there are more.
pub(crate) async fn page_of_pools(
    access: &Access,
    operation: &'static str,
    after: Vec<u8>,
    limit: u32,
) -> Result<Page<PoolId>, BackendError> {
    let params = || vec![Param::Bytes(after.clone()), Param::Int(i64::from(limit) + 1)];
    let rows = access.read(operation, ReadSql::PoolsAfter, params).await?;
    let mut pools = ids(operation, &rows, 0)?;
    let more = pools.len() > limit as usize;
    pools.truncate(limit as usize);
    let next = pools.last().filter(|_| more).cloned().map(Cursor::after_pool);
    Ok(Page::new(pools, next))
}

#[cfg(test)]
mod tests {
    use kp_core::{BackendError, Effect};

    use super::HalfDone;

    #[test]
    fn a_call_that_is_half_done_is_not_called_not_applied() {
        let pool = BackendError::transient("postgres", "retire_unspent", Effect::NotApplied, "no disk");
        let call = BackendError::transient("postgres", "retire_unspent", Effect::Unknown, HalfDone(pool));
        assert_eq!(
            call.to_string(),
            "postgres: retire_unspent failed (outcome unknown): it was done with some pools, and then: no disk"
        );
    }
}
