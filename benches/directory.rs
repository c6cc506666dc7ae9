//! What the directory adds to a call of its store, part by part; and whether one upload uses all cores.
//!
//! `cargo bench --bench directory`. The store is in memory, so that nothing else is slow.

use std::hint::black_box;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant, SystemTime};

use kp_core::server::{Admission, KeyPackageStore, TakeRequest, Uploader};
use kp_core::{PoolId, Timestamp};
use kp_memory::MemoryStore;
use kp_openmls::OpenMlsAdmission;
use kp_server::{KeyPackageDirectory, Take, Upload};
use measure::Fallible;
use measure::inputs::{Kind, NOW};
use measure::ratio::median;
use measure::stock::Stock;
use metrics_exporter_prometheus::PrometheusBuilder;
use openmls::prelude::tls_codec::Serialize as _;
use openmls::prelude::{BasicCredential, Ciphersuite, CredentialWithKey, KeyPackage};
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::OpenMlsRustCrypto;
use tokio::runtime::{Builder, Runtime};

mod measure;

const ROUNDS: usize = 41;
const POOLS: u32 = 100;
const UPLOADED: usize = 100;

/// What is measured of a claim; each is the one before, and one thing more.
#[derive(Clone, Copy)]
enum Way {
    Store,
    /// Through a directory: its requests, its span without a listener, its metrics without a recorder.
    Directory,
    /// The clock of the system is read.
    Clock,
    /// Each call draws an id.
    Id,
    /// The metrics are recorded, as for Prometheus.
    Recorder,
    /// The spans are formatted, and written to nowhere.
    Spans,
}

impl Way {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Store, "the store alone"),
        (Self::Directory, "and a directory"),
        (Self::Clock, "and the clock of the system"),
        (Self::Id, "and a fresh id"),
        (Self::Recorder, "and metrics recorded"),
        (Self::Spans, "and spans written"),
    ];
}

fn main() -> Fallible<()> {
    claims()?;
    uploads()
}

fn claims() -> Fallible<()> {
    let runtime = Builder::new_current_thread().build()?;
    let mut times = Way::ALL.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for ((way, _), times) in Way::ALL.iter().zip(&mut times) {
            times.push(round(&runtime, *way)?);
        }
    }
    println!("a claim in one thread: ns, and what was added");
    let mut before: Option<&Vec<f64>> = None;
    for ((_, what), times) in Way::ALL.iter().zip(&times) {
        let added = before.map_or(0.0, |before| {
            median(times.iter().zip(before).map(|(with, without)| with - without))
        });
        println!("{what:<32}{:>8.0}{added:>+8.0}", median(times.iter().copied()));
        before = Some(times);
    }
    let all = times.last().ok_or("no times")?.iter().zip(&times[0]);
    println!(
        "{:<32}{:>8.0}",
        "all of it",
        median(all.map(|(with, without)| with - without))
    );
    Ok(())
}

/// How long a claim takes, in nanoseconds.
fn round(runtime: &Runtime, way: Way) -> Fallible<f64> {
    let store = MemoryStore::new();
    let filled: Arc<dyn KeyPackageStore> = Arc::new(store.clone());
    let takes = runtime.block_on(async {
        let mut stock = Stock::fill(&filled, 0..POOLS, Kind::usual()?).await?;
        stock.draw(stock.most()).await
    })?;
    let directory = KeyPackageDirectory::builder(store, OpenMlsAdmission::new()).clock(match way {
        Way::Store | Way::Directory => || NOW,
        _ => read_and_stand_still as fn() -> Timestamp,
    });
    let directory = directory.build()?;
    let elapsed = match way {
        Way::Store => timed(|| runtime.block_on(by_store(&*filled, &takes)))?,
        Way::Directory | Way::Clock | Way::Id => timed(|| runtime.block_on(by_directory(&directory, &takes, way)))?,
        Way::Recorder => recorded(|| timed(|| runtime.block_on(by_directory(&directory, &takes, way))))?,
        Way::Spans => {
            let spans = tracing_subscriber::fmt().with_writer(std::io::sink).finish();
            let written = || timed(|| runtime.block_on(by_directory(&directory, &takes, way)));
            recorded(|| tracing::subscriber::with_default(spans, written))?
        }
    };
    Ok(elapsed.as_nanos() as f64 / takes.len() as f64)
}

