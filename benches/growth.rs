//! What a reserve-and-spend costs as a store grows (`COST-1`): at 640,000 packages at most twice what it costs at
//! 6,400, and no more behind 100,000 expired packages of the same pool that nobody swept.
//!
//! `cargo bench --bench growth`. It asserts nothing: times are for people to judge. The stores are measured in turn, so
//! that what else the machine does hits all of them.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kp_core::*;
use kp_memory::MemoryStore;
use kp_sqlite::SqliteStore;
use tokio::task::JoinSet;

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// When everything is measured; what has expired did so before.
const NOW: Timestamp = match Timestamp::new(1_700_000_000) {
    Some(now) => now,
    None => Timestamp::MAX,
};
const PER_POOL: u32 = 100;
const PAYLOAD: usize = 295;
const EXPIRED: u32 = 100_000;

/// One store under measurement.
struct Subject {
    what: &'static str,
    store: Arc<dyn KeyPackageStore>,
    /// How many pools take turns.
    pools: u32,
    samples: Vec<Duration>,
}

/// How one backend is measured.
struct Plan {
    samples: u32,
    /// How many reserve-and-spends one sample is the mean of: more than one where a clock is too coarse for one.
    cycles: u32,
}

fn main() -> Fallible<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
    runtime.block_on(async {
        // Not in /tmp, which may be memory: a durable store is to be measured on a disk.
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        println!("reserve and spend, {PAYLOAD} bytes a package, pools of {PER_POOL}; the median\n");
        let memory: [Arc<dyn KeyPackageStore>; 3] = std::array::from_fn(|_| Arc::new(MemoryStore::new()) as _);
        compare(
            "memory",
            memory,
            Plan {
                samples: 200,
                cycles: 16,
            },
        )
        .await?;
        let sqlite: [Arc<dyn KeyPackageStore>; 3] = [
            Arc::new(SqliteStore::open(dir.path().join("small.db")).await?),
            Arc::new(SqliteStore::open(dir.path().join("large.db")).await?),
            Arc::new(SqliteStore::open(dir.path().join("expired.db")).await?),
        ];
        compare(
            "SQLite, durable",
            sqlite,
            Plan {
                samples: 300,
                cycles: 1,
            },
        )
        .await
    })
}

async fn compare(name: &str, stores: [Arc<dyn KeyPackageStore>; 3], plan: Plan) -> Fallible<()> {
    let [small, large, expired] = stores;
    fill(&small, 0..64, PER_POOL).await?;
    fill(&large, 0..6_400, PER_POOL).await?;
    fill(&expired, 1..64, PER_POOL).await?;
    expire(&expired, 0).await?;
    fill(&expired, 0..1, plan.samples * plan.cycles + 1).await?;
    let subject = |what, store, pools| Subject {
        what,
        store,
        pools,
        samples: Vec::new(),
    };
    let mut subjects = [
        subject("6,400 packages", small, 64),
        subject("640,000 packages", large, 6_400),
        subject("6,400 packages, behind 100,000 expired", expired, 1),
    ];
    for sample in 0..plan.samples {
        for subject in &mut subjects {
            let cycles = sample * plan.cycles..(sample + 1) * plan.cycles;
            // A prime step: all pools are met, in no order that a cache could guess.
            let takes: Vec<_> = cycles
                .map(|cycle| take(cycle * 2_741 % subject.pools, cycle))
                .collect::<Fallible<_>>()?;
            subject.samples.push(measure(&*subject.store, &takes).await?);
        }
    }
    println!("{name}");
    let mut base = None;
    for subject in &mut subjects {
        subject.samples.sort_unstable();
        let median = subject.samples[subject.samples.len() / 2].as_secs_f64() * 1e6;
        let base = *base.get_or_insert(median);
        println!("  {:<40}{median:>10.2} µs{:>8.2} x", subject.what, median / base);
    }
    println!();
    Ok(())
}

