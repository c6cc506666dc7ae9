//! Lists the pools of all buckets, one page at a time.

use futures::future::join_all;
use kp_core::server::{Cursor, Page};
use kp_core::{BackendError, PoolId, Result};

use crate::keys::Index;
use crate::pools::runner::Runner;

/// The most buckets that are asked at once.
const WINDOW: u16 = 128;

/// Returns up to `limit` pools behind this place, and where the next page begins.
pub(crate) async fn pools_after(
    runner: &Runner,
    operation: &'static str,
    after: Option<&Cursor>,
    limit: u32,
) -> Result<Page<PoolId>> {
    let limit = usize::try_from(limit.max(1)).unwrap_or(usize::MAX);
    let buckets = runner.keys.buckets();
    let mut begin = after.map(Cursor::pool).transpose()?;
    let mut pools = Vec::new();
    // One pool more than asked for tells whether any follow. Where buckets are sparse, ever more are asked at once.
    let (mut bucket, mut window) = (begin.map_or(0, |pool| runner.keys.bucket(pool)), 1);
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
    let next = last.cloned().map(Cursor::after_pool);
    Ok(Page::new(pools, next))
}

async fn pools_of(
    runner: &Runner,
    operation: &'static str,
    bucket: u16,
    after: Option<&PoolId>,
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
