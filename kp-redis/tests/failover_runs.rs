//! Masters are replaced under load, one after another: every answered call holds, calls fail for two time-outs at most, and
//! reads leave the old master within one.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod calls;
mod forwarder;
mod packages;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use forwarder::Forwarder;
use futures::future::join_all;
use kp_core::server::*;
use kp_core::*;
use kp_redis::RedisStore;
use kp_test_support::servers::{Server, until};
use packages::{now, pool, save, take};
use parking_lot::Mutex;
use tokio::time::Instant;

const TIMEOUT: Duration = Duration::from_secs(3);

/// How late a busy machine may wake a task that waited for a time-out.
const LATE: Duration = Duration::from_secs(4);

const WORKERS: u32 = 4;

/// How many answers are checked at once.
const CHUNK: usize = 16;

/// How a master is replaced. In each, connections to it stay open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Way {
    /// It becomes a replica.
    Demoted,
    /// It is stopped (SIGSTOP).
    Stopped,
    /// What is sent to it is swallowed.
    Swallowed,
    /// It goes on as a master, and knows nothing.
    CutOff,
}

const WAYS: [Way; 4] = [Way::Demoted, Way::Stopped, Way::Swallowed, Way::CutOff];

#[derive(Default)]
struct Log {
    saved: Vec<(PoolId, u32)>,
    claimed: Vec<(TakeRequest, KeyPackage)>,
    spent: Vec<(ReservationToken, Receipt)>,
    /// When calls failed, and how.
    failed: Vec<(Instant, BackendError)>,
    /// When reads began that did not see what only the new master has.
    stale: Vec<Instant>,
}

#[derive(Default)]
struct Shared {
    round: AtomicU32,
    ids: AtomicU64,
    /// How often each worker, and the reader, came round since the last change.
    turns: [AtomicU32; WORKERS as usize + 1],
    /// Whether the new master has its mark.
    marked: AtomicBool,
    done: AtomicBool,
    log: Mutex<Log>,
}

impl Shared {
    fn failed(&self, error: &Error) {
        let Error::Backend(failure) = error else {
            panic!("{error}")
        };
        self.log.lock().failed.push((Instant::now(), failure.clone()));
    }