/// A clock as the directory's own, for packages of another time.
#[expect(clippy::disallowed_methods, reason = "what it costs to read the clock is measured")]
fn read_and_stand_still() -> Timestamp {
    black_box(Timestamp::from(SystemTime::now()));
    NOW
}

fn recorded<T>(run: impl FnOnce() -> T) -> T {
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, run)
}

async fn by_store(store: &dyn KeyPackageStore, takes: &[TakeRequest]) -> Fallible<()> {
    for take in takes {
        store
            .claim_key_packages(std::slice::from_ref(take), None, NOW)
            .await
            .only()?;
    }
    Ok(())
}

async fn by_directory(directory: &KeyPackageDirectory, takes: &[TakeRequest], way: Way) -> Fallible<()> {
    for take in takes {
        let request = match way {
            Way::Store | Way::Directory | Way::Clock => Take::new().id(take.id),
            Way::Id | Way::Recorder | Way::Spans => Take::new(),
        };
        directory.claim(&take.pool, &request).await?;
    }
    Ok(())
}

/// Compares an upload with the signatures that one core checks, times the cores.
fn uploads() -> Fallible<()> {
    let cores = available_parallelism()?.get();
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let packages = key_packages()?;
    let (by, pool) = (Uploader::identity("bob"), PoolId::try_from("bob/phone")?);
    let (mut ones, mut uploads, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let admission = OpenMlsAdmission::new();
        let now = Timestamp::from(now());
        let one = timed(|| {
            for package in &packages {
                admission.admit(package, &by, now)?;
            }
            Fallible::Ok(())
        })?;
        let directory = KeyPackageDirectory::new(MemoryStore::new(), admission);
        let upload = Upload::new(pool.clone(), by.clone(), packages.clone());
        let all = timed(|| {
            let outcomes = runtime.block_on(directory.upload(upload))?;
            match outcomes.iter().find(|outcome| outcome.code() != "saved") {
                Some(outcome) => Err(format!("an upload was answered {outcome:?}").into()),
                None => Ok(()),
            }
        })?;
        ones.push(per_second(one));
        uploads.push(per_second(all));
        shares.push(per_second(all) / (per_second(one) * cores as f64));
    }
    println!("\nan upload of {UPLOADED} KeyPackages on {cores} cores: KeyPackages a second");
    println!("{:<32}{:>8.0}", "admitted in one thread", median(ones));
    println!("{:<32}{:>8.0}", "uploaded, one upload at a time", median(uploads));
    println!("{:<32}{:>8.2}", "of one thread times the cores", median(shares));
    Ok(())
}

fn per_second(time: Duration) -> f64 {
    UPLOADED as f64 / time.as_secs_f64()
}

/// Of ciphersuite 1, each with an init key of its own.
fn key_packages() -> Fallible<Vec<Vec<u8>>> {
    let suite = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;
    let (provider, signer) = (
        OpenMlsRustCrypto::default(),
        SignatureKeyPair::new(suite.signature_algorithm())?,
    );
    let credential = CredentialWithKey {
        credential: BasicCredential::new("bob".into()).into(),
        signature_key: signer.to_public_vec().into(),
    };
    let packages = (0..UPLOADED).map(|_| {
        let made = KeyPackage::builder().build(suite, &provider, &signer, credential.clone())?;
        Ok(made.key_package().tls_serialize_detached()?)
    });
    packages.collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "OpenMLS dates its packages by the system's clock"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn timed(run: impl FnOnce() -> Fallible<()>) -> Fallible<Duration> {
    let start = Instant::now();
    run()?;
    Ok(start.elapsed())
}
