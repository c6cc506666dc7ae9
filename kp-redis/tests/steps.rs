//! How long the server runs nothing else: sweeps go in steps, and what must be one step is quick. The figures are printed; what
//! is asserted is the work, since a busy machine keeps no time.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod calls;
mod packages;

use std::collections::BTreeMap;
use std::time::Duration;

use calls::servers;
use kp_core::audit::AuditPools;
use kp_core::key_package::{CredentialType, ExtensionType};
use kp_core::moving::MovePools;
use kp_core::server::*;
use kp_core::*;
use kp_redis::RedisStore;
use kp_test_support::servers::Server;
use packages::{key_package_ref, now, pool, save, take};

/// What the server ran since the last reset: the scripts, each with its microseconds, and how often each command.
struct Ran {
    scripts: Vec<u64>,
    /// Microseconds of its main thread, however busy the machine is.
    cpu: u64,
    commands: BTreeMap<String, u64>,
}

/// The microseconds that the server's main thread has run.
fn cpu(server: &Server) -> u64 {
    let info: String = server.command(&["INFO", "cpu"]).unwrap();
    let of = |name: &str| -> f64 {
        let line = info.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().parse().unwrap()
    };
    let seconds = of("used_cpu_sys_main_thread:") + of("used_cpu_user_main_thread:");
    Duration::from_secs_f64(seconds).as_micros().try_into().unwrap()
}

fn reset(server: &Server) -> u64 {
    let () = server
        .command(&["CONFIG", "SET", "slowlog-log-slower-than", "0"])
        .unwrap();
    let () = server.command(&["CONFIG", "SET", "slowlog-max-len", "100000"]).unwrap();
    let () = server.command(&["CONFIG", "RESETSTAT"]).unwrap();
    let () = server.command(&["SLOWLOG", "RESET"]).unwrap();
    cpu(server)
}

fn ran(server: &Server, begin: u64) -> Ran {
    let cpu = cpu(server) - begin;
    type Entry = (u64, u64, u64, Vec<Vec<u8>>, Vec<u8>, Vec<u8>);
    let log: Vec<Entry> = server.command(&["SLOWLOG", "GET", "100000"]).unwrap();
    let scripts = log.into_iter().filter(|entry| entry.3[0] == b"FCALL");
    let stats: String = server.command(&["INFO", "commandstats"]).unwrap();
    let commands = stats.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
    });
    Ran {
        cpu,
        scripts: scripts.map(|entry| entry.2).collect(),
        commands: commands.collect(),
    }
}

impl Ran {
    /// The median, the 99th of a hundred, and the longest.
    fn times(&self) -> String {
        let mut times = self.scripts.clone();
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100];
        format!("{} steps of {}, {}, {} us", times.len(), at(50), at(99), at(100))
    }

    fn of(&self, command: &str) -> u64 {
        self.commands.get(command).copied().unwrap_or_default()
    }
}

async fn open(server: &Server) -> RedisStore {
    let builder = RedisStore::builder(server.url())
        .buckets(1)
        .timeout(Duration::from_secs(60));
    builder.open().await.unwrap()
}

/// Saves packages of these numbers, without a cap. `ends` is when they expire.
async fn fill(store: &RedisStore, pool: &PoolId, numbers: std::ops::Range<u32>, ends: Timestamp) {
    for first in numbers.clone().step_by(500) {
        let mut packages = save(pool, first..numbers.end.min(first + 500)).packages().to_vec();
        for item in &mut packages {
            item.package.info.lifetime = Lifetime::new(now(), ends).unwrap();
        }
        let save = Save::new(pool.clone(), packages).unwrap().cap_per_ciphersuite(20_000);
        let outcomes = store.save_key_packages(&save, now()).await.unwrap();
        assert!(outcomes.iter().all(|outcome| *outcome == SaveOutcome::Saved));
    }
}

