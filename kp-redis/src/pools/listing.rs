//! Lists the pools of all buckets, one page at a time.

use futures::future::join_all;
use kp_core::{BackendError, Cursor, PoolId, Rejection, Result};

use crate::keys::Index;
use crate::pools::runner::Runner;

/// The most buckets that are asked at once.
const WINDOW: u16 = 128;

/// A place in the listing of pools: a bucket, and a pool in it, or none for its beginning.
#[derive(Debug, Clone, Default)]
struct Place {
    bucket: u16,
    pool: Option<PoolId>,
}

impl Place {
    /// It begins with a word that no cursor of packages, a small number, begins with; then bucket and pool.
    fn read(cursor: Option<&Cursor>, buckets: u16) -> Result<Self> {
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

/// Returns up to `limit` pools behind this place, and where the next page begins.
pub(crate) async fn pools_after(
    runner: &Runner,
    operation: &'static str,
    after: Option<&Cursor>,
    limit: u32,
) -> Result<(Vec<PoolId>, Option<Cursor>)> {
    let limit = usize::try_from(limit.max(1)).unwrap_or(usize::MAX);
    let buckets = runner.keys.buckets();
    let after = Place::read(after, buckets)?;
    let mut pools = Vec::new();
    // One pool more than asked for tells whether any follow. Where buckets are sparse, ever more are asked at once.
    let (mut bucket, mut window, mut begin) = (after.bucket, 1, after.pool);
    while bucket < buckets && pools.len() <= limit {
        let end = buckets.min(bucket + window);
        let missing = limit - pools.len() + 1;
        let found = join_all((bucket..end).map(|bucket| {
            let begin = begin.take();
            pools_of(runner, operation, bucket, begin, missing)
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
    let next = last.map(|pool| Place::written(runner.keys.bucket(pool), pool));
    Ok((pools, next))
}

async fn pools_of(
    runner: &Runner,
    operation: &'static str,
    bucket: u16,
    after: Option<PoolId>,
    limit: usize,
) -> Result<Vec<PoolId>, BackendError> {
    let begin = match after {
        None => b"-".to_vec(),
        Some(pool) => [b"(", pool.as_bytes()].concat(),
    };
    let arguments = [
        begin,
        b"+".to_vec(),
        b"LIMIT".to_vec(),
        b"0".to_vec(),
        limit.to_string().into_bytes(),
    ];
    runner
        .read_index(operation, Index::Pools, bucket, "ZRANGEBYLEX", &arguments)
        .await
}
