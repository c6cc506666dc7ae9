use futures::future::join_all;
use kp_core::{BackendError, Cursor, Effect, PoolId, Rejection, Result, Timestamp};

use crate::keys::Index;
use crate::link::calls::{Body, Request};
use crate::link::error::failed;
use crate::link::script::{self as scripts, Script};
use crate::pools::replies;
use crate::pools::requests;
use crate::pools::store::RedisStore;
use crate::pools::store::malformed;

/// How many buckets are asked at once.
const WINDOW: u16 = 128;

/// How many due pools of a bucket are looked at together.
const PAGE: usize = 64;

/// A sweep, by what it looks for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Housekeeping {
    /// `cleanup_expired`: the limit counts packages.
    Cleanup,
    /// `release_expired_reservations`: the limit counts pools.
    Settle,
}

impl Housekeeping {
    fn script(self) -> &'static Script {
        match self {
            Self::Cleanup => &scripts::SWEEP,
            Self::Settle => &scripts::SETTLE,
        }
    }

    fn index(self) -> Index {
        match self {
            Self::Cleanup => Index::Expiry,
            Self::Settle => Index::Ending,
        }
    }

    /// What this many of it use up of the limit.
    fn cost(self, count: u64) -> u64 {
        match self {
            Self::Cleanup => count,
            Self::Settle => count.min(1),
        }
    }
}

/// A place in the listing of pools: a bucket, and a pool in it, or none for its beginning.
#[derive(Debug, Clone, Default)]
pub(crate) struct PoolCursor {
    bucket: u16,
    pool: Option<PoolId>,
}

impl PoolCursor {
    /// It begins with a word that no cursor of packages, a small number, begins with; then bucket and pool.
    pub(crate) fn read(cursor: Option<&Cursor>, buckets: u16) -> Result<Self> {
        let Some(Cursor(bytes)) = cursor else {
            return Ok(Self::default());
        };
        let (bucket, pool) = bytes
            .strip_prefix(b"pool")
            .and_then(|place| place.split_first_chunk())
            .ok_or(Rejection::InvalidCursor)?;
        let bucket = u16::from_be_bytes(*bucket);
        let pool = PoolId::try_from(pool).map_err(|_| Rejection::InvalidCursor)?;
        if bucket >= buckets {
            return Err(Rejection::InvalidCursor.into());
        }
        Ok(Self {
            bucket,
            pool: Some(pool),
        })
    }

    fn written(bucket: u16, pool: &PoolId) -> Cursor {
        Cursor([b"pool".as_slice(), &bucket.to_be_bytes(), pool.as_bytes()].concat())
    }
}

impl RedisStore {
    /// Up to `limit` pools behind this place, and where to go on.
    pub(crate) async fn pools_after(
        &self,
        operation: &'static str,
        after: PoolCursor,
        limit: u32,
    ) -> Result<(Vec<PoolId>, Option<Cursor>)> {
        let limit = usize::try_from(limit.max(1)).unwrap_or(usize::MAX);
        let mut pools = Vec::new();
        // One more than asked for says whether any follow. Where buckets are sparse, ever more are asked at once.
        let (mut bucket, mut window, mut begin) = (after.bucket, 1, after.pool);
        while bucket < self.keys.buckets() && pools.len() <= limit {
            let end = self.keys.buckets().min(bucket + window);
            let missing = limit - pools.len() + 1;
            let found = join_all((bucket..end).map(|bucket| {
                let begin = begin.take();
                self.pools_of(operation, bucket, begin, missing)
            }))
            .await;
            for pools_of_bucket in found {
                pools.extend(pools_of_bucket?);
            }
            (bucket, window) = (end, WINDOW.min(window * 2));
        }
        let more = pools.len() > limit;
        pools.truncate(limit);
        let last = pools.last().filter(|_| more);
        let next = last.map(|pool| PoolCursor::written(self.keys.bucket(pool), pool));
        Ok((pools, next))
    }

    async fn pools_of(
        &self,
        operation: &'static str,
        bucket: u16,
        after: Option<PoolId>,
        limit: usize,
    ) -> Result<Vec<PoolId>, BackendError> {
        let key = self.keys.index(bucket, Index::Pools);
        let begin = match after {
            None => b"-".to_vec(),
            Some(pool) => [b"(", pool.as_bytes()].concat(),
        };
        let mut command = redis::cmd("ZRANGEBYLEX");
        command.arg(&key).arg(begin).arg("+").arg("LIMIT").arg(0).arg(limit);
        self.ask_index(operation, &key, command).await
    }

    /// The pools of a bucket that are due, but for the first `skip`.
    async fn due(
        &self,
        what: Housekeeping,
        bucket: u16,
        now: Timestamp,
        skip: usize,
    ) -> Result<Vec<PoolId>, BackendError> {
        let key = self.keys.index(bucket, what.index());
        let mut command = redis::cmd("ZRANGEBYSCORE");
        command.arg(&key).arg("-inf").arg(requests::time(now));
        command.arg("LIMIT").arg(skip).arg(PAGE);
        self.ask_index(what.script().operation, &key, command).await
    }

    async fn ask_index(
        &self,
        operation: &'static str,
        key: &[u8],
        command: redis::Cmd,
    ) -> Result<Vec<PoolId>, BackendError> {
        let request = Request {
            operation,
            key,
            body: Body::Command(command),
            beat: None,
        };
        let reply = self.link.call(&request).await?;
        replies::pools(reply).map_err(|source| failed(operation, Effect::NotApplied, source))
    }

    /// Walks the buckets and does what is due, up to the limit (`SWEEP-1`, `SWEEP-2`); each pool is a step of its own
    /// (`SWEEP-3`). A pool that cannot be swept does not keep the others from it, and is told of when there is nothing
    /// else to tell.
    pub(crate) async fn sweep(&self, what: Housekeeping, now: Timestamp, limit: u32) -> Result<u64> {
        let (mut total, mut left) = (0, u64::from(limit.max(1)));
        let mut failure = None;
        let mut begin = 0;
        while begin < self.keys.buckets() {
            let end = self.keys.buckets().min(begin + WINDOW);
            let due = join_all((begin..end).map(|bucket| self.due(what, bucket, now, 0))).await;
            for (bucket, due) in (begin..end).zip(due) {
                let (mut due, mut failed) = (due?, 0);
                while !due.is_empty() {
                    for pool in &due {
                        match self.sweep_pool(what, pool, now, left).await {
                            Ok(count) => {
                                total += count;
                                left -= what.cost(count).min(left);
                            }
                            Err(error) => {
                                failed += 1;
                                failure = Some(error);
                            }
                        }
                        if left == 0 {
                            return Ok(total);
                        }
                    }
                    due = self.due(what, bucket, now, failed).await?;
                }
            }
            begin = end;
        }
        match failure {
            Some(error) if total == 0 => Err(error.into()),
            _ => Ok(total),
        }
    }

    async fn sweep_pool(
        &self,
        what: Housekeeping,
        pool: &PoolId,
        now: Timestamp,
        left: u64,
    ) -> Result<u64, BackendError> {
        let script = what.script();
        let arguments = match what {
            Housekeeping::Cleanup => vec![requests::number(left)],
            Housekeeping::Settle => Vec::new(),
        };
        let reply = self.run(script, pool, now, arguments).await?;
        replies::count(&reply).map_err(|source| malformed(script, source))
    }
}
