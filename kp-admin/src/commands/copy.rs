use std::collections::BTreeSet;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use kp_core::moving::{ImportRejection, PoolExport};
use kp_core::{Error, PoolId};
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

use super::damage;
use super::digest::{Digest, bar};
use crate::failure::Failure;
use crate::pool_name::PoolName;
use crate::report::{Report, count, print};
use crate::stores::{self, Store};

/// How many pools that are damaged or differ are named.
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
    /// Pools that were not copied or compared because one of the stores is damaged, and how; the first of them.
    damaged: Vec<Damaged>,
    /// How many those are.
    damaged_pools: u64,
    /// The digest of all records of the source that can be read.
    digest: String,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Damaged {
    pool: String,
    says: String,
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
        let more = |count: u64| match count.saturating_sub(NAMED as u64) {
            0 => String::new(),
            more => format!("\nand {more} more"),
        };
        let differ = self.differ.iter().map(|pool| format!("\ndiffers: {pool}"));
        let differ = differ.collect::<String>() + &more(self.differing);
        let damaged = self.damaged.iter();
        let damaged = damaged.map(|damaged| format!("\ndamaged: {}: {}", damaged.pool, damaged.says));
        let damaged = damaged.collect::<String>() + &more(self.damaged_pools);
        let (pools, records) = (count(*pools, "pool"), count(*records, "record"));
        format!(
            "{pools} with {records} copied in {copy_seconds:.1} s, {were_there} there before\n\
             all compared in {compare_seconds:.1} s\ndigest {digest}{damaged}{differ}"
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

/// What became of a pool.
enum Outcome {
    /// It was copied, with so many records.
    Copied(u64),
    WasThere,
    /// It is damaged: the comparison says how.
    LeftOut,
}

/// Copies one pool in one step.
async fn copy_one(from: &Store, to: &Store, pool: &PoolId, rate: &Rate) -> Result<Outcome, Failure> {
    let Ok(export) = damage::export(from, pool).await? else {
        return Ok(Outcome::LeftOut);
    };
    rate.pass(export.records().len()).await;
    match to.import_pool(pool, &export).await {
        Ok(()) => Ok(Outcome::Copied(export.records().len() as u64)),
        Err(Error::Rejected(ImportRejection::PoolNotEmpty)) => Ok(Outcome::WasThere),
        Err(Error::Backend(failure)) => Err(Failure::Store(failure.into())),
        Err(_) => Err(Failure::Refused("the target refuses the pool")),
    }
}

/// Compares one pool of both stores: whether it is the same, and what it is in the source. The inner error says how it is damaged.
async fn compare(from: &Store, to: &Store, pool: &PoolId) -> Result<Result<(bool, PoolExport), String>, Failure> {
    let due = match damage::export(from, pool).await? {
        Ok(due) => due,
        Err(says) => return Ok(Err(says)),
    };
    Ok(match damage::export(to, pool).await? {
        Ok(is) => Ok((is == due, due)),
        Err(says) => Err(format!("in the target, {says}")),
    })
}

pub(crate) async fn run(from: &str, to: &str, rate: Option<u32>, at_once: u16, json: bool) -> Result<(), Failure> {
    if stores::are_same(from, to)? {
        return Err(Failure::Usage("the source and the target are the same store"));
    }
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
    while let Some(outcome) = copies.try_next().await? {
        progress.inc(1);
        match outcome {
            Outcome::Copied(records) => (copied.pools, copied.records) = (copied.pools + 1, copied.records + records),
            Outcome::WasThere => copied.were_there += 1,
            Outcome::LeftOut => {}
        }
    }
    progress.finish_and_clear();
    copied.copy_seconds = begin.elapsed().as_secs_f64();

    // Pools that the target alone holds are compared too, with none.
    let begin = Instant::now();
    let mut all: BTreeSet<_> = stores::pools(to).await?.into_iter().collect();
    all.extend(pools.iter().cloned());
    let progress = bar(all.len(), "comparing", json);
    let pairs =
        futures::stream::iter(&all).map(|pool| async move { Ok::<_, Failure>((pool, compare(from, to, pool).await?)) });
    let mut pairs = pairs.buffer_unordered(at_once);
    let mut digest = Digest::default();
    while let Some((pool, compared)) = pairs.try_next().await? {
        progress.inc(1);
        let name = || PoolName(pool.clone()).to_string();
        match compared {
            Ok((is_same, due)) => {
                digest.add(pool, &due);
                if !is_same {
                    copied.differing += 1;
                    copied.differ.extend((copied.differ.len() < NAMED).then(name));
                }
            }
            Err(says) => {
                copied.damaged_pools += 1;
                let named = || Damaged { pool: name(), says };
                copied.damaged.extend((copied.damaged.len() < NAMED).then(named));
            }
        }
    }
    progress.finish_and_clear();
    copied.compare_seconds = begin.elapsed().as_secs_f64();
    copied.digest = digest.to_string();
    copied.differ.sort_unstable();
    copied.damaged.sort_unstable();
    print(&copied, json)?;
    let differ = match copied.differing {
        0 => None,
        1 => Some("1 pool differs".to_owned()),
        differing => Some(format!("{differing} pools differ")),
    };
    let differ = differ.map(|differ| format!("{differ}: changed meanwhile, or in the target before"));
    let damaged = match copied.damaged_pools {
        0 => None,
        damaged => Some(format!("{} damaged: `kp check` says more", count(damaged, "pool"))),
    };
    let found: Vec<_> = damaged.into_iter().chain(differ).collect();
    match found.is_empty() {
        true => Ok(()),
        false => Err(Failure::Found(found.join("; "))),
    }
}
