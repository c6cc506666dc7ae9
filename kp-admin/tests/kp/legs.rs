//! A copy over every backend, from a file to a file, killed on its way.
//!
//! `KP_COPY_POOLS=10000` copies as many pools of 100 packages, kills ten copies, and prints how many packages a second each leg
//! moved, beside how many the target takes by saves of 100 (`scripts/copy-million`). A usual test copies 24 pools.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _};
use kp_core::server::{KeyPackageStore, Save};
use kp_postgres::PostgresStore;
use kp_redis::RedisStore;
use kp_sqlite::SqliteStore;
use kp_test_support::postgres::Postgres;
use kp_test_support::servers::{Cluster, redis};
use serde_json::Value;

use crate::scene::{Scene, fresh_packages, json, kp, now, pool};

/// The packages of a pool.
const PACKAGES: u32 = 100;

/// How many copies of each leg are killed.
const KILLED: [usize; 3] = [3, 4, 3];

/// How many pools are saved to tell how fast the target is.
const SAVED: u32 = 2_000;

/// As many as `kp copy` has under way.
const AT_ONCE: usize = 16;

struct Leg {
    copying: Duration,
    comparing: f64,
    digest: Value,
}

#[expect(clippy::disallowed_methods, reason = "it measures")]
fn moment() -> Instant {
    Instant::now()
}

fn start(from: &str, to: &str, rate: Option<u32>) -> Child {
    let mut copy = Command::new(env!("CARGO_BIN_EXE_kp"));
    copy.args(["copy", from, to, "--json"]);
    if let Some(rate) = rate {
        copy.args(["--rate", &rate.to_string()]);
    }
    copy.stdout(Stdio::null()).spawn().expect("it starts")
}

/// Counts the pools of a store, which need not be there yet.
fn pools_in(store: &str) -> usize {
    let ran = kp(&["pools", store, "--json"]);
    if ran.status.code() == Some(3) {
        return 0;
    }
    let pools: Vec<String> = serde_json::from_slice(&ran.stdout).expect("a list");
    pools.len()
}

/// Copies, and kills so many copies on the way, each when it has copied its share.
fn leg(from: &str, to: &str, pools: usize, killed: usize, rate: Option<u32>) -> Leg {
    let mut copying_time = Duration::ZERO;
    let mut there = 0;
    for kill in 1..=killed {
        let due = pools * kill / (killed + 1);
        let begin = moment();
        let mut copying = start(from, to, rate);
        while there < due {
            assert_eq!(
                copying.try_wait().expect("it is there"),
                None,
                "it goes on until it is killed"
            );
            std::thread::sleep(Duration::from_millis(20));
            there = pools_in(to);
        }
        copying.kill().expect("it goes on until it is killed");
        copying.wait().expect("it was killed");
        copying_time += begin.elapsed();
        println!("    killed with {there} of {pools} pools copied");
        assert!(there < pools, "it was killed on its way");
    }
    let copied = json(&["copy", from, to]);
    let seconds = |name: &str| copied[name].as_f64().expect("a number");
    let were_there = usize::try_from(copied["were_there"].as_u64().expect("a number")).expect("it fits");
    // What was under way when the last one was killed may have arrived after the look.
    assert!(were_there >= there && copied["pools"] == pools - were_there, "{copied}");
    assert_eq!(copied["differing"], 0);
    Leg {
        copying: copying_time + Duration::from_secs_f64(seconds("copy_seconds")),
        comparing: seconds("compare_seconds"),
        digest: copied["digest"].clone(),
    }
}

/// Saves packages, and returns how many a second.
async fn saved_a_second(store: &dyn KeyPackageStore, pools: u32) -> f64 {
    let begin = moment();
    let saves = futures::stream::iter(0..pools).map(|n| async move {
        let save = Save::new(pool(&format!("saved-{n}")), fresh_packages(PACKAGES)).expect("it is short");
        store.save_key_packages(&save, now()).await.map(drop)
    });
    let saves = saves.buffer_unordered(AT_ONCE).try_collect::<()>();
    saves.await.expect("the store is sound");
    f64::from(pools * PACKAGES) / begin.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_over_every_backend_ends_as_it_began() {
    let asked: Option<u32> = std::env::var("KP_COPY_POOLS").ok().and_then(|pools| pools.parse().ok());
    let pools = asked.unwrap_or(24);
    // Slow enough to be killed on its way.
    let rate = asked.is_none().then_some(pools * PACKAGES / 2);
    let scene = Scene::new();
    // A cache and a log as a server has them.
    let settings = ["shared_buffers = 512MB", "max_wal_size = 4GB"];
    let postgres = match asked {
        Some(_) => Postgres::start_in(&std::env::temp_dir(), &settings),
        None => Postgres::start(&[]),
    };
    let cluster = Cluster::start(redis());
    scene.fill_with("first.db", pools, PACKAGES).await;
    let first = json(&["check", &scene.url("first.db")]);
    assert_eq!(first["records"], pools * PACKAGES);
    println!("{pools} pools with {} records in the first file", first["records"]);

    let stops = [
        scene.url("first.db"),
        format!("{}&schema=copied", postgres.url()),
        format!("{}?prefix=copied:&buckets=256", cluster.url()),
        scene.url("last.db"),
    ];
    let saved = if asked.is_some() { pools.min(SAVED) } else { 2 };
    for (stop, killed) in stops.windows(2).zip(KILLED) {
        let leg = leg(&stop[0], &stop[1], pools as usize, killed, rate);
        let store = target(&stop[1], &scene.path("saved.db")).await;
        let saves = saved_a_second(&*store, saved).await;
        let moved = f64::from(pools * PACKAGES) / leg.copying.as_secs_f64();
        let scheme = stop[1].split(':').next().unwrap_or_default();
        println!(
            "to {scheme}: {moved:.0} packages a second copied, {killed} kills included; saves of {PACKAGES}: {saves:.0} a second; \
             ratio {:.2}; compared in {:.1} s",
            moved / saves,
            leg.comparing
        );
        assert_eq!(leg.digest, first["digest"]);
    }
    assert_eq!(json(&["check", &stops[3]]), first);
    assert_eq!(json(&["counts", &stops[0]]), json(&["counts", &stops[3]]));
    postgres.stop();
}

/// Opens another store on the same server, or another file.
async fn target(url: &str, file: &Path) -> Box<dyn KeyPackageStore> {
    let address = url.split_once(['?', '&']).map_or(url, |(address, _)| address);
    match url.split(':').next() {
        Some("sqlite") => Box::new(SqliteStore::open(file).await.expect("it opens")),
        Some("redis-cluster") => {
            let builder = RedisStore::builder(address).prefix("saved:");
            Box::new(builder.open().await.expect("it opens"))
        }
        _ => {
            let builder = PostgresStore::builder(url.replace("&schema=copied", "")).schema("saved");
            Box::new(builder.connect().await.expect("it opens"))
        }
    }
}
