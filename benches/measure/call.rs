use std::time::Instant;

use hdrhistogram::Histogram;
use kp_core::server::*;
use kp_core::*;

use super::Fallible;
use super::inputs::NOW;

/// What a caller does.
#[derive(Debug)]
pub(crate) enum Call {
    Save(Save),
    /// Reserve, then spend: two calls, each with an answer of its own.
    Cycle(TakeRequest),
    Reserve(TakeRequest),
    /// In one call, from as many pools.
    Claim(Vec<TakeRequest>),
    Count(PoolId),
    /// At most so many packages past this moment.
    Sweep(Timestamp, u32),
}

impl Call {
    /// Makes the call, and records how long each answer took, in nanoseconds. An answer other than the one that was
    /// prepared for is an error.
    pub(crate) async fn make(&self, store: &dyn KeyPackageStore, latencies: &mut Histogram<u64>) -> Fallible<()> {
        match self {
            Self::Save(save) => {
                let outcomes = timed(latencies, store.save_key_packages(save, NOW)).await??;
                if let Some(outcome) = outcomes.iter().find(|outcome| **outcome != SaveOutcome::Saved) {
                    return Err(format!("a save was answered {outcome:?}").into());
                }
            }
            Self::Cycle(take) => {
                let reserved = timed(latencies, store.reserve_key_package(take, OnLapse::Return, NOW)).await??;
                let token = reserved.lease.ok_or("not a one-time package")?.token;
                timed(latencies, store.spend_key_package(&token, &Spend::default(), NOW)).await??;
            }
            Self::Reserve(take) => {
                timed(latencies, store.reserve_key_package(take, OnLapse::Return, NOW)).await??;
            }
            Self::Claim(takes) => {
                for answer in timed(latencies, store.claim_key_packages(takes, None, NOW)).await? {
                    answer?;
                }
            }
            Self::Count(pool) => {
                timed(latencies, store.count_by_status(pool, NOW)).await??;
            }
            Self::Sweep(now, limit) => {
                let swept = timed(latencies, store.cleanup_expired(*now, *limit)).await??;
                if swept != u64::from(*limit) {
                    return Err(format!("{swept} packages were swept, not {limit}").into());
                }
            }
        }
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
async fn timed<T>(latencies: &mut Histogram<u64>, answer: impl Future<Output = T>) -> Fallible<T> {
    let start = Instant::now();
    let answer = answer.await;
    latencies.record(u64::try_from(start.elapsed().as_nanos())?)?;
    Ok(answer)
}
