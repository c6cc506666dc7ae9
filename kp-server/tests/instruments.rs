//! A span and metrics for every operation, without secrets: DIR-3, ERR-4.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

mod world;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt as _;
use kp_conformance::{Fault, FaultyStore};
use kp_core::server::TakeOptions;
use kp_core::server::{Spend, Withdrawal};
use kp_core::{ManualClock, PoolId};
use kp_memory::MemoryStore;
use kp_server::{KeyPackageDirectory, NoticeKind, Take};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tracing_subscriber::fmt::format::FmtSpan;
use world::{DAY, Made, Outage, PlainAdmission, WallClock, World, bob, group, made, party, retry_key, start, to_bob};

/// The runtime of these tests has one thread, so that recorder and subscriber can be those of the thread.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().build().unwrap().block_on(future)
}

/// Counters and gauges by name and labels, and how many values each histogram has.
fn recorded(snapshotter: &Snapshotter) -> BTreeMap<String, u64> {
    let entries = snapshotter.snapshot().into_vec().into_iter();
    entries
        .map(|(key, _, _, value)| {
            let labels: Vec<_> = key.key().labels().map(|label| label.value().to_owned()).collect();
            let name = format!("{} {}", key.key().name(), labels.join(" "));
            let value = match value {
                DebugValue::Counter(count) => count,
                DebugValue::Histogram(values) => u64::try_from(values.len()).unwrap(),
                // The only gauges are times, in whole seconds.
                DebugValue::Gauge(time) => time.into_inner() as u64,
            };
            (name, value)
        })
        .collect()
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What was counted, and everything that is logged, spans and all, at every level.
///
/// Both in every test: whether anybody listens to an event is remembered for the whole process, and while there is one
/// subscriber alone, it is the thread that comes first that is asked.
fn observed<T>(future: impl Future<Output = T>) -> (T, BTreeMap<String, u64>, String) {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let answer = tracing::subscriber::with_default(subscriber, || {
        metrics::with_local_recorder(&recorder, || block_on(future))
    });
    (answer, recorded(&snapshotter), log.text())
}

/// Every operation once, with answers of every kind.
async fn everything() {
    let world = World::new();
    let mut packages = made(3);
    packages.push(b"nonsense".to_vec());
    packages.push(Made::new("last").last_resort().bytes());
    world.upload(packages).await;
    assert!(world.directory.upload(to_bob(made(201))).await.is_err());
    assert!(world.directory.upload(to_bob(vec![b"panic".to_vec()])).await.is_err());

    let ask = Take::new()
        .options(TakeOptions::new().by(party("alice-hash")))
        .id(retry_key(0xAB))
        .group(group("secret-group"));
    world.directory.claim(&bob(), &ask).await.unwrap();
    let reserved = world.directory.reserve(&bob(), &Take::new()).await.unwrap();
    let token = reserved.lease.unwrap().token;
    let _ = world.directory.renew(&[token.clone(), token.clone()], None).await;
    for answer in world.directory.release(&[token.clone(), token.clone()]).await {
        drop(answer);
    }
    let leased = world.directory.reserve_many(&[bob(), bob()], &Take::new()).await;
    let token = leased[0].as_ref().unwrap().lease.as_ref().unwrap().token.clone();
    let usage = Spend::new().group(group("secret-group")).by(party("alice-hash"));
    let _ = world.directory.spend(std::slice::from_ref(&token), &usage).await;
    let _ = world.directory.claim_many(&[bob()], &Take::new()).await;
    let _ = world.directory.claim_many(&[bob()], &Take::new()).await;
    world.directory.status(&bob()).await.unwrap();
    world.directory.sync(&bob(), &[]).await.unwrap();
    world.directory.get(&bob(), &token.key_package_ref).await.unwrap();
    world.directory.list_available(&bob(), None, 5).await.unwrap();
    world.directory.list_pools(None, 5).await.unwrap();
    world.directory.retire_unspent(start()).await.unwrap();
    world.directory.withdraw(&bob(), &Withdrawal::All).await.unwrap();
    world.clock.advance(40 * DAY);
    world.directory.sweep().await.unwrap();
    world.directory.delete_pool(&bob()).await.unwrap();
}

const OPERATIONS: [&str; 16] = [
    "upload",
    "claim",
    "claim_many",
    "reserve",
    "reserve_many",
    "spend",
    "release",
    "renew",
    "get",
    "list_available",
    "status",
    "sync",
    "list_pools",
    "retire_unspent",
    "withdraw",
    "delete_pool",
];

/// DIR-3: operation, outcome, source and latency of each.
#[test]
fn every_operation_is_counted() {
    let ((), recorded, _) = observed(everything());
    let answers = |labels: &str| {
        recorded
            .get(&format!("keypackage_directory_answers_total {labels}"))
            .copied()
    };
    for (labels, count) in [
        ("upload saved none", 4),
        ("upload malformed none", 1),
        ("upload too_many_packages none", 1),
        ("upload admission_failed none", 1),
        ("claim ok one_time", 1),
        ("reserve ok one_time", 1),
        ("release ok none", 1),
        ("release no_live_reservation none", 1),
        ("renew ok none", 2),
        ("get ok none", 1),
        ("list_available ok none", 1),
        ("reserve_many ok one_time", 2),
        ("spend ok none", 1),
        ("claim_many ok one_time", 1),
        ("claim_many ok last_resort", 1),
        ("status ok none", 1),
        ("sync ok none", 1),
        ("list_pools ok none", 1),
        ("retire_unspent ok none", 1),
        ("withdraw ok none", 1),
        ("sweep ok none", 1),
        ("delete_pool ok none", 1),
    ] {
        assert_eq!(answers(labels), Some(count), "{labels} in {recorded:#?}");
    }
    for operation in OPERATIONS.into_iter().chain(["sweep"]) {
        let calls = recorded.get(&format!("keypackage_directory_seconds {operation}"));
        assert!(calls.is_some(), "no latency of {operation}");
    }
    assert_eq!(recorded["keypackage_directory_seconds upload"], 3);
    assert_eq!(recorded["keypackage_directory_swept_total expired"], 4);
    assert!(recorded.contains_key("keypackage_directory_swept_total lapsed"));
    // DIR-4: what has expired is kept one skew longer.
    let swept = |what: &str| recorded[&format!("keypackage_directory_swept_timestamp_seconds {what}")];
    let now = u64::try_from(start().get()).unwrap() + 40 * DAY;
    assert_eq!((swept("lapsed"), swept("expired")), (now, now - 3_600));
}

/// DIR-3: an outage is told from a refusal, also in each answer of a batch.
#[test]
fn an_outage_is_counted_as_one() {
    let ((), recorded, _) = observed(async {
        let directory = KeyPackageDirectory::builder(Outage::new().faulty(), PlainAdmission)
            .clock(ManualClock::at(start()))
            .build()
            .unwrap();
        assert!(directory.claim(&bob(), &Take::new()).await.is_err());
        let _ = directory.claim_many(&[bob(), bob()], &Take::new()).await;
        assert!(directory.upload(to_bob(made(1))).await.is_err());
    });
    let answers = |labels: &str| recorded[&format!("keypackage_directory_answers_total {labels}")];
    assert_eq!(answers("claim outcome_unknown none"), 1);
    assert_eq!(answers("claim_many outcome_unknown none"), 2);
    assert_eq!(answers("upload outcome_unknown none"), 1);
    let failures = |labels: &str| recorded[&format!("keypackage_store_failures_total {labels}")];
    assert_eq!(failures("faulty claim_key_packages unknown"), 3);
    assert_eq!(failures("faulty save_key_packages unknown"), 1);
    assert!(
        !recorded
            .keys()
            .any(|name| name.starts_with("keypackage_directory_swept_timestamp_seconds"))
    );
}

/// DIR-3, ERR-1: what changed nothing is told from what may have.
#[test]
fn a_call_that_was_not_made_is_counted_as_one() {
    let ((), recorded, _) = observed(async {
        let faulty = FaultyStore::new(Arc::new(MemoryStore::new()), [Fault::NotMade, Fault::LostReply]);
        let directory = KeyPackageDirectory::builder(faulty, PlainAdmission).build().unwrap();
        for _ in 0..2 {
            assert!(directory.claim(&bob(), &Take::new()).await.is_err());
        }
    });
    let answers = |labels: &str| recorded[&format!("keypackage_directory_answers_total {labels}")];
    assert_eq!(answers("claim not_applied none"), 1);
    assert_eq!(answers("claim outcome_unknown none"), 1);
}

/// DIR-3: where a KeyPackage came from, also one that was to be lent.
#[test]
fn a_last_resort_is_counted_as_one() {
    let ((), recorded, _) = observed(async {
        let world = World::new();
        world.upload(vec![Made::new("last").last_resort().bytes()]).await;
        world.directory.claim(&bob(), &Take::new()).await.unwrap();
        world.directory.reserve(&bob(), &Take::new()).await.unwrap();
    });
    let answers = |labels: &str| recorded[&format!("keypackage_directory_answers_total {labels}")];
    assert_eq!(answers("claim ok last_resort"), 1);
    assert_eq!(answers("reserve ok last_resort"), 1);
}

/// DIR-3: a span for each operation, with what came of it.
#[test]
fn every_operation_has_a_span() {
    let ((), _, log) = observed(everything());
    for operation in OPERATIONS {
        let span = format!("keypackage_directory{{operation=\"{operation}\" answers=");
        assert!(log.contains(&span), "no span of {operation} in {log}");
    }
    for outcome in [
        r#"operation="upload" answers=5 outcome="mixed""#,
        r#"operation="release" answers=2 outcome="mixed""#,
        r#"operation="claim" answers=1 outcome="ok""#,
    ] {
        assert!(log.contains(outcome), "no {outcome} in {log}");
    }
}

/// DIR-3: a failure is logged, with its cause.
#[test]
fn a_failure_is_logged() {
    let (_, _, log) = observed(async {
        let store = Outage::new().faulty();
        let directory = KeyPackageDirectory::builder(store, PlainAdmission).build().unwrap();
        directory.claim(&bob(), &Take::new().id(retry_key(0xAB))).await
    });
    assert!(log.contains("WARN") && log.contains("claim failed"), "{log}");
    assert!(log.contains("the call was dropped on its way"), "{log}");
}

/// DIR-4: a leap of the sweeper's clock is logged and counted, once, and so is logged that expiry goes on.
#[test]
fn a_leap_of_the_clock_is_told() {
    let ((), recorded, log) = observed(async {
        tokio::time::pause();
        let clock = WallClock::new();
        let world = World::with(|policy| policy.clock(clock.clone()));
        let sweeper = world.directory.start_sweeper(Duration::from_secs(60));
        tokio::time::sleep(Duration::from_secs(2 * 3_600)).await;
        clock.leap(-7_200);
        tokio::time::sleep(Duration::from_secs(DAY + 120)).await;
        sweeper.stop().await;
    });
    assert_eq!(recorded["keypackage_directory_clock_leaps_total "], 1);
    assert_eq!(log.matches("the clock leapt").count(), 1, "{log}");
    assert!(log.contains("seconds=-7200"), "{log}");
    assert_eq!(log.matches("removed again").count(), 1, "{log}");
}

/// DIR-7: notices are counted by kind, and so is what the queue has no place for; neither is told by name in the log.
#[test]
fn notices_are_counted() {
    let ((), recorded, log) = observed(async {
        let (subscriber, mut notices) = kp_server::notices(1);
        let world = World::with(|policy| policy.notify(subscriber));
        world.upload(made(1)).await;
        let other = PoolId::try_from("carol/phone").unwrap();
        world.directory.claim(&other, &Take::new()).await.unwrap_err();
        world.directory.claim(&bob(), &Take::new()).await.unwrap();
        assert_eq!(notices.recv().await.unwrap().pool, bob());
    });
    assert_eq!(recorded["keypackage_directory_notices_total exhausted"], 1);
    assert_eq!(recorded["keypackage_directory_notices_dropped_total "], 1);
    assert!(!log.contains("bob") && !log.contains("carol"), "{log}");
}

/// DIR-7: a look that fails is logged, and the next call leads to another.
#[test]
fn a_notice_that_fails_is_logged() {
    let ((), _, log) = observed(async {
        let outage = Outage::new();
        let (subscriber, mut notices) = kp_server::notices(10);
        let builder = KeyPackageDirectory::builder(outage.faulty(), PlainAdmission).clock(ManualClock::at(start()));
        let directory = builder.notify(subscriber).build().unwrap();
        outage.gone.store(false, Ordering::SeqCst);
        directory.upload(to_bob(made(3))).await.unwrap();
        outage.gone.store(true, Ordering::SeqCst);
        assert!(notices.recv().now_or_never().is_none());
        outage.gone.store(false, Ordering::SeqCst);
        directory.claim(&bob(), &Take::new()).await.unwrap();
        assert_eq!(notices.recv().await.unwrap().kind, NoticeKind::Low);
    });
    assert!(log.contains("notices failed"), "{log}");
}

/// DIR-3, ERR-4: no package, id, token, party, group or pool in the log, nor in the labels of a metric.
#[test]
fn nothing_secret_is_told() {
    let ((), metrics, log) = observed(everything());
    let told = format!("{log}{metrics:?}").to_lowercase();
    for secret in [
        "bob",
        "alice-hash",
        "secret-group",
        "package-0",
        "key-of",
        "abababab",
        "171, 171",
        "nonsense",
    ] {
        assert!(!told.contains(secret), "{secret} in {told}");
    }
}
