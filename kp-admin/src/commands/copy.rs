use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use kp_core::moving::ImportRejection;
use kp_core::{Error, PoolId};
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

use super::digest::{Digest, bar};
use crate::failure::Failure;
use crate::pool_name::PoolName;
use crate::report::{Report, print};
use crate::stores::{self, Store, open, open_or_create};

/// How many pools that differ are named.
const NAMED: usize = 20;

#[derive(Debug, Default, Serialize)]
struct Copied {
    /// Pools that were copied now, and their records.
    pools: u64,
    records: u64,
    /// Pools that the target held before.
    were_there: u64,
    /// Pools that are not the same in both stores, the first of them.
    differ: Vec<String>,
    /// How many those are.
    differing: u64,
    /// The digest of all records of the source.
    digest: String,
}

impl Report for Copied {
    fn text(&self) -> String {
        let Self {
            pools,
            records,
            were_there,
            digest,
            ..
        } = self;
        let differ = self
            .differ
            .iter()
            .map(|pool| format!("\ndiffers: {pool}"))
            .collect::<String>();
        format!("{pools} pools with {records} records copied, {were_there} were there before\ndigest {digest}{differ}")
    }
}

/// Lets so many KeyPackages pass a second.
struct Rate {
    a_second: Option<u32>,
    next: Mutex<Instant>,
}

impl Rate {
    fn of(a_second: Option<u32>) -> Self {
        let next = Mutex::new(Instant::now());
        Self { a_second, next }
    }

    async fn pass(&self, count: usize) {
        let Some(a_second) = self.a_second else { return };
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let takes = Duration::from_secs(1).saturating_mul(count) / a_second;
        let begin = {
            let mut next = self.next.lock().await;
            let begin = (*next).max(Instant::now());
            *next = begin + takes;
            begin
        };
        sleep_until(begin).await;
    }
}

/// What became of one pool.
enum Outcome {
    Copied(u64),
    WasThere,
}

/// Copies one pool in one step. What the target holds already is compared later.
async fn copy_one(from: &Store, to: &Store, pool: &PoolId, rate: &Rate) -> Result<Outcome, Failure> {
    let export = from.export_pool(pool).await?;
    rate.pass(export.records().len()).await;
    match to.import_pool(pool, &export).await {
        Ok(()) => Ok(Outcome::Copied(export.records().len() as u64)),
        Err(Error::Rejected(ImportRejection::PoolNotEmpty)) => Ok(Outcome::WasThere),
        Err(Error::Backend(failure)) => Err(Failure::Store(failure.into())),
        Err(_) => Err(Failure::Refused("the target refuses the pool")),
    }
}

pub(crate) async fn run(from: &str, to: &str, rate: Option<u32>, at_once: u16, json: bool) -> Result<(), Failure> {
    let (from, to) = (open(from).await?, open_or_create(to).await?);
    let (from, to, rate) = (&from, &to, &Rate::of(rate));
    let pools = stores::pools(from).await?;
    let at_once = usize::from(at_once);
    let mut copied = Copied::default();

    let progress = bar(pools.len(), "copying", json);
    let copies = futures::stream::iter(&pools).map(|pool| copy_one(from, to, pool, rate));
    let mut copies = copies.buffer_unordered(at_once);
    while let Some(outcome) = copies.try_next().await? {
        progress.inc(1);
        match outcome {
            Outcome::Copied(records) => (copied.pools, copied.records) = (copied.pools + 1, copied.records + records),
            Outcome::WasThere => copied.were_there += 1,
        }
    }
    progress.finish_and_clear();

    // Pools that the target alone holds are compared too, with none.
    let mut all = stores::pools(to).await?;
    all.extend(pools.iter().cloned());
    all.sort_unstable();
    all.dedup();
    let progress = bar(all.len(), "comparing", json);
    let pairs = futures::stream::iter(&all).map(|pool| async move {
        let (is, due) = (to.export_pool(pool).await?, from.export_pool(pool).await?);
        Ok::<_, Failure>((pool, is == due, due))
    });
    let mut pairs = pairs.buffer_unordered(at_once);
    let mut digest = Digest::default();
    while let Some((pool, is_same, due)) = pairs.try_next().await? {
        progress.inc(1);
        digest.add(pool, &due);
        if !is_same {
            copied.differing += 1;
            if copied.differ.len() < NAMED {
                copied.differ.push(PoolName(pool.clone()).to_string());
            }
        }
    }
    progress.finish_and_clear();
    copied.digest = digest.to_string();
    print(&copied, json)?;
    match copied.differing {
        0 => Ok(()),
        differing => Err(Failure::Found(format!(
            "{differing} pools are not the same in both stores"
        ))),
    }
}