    /// Waits until all have come round some times since now.
    async fn turns(&self, count: u32) {
        for turns in &self.turns {
            turns.store(0, Ordering::SeqCst);
        }
        let begin = Instant::now();
        while self.turns.iter().any(|turns| turns.load(Ordering::SeqCst) < count) {
            assert!(begin.elapsed() < 20 * TIMEOUT, "they no longer get on");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn work(store: RedisStore, worker: u32, shared: Arc<Shared>) {
    for step in 0.. {
        if shared.done.load(Ordering::SeqCst) {
            return;
        }
        let round = shared.round.load(Ordering::SeqCst);
        let bob = pool(format!("bob/{worker}/{round}"));
        let first = step * 2;
        let id = || shared.ids.fetch_add(1, Ordering::SeqCst);
        match store.save_key_packages(&save(&bob, first..first + 2), now()).await {
            Ok(_) => shared.log.lock().saved.push((bob.clone(), first)),
            Err(error) => shared.failed(&error),
        }
        let claim = take(&bob, id());
        match store.claim_key_package(&claim, None, now()).await {
            Ok(package) => shared.log.lock().claimed.push((claim, package)),
            Err(Error::Rejected(_)) => {}
            Err(error) => shared.failed(&error),
        }
        match store
            .reserve_key_package(&take(&bob, id()), OnLapse::Return, now())
            .await
        {
            Ok(reserved) => {
                let token = reserved.lease.unwrap().token;
                match store.spend_key_package(&token, &Spend::default(), now()).await {
                    Ok(receipt) => shared.log.lock().spent.push((token, receipt)),
                    // The lease was answered, so it holds.
                    Err(error @ Error::Rejected(_)) => panic!("round {round}: {error}"),
                    Err(error) => shared.failed(&error),
                }
            }
            Err(Error::Rejected(_)) => {}
            Err(error) => shared.failed(&error),
        }
        shared.turns[worker as usize].fetch_add(1, Ordering::SeqCst);
    }
}

/// Reads the mark of the round, which only the new master has.
async fn read(store: RedisStore, shared: Arc<Shared>) {
    while !shared.done.load(Ordering::SeqCst) {
        let (round, marked) = (
            shared.round.load(Ordering::SeqCst),
            shared.marked.load(Ordering::SeqCst),
        );
        let begin = Instant::now();
        let counts = store.count_by_status(&pool(format!("mark/{round}")), now()).await;
        match counts {
            Ok(counts) if counts.ciphersuites.is_empty() && marked => shared.log.lock().stale.push(begin),
            Ok(_) => {}
            Err(error) => shared.failed(&error),
        }
        shared.turns[WORKERS as usize].fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Replaces the first server by the second, and returns when.
async fn replace(
    way: Way,
    servers: &[Server; 3],
    order: [usize; 3],
    forwarder: &Forwarder,
    shared: &Shared,
) -> Instant {
    let [old, new, _] = order.map(|place| &servers[place]);
    match way {
        Way::Stopped => old.pause(),
        Way::Swallowed => forwarder.swallow(),
        Way::Demoted | Way::CutOff => {}
    }
    let () = new.command(&["REPLICAOF", "NO", "ONE"]).unwrap();
    forwarder.point_at(new);
    if way == Way::Demoted {
        let port = new.port().to_string();
        let () = old.command(&["REPLICAOF", "127.0.0.1", &port]).unwrap();
    }
    let round = shared.round.load(Ordering::SeqCst);
    let direct = RedisStore::open(new.url()).await.unwrap();
    let mark = save(&pool(format!("mark/{round}")), 0..1);
    direct.save_key_packages(&mark, now()).await.unwrap();
    shared.marked.store(true, Ordering::SeqCst);
    Instant::now()
}

async fn fail_over(binary: PathBuf, runs: u32) {
    let name = binary.file_name().unwrap().to_string_lossy().into_owned();
    let start = || Server::start_binary(binary.clone(), &["--repl-diskless-sync-delay", "0"]);
    let servers = [start(), start(), start()];
    servers[1].follow(&servers[0]);
    servers[2].follow(&servers[1]);
    let forwarder = Forwarder::to(&servers[0]).await;
    let store = RedisStore::builder(forwarder.url())
        .replicas(1)
        .timeout(TIMEOUT)
        .open()
        .await
        .unwrap();
    let shared = Arc::new(Shared::default());
    let mut tasks: Vec<_> = (0..WORKERS)
        .map(|worker| tokio::spawn(work(store.clone(), worker, Arc::clone(&shared))))
        .collect();
    tasks.push(tokio::spawn(read(store.clone(), Arc::clone(&shared))));

    // Which id each package went to, and for each way: runs, answers, failures, the longest that any failed or was stale.
    let mut handed_out: HashMap<(PoolId, KeyPackageRef), ReservationId> = HashMap::new();
    let mut table: HashMap<Way, (u32, usize, usize, Duration, Duration)> = HashMap::new();
    let mut order = [0, 1, 2];
    for run in 0..runs {
        let way = WAYS[run as usize % WAYS.len()];
        shared.marked.store(false, Ordering::SeqCst);
        shared.round.store(run, Ordering::SeqCst);
        shared.turns(5).await;
        let change = replace(way, &servers, order, &forwarder, &shared).await;
        shared.turns(5).await;
        // Whatever still used the old master would show by now.
        tokio::time::sleep_until(change + 2 * TIMEOUT).await;
        shared.turns(5).await;

        let log = std::mem::take(&mut *shared.log.lock());
        let answers = log.saved.len() + log.claimed.len() + log.spent.len();
        let since = |at: &Instant| at.saturating_duration_since(change);
        let failed = log.failed.iter().map(|(at, _)| since(at)).max().unwrap_or_default();
        let stale = log.stale.iter().map(since).max().unwrap_or_default();
        for (at, failure) in &log.failed {
            assert!(failure.is_transient(), "{name}, run {run}, {way:?}: {failure:?}");
            assert!(
                since(at) <= 2 * TIMEOUT + LATE,
                "{name}, run {run}, {way:?}: {failure:?} after {:?}",
                since(at)
            );
        }
        assert!(
            stale <= TIMEOUT,
            "{name}, run {run}, {way:?}: a read after {stale:?} saw the old master"
        );

        let at = || format!("{name}, run {run}, {way:?}");
        let saved = async |(bob, first): &(PoolId, u32)| {
            let again = store.save_key_packages(&save(bob, *first..first + 2), now()).await;
            let kept = |one: &SaveOutcome| matches!(one, SaveOutcome::AlreadyStored | SaveOutcome::AlreadySpent);
            assert!(
                again.as_ref().is_ok_and(|again| again.iter().all(kept)),
                "{}: {again:?}",
                at()
            );
        };
        let claimed = async |(claim, package): &(TakeRequest, KeyPackage)| {
            let again = store.claim_key_package(claim, None, now()).await.unwrap();
            assert_eq!(&again, package, "{}", at());
        };
        let spent = async |(token, receipt): &(ReservationToken, Receipt)| {
            let again = store.spend_key_package(token, &Spend::default(), now()).await.unwrap();
            assert_eq!(&again, receipt, "{}", at());
        };
        for some in log.saved.chunks(CHUNK) {
            join_all(some.iter().map(saved)).await;
        }
        for some in log.claimed.chunks(CHUNK) {
            join_all(some.iter().map(claimed)).await;
        }
        for some in log.spent.chunks(CHUNK) {
            join_all(some.iter().map(spent)).await;
        }
        let claims = log
            .claimed
            .into_iter()
            .map(|(claim, package)| (claim.pool, package.info.key_package_ref, claim.id));
        let spends = log.spent.into_iter().map(|(token, _)| {
            let id = token.id();
            (token.pool, token.key_package_ref, id)
        });
        for (pool, named, id) in claims.chain(spends) {
            let before = handed_out.insert((pool, named), id);
            assert!(before.is_none_or(|before| before == id), "{}: one went out twice", at());
        }
        let row = table.entry(way).or_default();
        *row = (
            row.0 + 1,
            row.1 + answers,
            row.2 + log.failed.len(),
            row.3.max(failed),
            row.4.max(stale),
        );

        // The old one is the last of the row again.
        let [old, new, last] = order;
        if way == Way::Stopped {
            servers[old].resume();
        }
        servers[old].follow(&servers[last]);
        order = [new, last, old];
        until(|| {
            let info: String = servers[new].command(&["INFO", "replication"]).ok()?;
            info.contains("state=online").then_some(())
        })
        .expect("the new master has its replica");
    }
    shared.done.store(true, Ordering::SeqCst);
    for task in tasks {
        task.await.unwrap();
    }
    println!("{name}, time-out {TIMEOUT:?}");
    for way in WAYS {
        let (runs, answers, failures, failed, stale) = table.get(&way).copied().unwrap_or_default();
        println!(
            "{way:?}: {runs} fail-overs, {answers} answers hold, {failures} calls failed, the last after {failed:?}, \
             stale reads for {stale:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_replace_a_master_loses_nothing_that_was_answered() {
    for binary in calls::binaries() {
        fail_over(binary, 4).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "several minutes"]
async fn twenty_fail_overs_each_lose_nothing_that_was_answered() {
    for binary in calls::binaries() {
        fail_over(binary, 20).await;
    }
}
