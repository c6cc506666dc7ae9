//! Sweeps all pools: forgets expired KeyPackages, and settles lapsed leases.

use futures::future::join_all;
use kp_core::{BackendError, PoolId, Result, Timestamp};

use crate::keys::Index;
use crate::link::error::malformed;
use crate::link::script::Script;
use crate::pools::replies::Pass;
use crate::pools::runner::Runner;
use crate::pools::{replies, requests, scripts};

/// The most buckets that are asked at once.
const WINDOW: u16 = 128;

/// The most due pools of a bucket that one command returns.
const PAGE: usize = 64;

/// How many records a step of a cleanup looks at, about: the server runs nothing else meanwhile.
const LOOKED_AT: u32 = 200;

/// The most leases and windows that a step settles.
const SETTLED: u32 = 100;

/// A sweep over all pools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sweep {
    /// `cleanup_expired`: the limit counts packages.
    Cleanup,
    /// `release_expired_reservations`: the limit counts pools.
    Settle,
}

/// What a sweep did so far.
#[derive(Debug, Default)]
struct Swept {
    /// How many packages were forgotten, or leases and windows settled.
    count: u64,
    /// How much of the limit that used up.
    cost: u64,
}

impl Sweep {
    fn script(self) -> &'static Script {
        match self {
            Self::Cleanup => &scripts::CLEANUP,
            Self::Settle => &scripts::SETTLE,
        }
    }

    fn index(self) -> Index {
        match self {
            Self::Cleanup => Index::Expiry,
            Self::Settle => Index::Lapse,
        }
    }

    /// Sweeps the due pools of all buckets, up to the limit (`SWEEP-1`, `SWEEP-2`). Each pool is swept in steps of its own
    /// (`SWEEP-3`).
    ///
    /// A failure is returned if the sweep did nothing; otherwise the next sweep tells of it (`ERR-1`).
    pub(crate) async fn run(self, runner: &Runner, now: Timestamp, limit: u32) -> Result<u64> {
        let mut swept = Swept::default();
        match self.walk(runner, now, u64::from(limit.max(1)), &mut swept).await {
            Err(error) if swept.count == 0 => Err(error.into()),
            _ => Ok(swept.count),
        }
    }

    /// A pool that fails (a damaged record), or a node of a cluster that is away, does not stop the sweep of what others
    /// hold. But a server that is away would cost each pool a time-out of its own: the sweep ends when none of the buckets
    /// asked at once answers, or when two pools in a row meet a failure that may pass.
    async fn walk(self, runner: &Runner, now: Timestamp, limit: u64, swept: &mut Swept) -> Result<(), BackendError> {
        let (mut failure, mut away) = (None, 0);
        let mut begin = 0;
        let buckets = runner.keys.buckets();
        while begin < buckets {
            let end = buckets.min(begin + WINDOW);
            let due = join_all((begin..end).map(|bucket| self.due(runner, bucket, now, 0))).await;
            if let Some(Err(error)) = due.iter().find(|_| due.iter().all(Result::is_err)) {
                return Err(error.clone());
            }
            for (bucket, due) in (begin..end).zip(due) {
                let (mut due, mut failed) = match due {
                    Ok(due) => (due, 0),
                    Err(error) => {
                        failure = Some(error);
                        continue;
                    }
                };
                while !due.is_empty() {
                    for pool in &due {
                        match self.run_on(runner, pool, now, limit, swept).await {
                            Ok(still_due) => {
                                failed += usize::from(still_due);
                                away = 0;
                            }
                            Err(error) if error.is_transient() && away > 0 => return Err(error),
                            Err(error) => {
                                failed += 1;
                                away += u32::from(error.is_transient());
                                failure = Some(error);
                            }
                        }
                        if swept.cost >= limit {
                            return Ok(());
                        }
                    }
                    due = match self.due(runner, bucket, now, failed).await {
                        Ok(due) => due,
                        Err(error) => {
                            failure = Some(error);
                            break;
                        }
                    };
                }
            }
            begin = end;
        }
        failure.map_or(Ok(()), Err)
    }

    /// Returns the pools of a bucket that are due, but for the first `skip`.
    async fn due(self, runner: &Runner, bucket: u16, now: Timestamp, skip: usize) -> Result<Vec<PoolId>, BackendError> {
        let arguments = [
            b"-inf".to_vec(),
            requests::time(now),
            b"LIMIT".to_vec(),
            skip.to_string().into_bytes(),
            PAGE.to_string().into_bytes(),
        ];
        let operation = self.script().operation;
        runner
            .read_index(operation, self.index(), bucket, "ZRANGEBYSCORE", &arguments)
            .await
    }

    /// Sweeps a pool, and returns whether the pool is due all the same: what is saved beside a pass over the pool is left to
    /// the next sweep.
    async fn run_on(
        self,
        runner: &Runner,
        pool: &PoolId,
        now: Timestamp,
        limit: u64,
        swept: &mut Swept,
    ) -> Result<bool, BackendError> {
        let (mut total, mut pass) = (0, Pass::begin());
        loop {
            let left = limit.saturating_sub(swept.cost);
            let (count, still_due, goes_on) = self.step(runner, pool, now, left, &mut pass).await?;
            swept.count += count;
            // A settled pool counts once, however many of its leases ended.
            swept.cost += match self {
                Self::Cleanup => count,
                Self::Settle => u64::from(count > 0 && total == 0),
            };
            total += count;
            if !goes_on || (self == Self::Cleanup && swept.cost >= limit) {
                return Ok(still_due);
            }
        }
    }

    /// Runs one step on a pool. Returns how much was swept, whether the pool is due all the same, and whether there is more.
    async fn step(
        self,
        runner: &Runner,
        pool: &PoolId,
        now: Timestamp,
        left: u64,
        pass: &mut Pass,
    ) -> Result<(u64, bool, bool), BackendError> {
        let script = self.script();
        let read = match self {
            Self::Cleanup => {
                let mut arguments = vec![requests::number(left), requests::number(LOOKED_AT)];
                arguments.append(&mut pass.0);
                let reply = runner.run(script, pool, now, arguments).await?;
                replies::cleaned(reply).map(|(count, still_due, next)| {
                    *pass = next;
                    (count, still_due, !pass.has_ended())
                })
            }
            Self::Settle => {
                let reply = runner.run(script, pool, now, vec![requests::number(SETTLED)]).await?;
                replies::count(&reply).map(|count: u64| (count, false, count >= u64::from(SETTLED)))
            }
        };
        read.map_err(|source| malformed(script, source))
    }
}
