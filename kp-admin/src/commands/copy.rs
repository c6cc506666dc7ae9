use std::collections::BTreeSet;
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
use crate::stores::{self, Store};

/// How many pools that differ are named.
const NAMED: usize = 20;

#[derive(Debug, Default, Serialize)]
struct Copied {
    /// Pools that were copied now, and their records.
    pools: u64,
    records: u64,
    /// Pools that the target held before.
    were_there: u64,
    /// How long the copying took, and then the comparing.
    copy_seconds: f64,
    compare_seconds: f64,
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
            copy_seconds,
            compare_seconds,
            digest,
            ..
        } = self;
        let differ = self
            .differ
            .iter()
            .map(|pool| format!("\ndiffers: {pool}"))
            .collect::<String>();
        let more = match self.differing.saturating_sub(NAMED as u64) {
            0 => String::new(),
            more => format!("\nand {more} more"),
        };
        format!(
            "{pools} pools with {records} records copied in {copy_seconds:.1} s, {were_there} were there before\n\
             all compared in {compare_seconds:.1} s\ndigest {digest}{differ}{more}"
        )
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

/// Copies one pool in one step, and returns how many records it has. `None`: the target holds it already.
async fn copy_one(from: &Store, to: &Store, pool: &PoolId, rate: &Rate) -> Result<Option<u64>, Failure> {
    let export = from.export_pool(pool).await?;
    rate.pass(export.records().len()).await;
    match to.import_pool(pool, &export).await {
        Ok(()) => Ok(Some(export.records().len() as u64)),
        Err(Error::Rejected(ImportRejection::PoolNotEmpty)) => Ok(None),
        Err(Error::Backend(failure)) => Err(Failure::Store(failure.into())),
        Err(_) => Err(Failure::Refused("the target refuses the pool")),
    }
}

pub(crate) async fn run(from: &str, to: &str, rate: Option<u32>, at_once: u16, json: bool) -> Result<(), Failure> {
    let (from, to) = (stores::open(from, false).await?, stores::open(to, true).await?);
    let (from, to, rate) = (&from, &to, &Rate::of(rate));
    let pools: BTreeSet<_> = stores::pools(from).await?.into_iter().collect();
    // A pool that is there is there whole (MOVE-2): it is compared later, and not read now.
    let there: BTreeSet<_> = stores::pools(to).await?.into_iter().collect();
    let at_once = usize::from(at_once);
    let were_there = pools.intersection(&there).count() as u64;
    let mut copied = Copied {
        were_there,
        ..Copied::default()
    };

    let begin = Instant::now();
    let progress = bar(pools.len(), "copying", json);
    progress.inc(were_there);
    progress.reset_eta();
    let copies = futures::stream::iter(pools.difference(&there)).map(|pool| copy_one(from, to, pool, rate));
    let mut copies = copies.buffer_unordered(at_once);
    while let Some(records) = copies.try_next().await? {
        progress.inc(1);
        match records {
            Some(records) => (copied.pools, copied.records) = (copied.pools + 1, copied.records + records),
            None => copied.were_there += 1,
        }
    }
    progress.finish_and_clear();
    copied.copy_seconds = begin.elapsed().as_secs_f64();

    // Pools that the target alone holds are compared too, with none.
    let begin = Instant::now();
    let mut all: BTreeSet<_> = stores::pools(to).await?.into_iter().collect();
    all.extend(pools.iter().cloned());
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
    copied.compare_seconds = begin.elapsed().as_secs_f64();
    copied.digest = digest.to_string();
    copied.differ.sort_unstable();
    print(&copied, json)?;
    let differ = match copied.differing {
        0 => return Ok(()),
        1 => "1 pool differs".to_owned(),
        differing => format!("{differing} pools differ"),
    };
    Err(Failure::Found(format!(
        "{differ}: changed meanwhile, or in the target before"
    )))
}