/// The mean time of one reserve-and-spend.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
async fn measure(store: &dyn KeyPackageStore, takes: &[Take]) -> Fallible<Duration> {
    let start = Instant::now();
    for take in takes {
        let reserved = store.reserve_key_package(take, OnLapse::Return, NOW).await?;
        let lease = reserved.lease.ok_or("a one-time package")?;
        store.spend_key_package(&lease.token, &Usage::default(), NOW).await?;
    }
    Ok(start.elapsed() / u32::try_from(takes.len())?)
}

/// Saves as many live packages into each of these pools, many pools at once; and takes one from each, so that what only
/// a pool's first reservation costs is not measured in one store and left out in another.
async fn fill(store: &Arc<dyn KeyPackageStore>, pools: std::ops::Range<u32>, packages: u32) -> Fallible<()> {
    let lifetime = Lifetime::new(NOW, NOW.plus(86_400))?;
    let mut saves = JoinSet::new();
    for number in pools {
        if saves.len() == 256 {
            saves.join_next().await.transpose()?.transpose()?;
        }
        let store = Arc::clone(store);
        saves.spawn(async move {
            for start in (0..packages).step_by(Save::MAX_PACKAGES) {
                let numbers = start..packages.min(start + 1_000);
                save(&*store, number, numbers, lifetime, NOW).await?;
            }
            measure(&*store, &[take(number, u32::MAX)?]).await?;
            Fallible::Ok(())
        });
    }
    while saves.join_next().await.transpose()?.transpose()?.is_some() {}
    Ok(())
}

/// Lets packages expire in this pool: batch after batch, each when the one before has expired, since a pool remembers
/// only so many at a time.
async fn expire(store: &Arc<dyn KeyPackageStore>, pool: u32) -> Fallible<()> {
    for start in (0..EXPIRED).step_by(Save::MAX_PACKAGES) {
        let (from, to) = (
            Timestamp::try_from(i64::from(start))?,
            Timestamp::try_from(i64::from(start) + 1_000)?,
        );
        let numbers = u32::MAX - start - 1_000..u32::MAX - start;
        save(&**store, pool, numbers, Lifetime::new(from, to)?, from).await?;
    }
    Ok(())
}

async fn save(
    store: &dyn KeyPackageStore,
    pool: u32,
    numbers: std::ops::Range<u32>,
    lifetime: Lifetime,
    now: Timestamp,
) -> Fallible<()> {
    let packages = numbers
        .map(|number| package(pool, number, lifetime))
        .collect::<Fallible<Vec<_>>>()?;
    let outcomes = store
        .save_key_packages(&Save::new(pool_id(pool)?, packages)?, now)
        .await?;
    match outcomes.iter().find(|outcome| **outcome != SaveOutcome::Saved) {
        Some(outcome) => Err(format!("a save was answered {outcome:?}").into()),
        None => Ok(()),
    }
}

fn pool_id(number: u32) -> Fallible<PoolId> {
    Ok(PoolId::try_from(format!("user-{number:08}/phone").as_str())?)
}

fn take(pool: u32, cycle: u32) -> Fallible<Take> {
    let id = ReservationId::from_bytes(u128::from(cycle).to_be_bytes());
    Ok(Take::new(pool_id(pool)?, id, Ttl::try_from(60)?))
}

fn package(pool: u32, number: u32, lifetime: Lifetime) -> Fallible<Package> {
    // As long as a hash, and as spread.
    let mut state = u64::from(pool) << 32 | u64::from(number);
    let hash = std::array::from_fn::<_, 4, _>(|_| {
        state = (state ^ (state >> 30))
            .wrapping_mul(0xbf58_476d_1ce4_e5b9)
            .wrapping_add(0x9e37_79b9_7f4a_7c15);
        state.to_be_bytes()
    });
    Ok(Package {
        info: PackageInfo {
            key_package_ref: KeyPackageRef::try_from(hash.concat())?,
            ciphersuite: Ciphersuite(1),
            lifetime,
            last_resort: false,
            credential: CredentialHash([7; 32]),
        },
        bytes: PackageBytes::try_from(vec![number as u8; PAYLOAD])?,
    })
}
