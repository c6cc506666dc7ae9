//! Refreshing by itself: POOL-7, on tokio's own time.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use kp_client::{CiphersuitePlan, KeyPackagePool};
use kp_core::protocol::{KeyPackageTransport, SyncReport, TransportError, UploadOutcome};
use kp_core::{KeyPackageBytes, KeyPackageRef};
use kp_openmls::OpenMlsVault;
use kp_test_support::messenger::{Bob, SUITE, Vault, World};
use tokio::time::{Instant, sleep};

/// Counts the rounds, and fails some.
struct Counted {
    inner: Arc<dyn KeyPackageTransport>,
    syncs: AtomicU32,
    failures: AtomicU32,
}

#[async_trait]
impl KeyPackageTransport for Counted {
    async fn upload(&self, packages: &[KeyPackageBytes]) -> Result<Vec<UploadOutcome>, TransportError> {
        self.inner.upload(packages).await
    }

    async fn sync(&self, mine: &[KeyPackageRef]) -> Result<SyncReport, TransportError> {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        let fails = |failures: u32| failures.checked_sub(1);
        if self
            .failures
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, fails)
            .is_ok()
        {
            return Err(TransportError::new("unreachable"));
        }
        self.inner.sync(mine).await
    }

    async fn withdraw(&self, refs: &[KeyPackageRef]) -> Result<(), TransportError> {
        self.inner.withdraw(refs).await
    }
}

fn counted(world: &World, bob: &Bob, failures: u32) -> (KeyPackagePool<Vault>, Arc<Counted>) {
    let counted = Arc::new(Counted {
        inner: bob.transport(world),
        syncs: AtomicU32::new(0),
        failures: AtomicU32::new(failures),
    });
    let pool = KeyPackagePool::builder(bob.vault(), Arc::new(bob.metadata.clone()), counted.clone())
        .clock(world.clock.clone())
        .ciphersuite(CiphersuitePlan::last_resort_only(SUITE))
        .build()
        .unwrap();
    (pool, counted)
}

/// At once, and then about every hour; a failure does not stop it.
#[tokio::test(start_paused = true)]
async fn a_refresher_refreshes_now_and_then() {
    let (world, bob) = (World::new(), Bob::new());
    let (pool, counted) = counted(&world, &bob, 1);
    let refresher = pool.start_refresher(Duration::from_secs(3_600));
    sleep(Duration::from_secs(60)).await;
    assert_eq!(counted.syncs.load(Ordering::SeqCst), 1);
    assert!(world.last_resort(&bob).await.is_none(), "it failed");
    sleep(Duration::from_secs(4_500)).await;
    assert!(world.last_resort(&bob).await.is_some());

    let before = counted.syncs.load(Ordering::SeqCst);
    sleep(Duration::from_secs(100 * 3_600)).await;
    let rounds = counted.syncs.load(Ordering::SeqCst) - before;
    assert!(
        (80..=134).contains(&rounds),
        "{rounds} rounds in 100 hours, give or take a quarter"
    );

    refresher.stop().await;
    let after = counted.syncs.load(Ordering::SeqCst);
    sleep(Duration::from_secs(100 * 3_600)).await;
    assert_eq!(counted.syncs.load(Ordering::SeqCst), after, "it has stopped");
}

/// No two refreshers pause alike: a server is not asked by all of them at one moment, for ever after an outage.
#[tokio::test(start_paused = true)]
async fn refreshers_come_apart() {
    let mut pauses = BTreeSet::new();
    for _ in 0..4 {
        let (world, bob) = (World::new(), Bob::new());
        let (pool, counted) = counted(&world, &bob, 0);
        let begun = Instant::now();
        let refresher = pool.start_refresher(Duration::from_secs(3_600));
        while counted.syncs.load(Ordering::SeqCst) < 2 {
            sleep(Duration::from_secs(1)).await;
        }
        pauses.insert(begun.elapsed().as_secs());
        refresher.stop().await;
    }
    assert!(pauses.len() > 1, "all of them paused for {pauses:?} s");
}

/// Something is due before the hour is over.
#[tokio::test(start_paused = true)]
async fn a_refresher_comes_earlier_when_something_is_due() {
    let (world, bob) = (World::new(), Bob::new());
    let vault = bob.vault().lifetime(Duration::from_secs(1_000));
    let pool = KeyPackagePool::<OpenMlsVault<_>>::builder(vault, Arc::new(bob.metadata.clone()), bob.transport(&world))
        .clock(world.clock.clone())
        .ciphersuite(CiphersuitePlan::last_resort_only(SUITE))
        .build()
        .unwrap();
    let refresher = pool.start_refresher(Duration::from_secs(86_400));
    sleep(Duration::from_secs(899)).await;
    let first = world.last_resort(&bob).await.unwrap();
    world.clock.advance(900);
    sleep(Duration::from_secs(2)).await;
    assert_ne!(
        world.last_resort(&bob).await.unwrap(),
        first,
        "renewed in the last tenth of its life"
    );
    drop(refresher);
}

/// Dropping it stops it.
#[tokio::test(start_paused = true)]
async fn a_refresher_that_is_dropped_stops() {
    let (world, bob) = (World::new(), Bob::new());
    let (pool, counted) = counted(&world, &bob, 0);
    let refresher = pool.start_refresher(Duration::from_secs(60));
    sleep(Duration::from_secs(1)).await;
    drop(refresher);
    sleep(Duration::from_secs(86_400)).await;
    assert_eq!(counted.syncs.load(Ordering::SeqCst), 1);
}

/// For an app without a background.
#[tokio::test]
async fn every_so_many_messages_the_pool_is_refreshed() {
    let (world, bob) = (World::new(), Bob::new());
    let (pool, counted) = counted(&world, &bob, 1);
    let every = pool.refresh_every(NonZeroU32::new(10).unwrap());
    for message in 1..=40 {
        let answer = every.message().await;
        match message {
            10 => assert!(answer.is_err(), "the server is away"),
            20 => assert_eq!(answer.unwrap().unwrap().uploaded, 1),
            30 | 40 => assert_eq!(answer.unwrap().unwrap().uploaded, 0),
            _ => assert_eq!(answer.unwrap(), None),
        }
    }
    assert_eq!(counted.syncs.load(Ordering::SeqCst), 4);
}

/// However long the pause is that an app asks for, give or take a quarter, the task lives.
#[tokio::test(start_paused = true)]
async fn the_longest_pause_is_no_panic() {
    for _ in 0..20 {
        let (world, bob) = (World::new(), Bob::new());
        let (pool, counted) = counted(&world, &bob, 0);
        let refresher = pool.start_refresher(Duration::MAX);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(counted.syncs.load(Ordering::SeqCst), 1);
        world.clock.advance(84 * 86_400);
        sleep(Duration::from_secs(84 * 86_400)).await;
        assert!(
            counted.syncs.load(Ordering::SeqCst) > 1,
            "it comes again when something is due"
        );
        refresher.stop().await;
    }
}