#[tokio::test]
async fn a_cleanup_reads_what_it_forgets_and_each_record_kept_once_a_pass() {
    let (soon, late) = (now().plus(1_000), now().plus(50_000));
    for server in servers(&[]) {
        let store = open(&server).await;
        for number in 0..4 {
            fill(&store, &pool(format!("old/{number}")), 0..10_000, soon).await;
        }
        let half = pool("half");
        fill(&store, &half, 0..5_000, soon).await;
        fill(&store, &half, 5_000..10_000, late).await;
        let used = reset(&server);
        let begin = tokio::time::Instant::now();
        let (mut forgotten, mut turns) = (0, 0);
        loop {
            let count = store.cleanup_expired(soon, 500).await.unwrap();
            if count == 0 {
                break;
            }
            assert!(count <= 500);
            (forgotten, turns) = (forgotten + count, turns + 1);
        }
        let (took, ran) = (begin.elapsed(), ran(&server, used));
        println!(
            "45,000 of 50,000 records: {turns} sweeps, {took:?}, {} (median, 99 %, longest)",
            ran.times()
        );
        assert_eq!(forgotten, 45_000);
        // A page has some 200 records: one pass over all, and of the pool that keeps half one for each sweep of it.
        assert_eq!(ran.of("hgetall"), 0);
        assert!(
            ran.of("hscan") < 50_000 / 200 * 3 + 11 * 50,
            "{} pages",
            ran.of("hscan")
        );
        let counts = store.count_by_status(&half, soon).await.unwrap().of(Ciphersuite(1));
        assert_eq!((counts.available, counts.expired), (5_000, 0));
        assert_eq!(
            store.list_pools(None, 10).await.unwrap().items,
            std::slice::from_ref(&half)
        );

        // The index knows when the rest ends: nothing is read before.
        let used = reset(&server);
        assert_eq!(store.cleanup_expired(late.minus(1), 500).await.unwrap(), 0);
        assert_eq!(self::ran(&server, used).of("hscan"), 0);
        while store.cleanup_expired(late, 10_000).await.unwrap() > 0 {}
        assert_eq!(store.list_pools(None, 10).await.unwrap().items, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_saved_beside_a_cleanup_is_swept_at_its_time() {
    let (soon, late) = (now().plus(1_000), now().plus(50_000));
    for server in servers(&[]) {
        let store = open(&server).await;
        let bob = pool("bob");
        fill(&store, &bob, 0..4_000, soon).await;
        fill(&store, &bob, 4_000..8_000, late).await;
        // Each of these expires before all that is kept: lost to the index, it would stay until then.
        let saving = tokio::spawn({
            let (store, bob) = (store.clone(), bob.clone());
            async move {
                for number in 0..200 {
                    fill(&store, &bob, 20_000 + number..20_001 + number, now().plus(2_000)).await;
                }
            }
        });
        while !saving.is_finished() {
            store.cleanup_expired(soon, 1_000).await.unwrap();
        }
        saving.await.unwrap();
        while store.cleanup_expired(soon, 1_000).await.unwrap() > 0 {}
        while store.cleanup_expired(now().plus(2_000), 1_000).await.unwrap() > 0 {}
        let counts = store
            .count_by_status(&bob, now().plus(2_000))
            .await
            .unwrap()
            .of(Ciphersuite(1));
        assert_eq!((counts.available, counts.expired), (4_000, 0));
    }
}

#[tokio::test]
async fn a_sweep_of_lapses_settles_in_steps() {
    for server in servers(&[]) {
        let store = open(&server).await;
        let bob = pool("bob");
        fill(&store, &bob, 0..5_000, now().plus(50_000)).await;
        for first in (0..5_000).step_by(200) {
            let takes: Vec<_> = (first..first + 200).map(|number| take(&bob, number)).collect();
            let leased = store.reserve_key_packages(&takes, OnLapse::Return, now()).await;
            assert!(leased.iter().all(Result::is_ok));
        }
        let used = reset(&server);
        // The limit counts pools, whatever steps it takes.
        assert_eq!(
            store.release_expired_reservations(now().plus(60), 1).await.unwrap(),
            5_000
        );
        let ran = ran(&server, used);
        println!("5,000 lapses: {}", ran.times());
        assert!(ran.scripts.len() >= 50, "{}", ran.scripts.len());
        assert_eq!(store.release_expired_reservations(now().plus(60), 1).await.unwrap(), 0);
        let counts = store
            .count_by_status(&bob, now().plus(60))
            .await
            .unwrap()
            .of(Ciphersuite(1));
        assert_eq!((counts.available, counts.reserved), (5_000, 0));
    }
}

#[tokio::test]
async fn what_must_be_one_step_is_one() {
    for server in servers(&[]) {
        let store = open(&server).await;
        let (bob, ends) = (pool("bob"), now().plus(50_000));
        let mut figures = Vec::new();
        let mut figure = |what: &str, used: u64, records: u64| {
            let ran = ran(&server, used);
            assert_eq!(ran.scripts.len(), 1, "{what}");
            figures.push(format!("{what} {:.1}", ran.cpu as f64 / records as f64));
        };
        fill(&store, &bob, 0..9_000, ends).await;
        store
            .withdraw_key_packages(&pool("warm"), &Withdrawal::All, now())
            .await
            .unwrap();
        store.delete_pool(&pool("warm")).await.unwrap();
        store.count_by_status(&pool("warm"), now()).await.unwrap();
        // The scripts are in the server's memory.
        let nothing = store.export_pool(&pool("warm")).await.unwrap();
        assert!(nothing.is_empty());
        fill(&store, &pool("warm"), 0..1, ends).await;
        let one = store.export_pool(&pool("warm")).await.unwrap();
        store.delete_pool(&pool("warm")).await.unwrap();
        store.import_pool(&pool("warm"), &one).await.unwrap();
        assert_eq!(store.audit_pool(&pool("warm")).await.unwrap(), []);
        store.repair_pool(&pool("warm")).await.unwrap();
        store.delete_pool(&pool("warm")).await.unwrap();
        let used = reset(&server);
        let replace = Save::new(bob.clone(), save(&bob, 20_000..20_001).packages().to_vec()).unwrap();
        let outcomes = store
            .save_key_packages(&replace.mode(SaveMode::Replace), now())
            .await
            .unwrap();
        assert_eq!(outcomes, [SaveOutcome::Saved]);
        figure("replace", used, 9_000);

        store.delete_pool(&bob).await.unwrap();
        fill(&store, &bob, 0..9_000, ends).await;
        let used = reset(&server);
        let withdrawn = store
            .withdraw_key_packages(&bob, &Withdrawal::All, now())
            .await
            .unwrap();
        assert_eq!(withdrawn.len(), 9_000);
        figure("withdraw all", used, 9_000);

        store.delete_pool(&bob).await.unwrap();
        fill(&store, &bob, 0..9_000, ends).await;
        let used = reset(&server);
        let refs: Vec<_> = (0..1_000).map(key_package_ref).collect();
        store
            .withdraw_key_packages(&bob, &Withdrawal::Refs(refs), now())
            .await
            .unwrap();
        figure("withdraw 1,000", used, 1_000);
        let used = reset(&server);
        store.count_by_status(&bob, now()).await.unwrap();
        figure("count", used, 9_000);
        let used = reset(&server);
        let whole = store.export_pool(&bob).await.unwrap();
        figure("export", used, 9_000);
        let used = reset(&server);
        assert_eq!(store.audit_pool(&bob).await.unwrap(), []);
        store.repair_pool(&bob).await.unwrap();
        let audited = ran(&server, used);
        assert_eq!(audited.scripts.len(), 3);
        println!("audit, its records, repair: {:?} us", audited.scripts);
        assert_eq!(store.export_pool(&bob).await.unwrap(), whole);
        let used = reset(&server);
        store.delete_pool(&bob).await.unwrap();
        figure("delete", used, 9_000);
        let used = reset(&server);
        store.import_pool(&bob, &whole).await.unwrap();
        figure("import", used, 9_000);
        println!("microseconds a record: {}", figures.join(", "));
    }
}

/// COST-1: requests whose requirements no package meets read the pool once a call. RES-3: a request that requires nothing runs the
/// commands of before, and one whose requirements the first package meets runs no more.
#[tokio::test]
async fn requirements_cost_no_command() {
    for server in servers(&[]) {
        let store = open(&server).await;
        let bob = pool("bob");
        fill(&store, &bob, 0..2_000, now().plus(50_000)).await;
        let requiring = |id: u64, required: Requirements| {
            let options = TakeOptions::new().requirements(required);
            TakeRequest::new(bob.clone(), packages::id(id), Ttl::seconds(60).unwrap()).options(options)
        };
        let basic = || Requirements::new().credentials([CredentialType::BASIC]).unwrap();
        let unknown = || Requirements::new().extensions([ExtensionType(0xF001)]).unwrap();
        // The script is in the server's memory, and the pool has a window.
        store.claim_key_package(&take(&bob, 1), None, now()).await.unwrap();
        let mut counted = Vec::new();
        for (id, required) in [(2, Requirements::new()), (3, basic())] {
            let used = reset(&server);
            store
                .claim_key_package(&requiring(id, required), None, now())
                .await
                .unwrap();
            let mut commands = ran(&server, used).commands;
            for of_the_test in ["config|resetstat", "slowlog|reset", "slowlog|get", "info", "config|set"] {
                commands.remove(of_the_test);
            }
            counted.push(commands);
        }
        println!("a claim: {:?}", counted[0]);
        assert_eq!(counted[0], counted[1]);

        let used = reset(&server);
        let takes: Vec<_> = (1_000..1_100).map(|id| requiring(id, unknown())).collect();
        let answers = store.claim_key_packages(&takes, None, now()).await;
        assert!(
            answers
                .iter()
                .all(|answer| matches!(answer, Err(Error::Rejected(Rejection::NothingFits))))
        );
        let ran = ran(&server, used);
        println!(
            "100 claims that require what no package supports: {:?}, {}",
            ran.commands,
            ran.times()
        );
        // Pages of 1, 8, 64, 512, 512, ... packages.
        assert!(ran.of("hmget") <= 100 + 10, "{:?}", ran.commands);
    }
}
