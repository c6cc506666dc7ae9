use std::sync::Arc;
use std::time::Instant;

use kp_core::Timestamp;
use kp_core::server::*;
use kp_memory::MemoryStore;
use kp_server::{KeyPackageDirectory, Take};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::runtime::Builder;
use tracing_subscriber::fmt;

use crate::measure::Fallible;
use crate::measure::inputs::{self, now_by_the_clock};
use crate::measure::ratio::median;
use crate::{Nothing, POOLS, refill};

/// The calls of each kind in a round, on a store that holds 10,000 packages.
const CALLS: u32 = 2_000;
const ROUNDS: usize = 25;
const KINDS: [&str; 4] = ["claim", "reserve", "release", "reserve and spend"];

/// In microseconds a call, for each kind.
type Round = [f64; KINDS.len()];

pub(crate) fn measure() -> Fallible<()> {
    println!(
        "microseconds a call, one thread: the store in memory, the directory over it, the difference; medians of {ROUNDS}"
    );
    compare("clock and ids: nobody listens")?;
    PrometheusBuilder::new().install_recorder()?;
    compare("and metrics: a Prometheus recorder")?;
    let spans = fmt().with_writer(std::io::sink).finish();
    tracing_subscriber::util::SubscriberInitExt::try_init(spans)?;
    compare("and spans: a subscriber that writes them to nowhere")
}

/// Each round of the store is followed by one of the directory.
fn compare(with: &str) -> Fallible<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let store = MemoryStore::new();
    let all: Arc<dyn KeyPackageStore> = Arc::new(store.clone());
    let directory = KeyPackageDirectory::new(store.clone(), Nothing);
    let (mut bare, mut above): (Vec<Round>, Vec<Round>) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let now = now_by_the_clock()?;
        runtime.block_on(refill(&all, now))?;
        bare.push(runtime.block_on(bare_round(&store, now))?);
        runtime.block_on(refill(&all, now))?;
        above.push(runtime.block_on(directory_round(&directory))?);
    }
    for (kind, what) in KINDS.into_iter().enumerate() {
        let of = |rounds: &[Round]| median(rounds.iter().map(|round| round[kind]));
        let differences = bare.iter().zip(&above).map(|(bare, above)| above[kind] - bare[kind]);
        println!(
            "{what:<20}{:>8.2}{:>8.2}{:>8.2}  {with}",
            of(&bare),
            of(&above),
            median(differences)
        );
    }
    Ok(())
}

async fn bare_round(store: &MemoryStore, now: Timestamp) -> Fallible<Round> {
    let takes = |kind: u32| (0..CALLS).map(move |n| inputs::take(n % POOLS, u64::from(kind) << 32 | u64::from(n)));
    let takes = |kind: u32| takes(kind).collect::<Fallible<Vec<_>>>();
    let (claims, releases, spends) = (takes(0)?, takes(1)?, takes(2)?);
    let claim = timed(claims, async |take| {
        store.claim_key_package(&take, None, now).await?;
        Ok(())
    });
    let (claim, _) = claim.await?;
    let reserve = timed(releases, async |take| {
        Ok(store.reserve_key_package(&take, OnLapse::Return, now).await?)
    });
    let (reserve, reserved) = reserve.await?;
    let release = timed(tokens(reserved), async |token| {
        Ok(store.release_key_package(&token, now).await?)
    });
    let (release, _) = release.await?;
    let spend = timed(spends, async |take| {
        let reserved = store.reserve_key_package(&take, OnLapse::Return, now).await?;
        let lease = reserved.lease.ok_or("not a one-time package")?;
        store.spend_key_package(&lease.token, &Spend::new(), now).await?;
        Ok(())
    });
    Ok([claim, reserve, release, spend.await?.0])
}

async fn directory_round(directory: &KeyPackageDirectory) -> Fallible<Round> {
    let pools = (0..CALLS).map(|n| inputs::pool_id(n % POOLS));
    let pools: Vec<_> = pools.collect::<Fallible<_>>()?;
    let take = Take::new();
    let claim = timed(pools.iter(), async |pool| {
        directory.claim(pool, &take).await?;
        Ok(())
    });
    let (claim, _) = claim.await?;
    let reserve = timed(pools.iter(), async |pool| Ok(directory.reserve(pool, &take).await?));
    let (reserve, reserved) = reserve.await?;
    let release = timed(tokens(reserved), async |token| {
        Ok(directory.release_one(&token).await?)
    });
    let (release, _) = release.await?;
    let spend = timed(pools.iter(), async |pool| {
        let lease = directory
            .reserve(pool, &take)
            .await?
            .lease
            .ok_or("not a one-time package")?;
        directory.spend_one(&lease, &Spend::new()).await?;
        Ok(())
    });
    Ok([claim, reserve, release, spend.await?.0])
}

fn tokens(reserved: Vec<Reservation>) -> Vec<ReservationToken> {
    reserved
        .into_iter()
        .filter_map(|reserved| Some(reserved.lease?.token))
        .collect()
}

/// One call after the other. Returns microseconds a call, and the answers.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
async fn timed<I, T>(
    inputs: impl IntoIterator<Item = I, IntoIter: ExactSizeIterator>,
    call: impl AsyncFn(I) -> Fallible<T>,
) -> Fallible<(f64, Vec<T>)> {
    let inputs = inputs.into_iter();
    let count = inputs.len();
    let mut answers = Vec::with_capacity(count);
    let start = Instant::now();
    for input in inputs {
        answers.push(call(input).await?);
    }
    Ok((start.elapsed().as_secs_f64() * 1e6 / count as f64, answers))
}
