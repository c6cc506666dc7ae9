//! Sweeps, and the task that makes them: DIR-1, DIR-4.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

mod world;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kp_core::Status;
use kp_core::server::KeyPackageStore as _;
use kp_core::{Clock as _, ManualClock};
use kp_server::{KeyPackageDirectory, Swept, Take};
use world::{DAY, Made, Outage, PlainAdmission, World, bob, key_package_ref, made, start, to_bob};

/// DIR-4: what has expired is swept by a clock that is an hour slow by default, so that no node still hands it out.
#[tokio::test]
async fn a_sweep_waits_for_the_slowest_clock() {
    let world = World::new();
    world.upload(made(3)).await;
    world.clock.advance(30 * DAY + 3_599);
    assert_eq!(world.directory.sweep().await.unwrap(), Swept::default());
    world.clock.advance(1);
    let swept = world.directory.sweep().await.unwrap();
    assert_eq!((swept.expired, swept.lapsed), (3, 0));
    assert_eq!(world.directory.sweep().await.unwrap(), Swept::default());
}

/// DIR-4: the skew is the operator's.
#[tokio::test]
async fn a_single_node_needs_no_skew() {
    let world = World::with(|policy| policy.skew(Duration::ZERO));
    world.upload(made(3)).await;
    world.clock.advance(30 * DAY);
    assert_eq!(world.directory.sweep().await.unwrap().expired, 3);
}

/// DIR-1: leases and windows are settled by the clock itself, in as many steps as it takes.
#[tokio::test]
async fn a_sweep_ends_leases_and_goes_on_until_nothing_is_left() {
    let world = World::with(|policy| policy.cap_per_ciphersuite(2_000).max_upload(1_000));
    let mut all = made(1_200);
    let late = all.split_off(1_000);
    world.upload(all).await;
    world.upload(late).await;
    world.directory.reserve(&bob(), &Take::new()).await.unwrap();
    world.directory.claim(&bob(), &Take::new()).await.unwrap();
    world.clock.advance(60);
    assert_eq!(world.directory.sweep().await.unwrap().lapsed, 1);
    world.clock.advance(31 * DAY);
    assert_eq!(world.directory.sweep().await.unwrap().expired, 1_200);
}

/// What the store has of a package that expired, once a sweeper had its turn.
async fn swept_in_time(world: &World) -> bool {
    for _ in 0..1_000 {
        let refs = [key_package_ref("brief")];
        let statuses = world.store.get_statuses(&bob(), &refs, world.clock.now()).await;
        if statuses.unwrap() == [None] {
            return true;
        }
        // Time is paused: this is not a wait, but lets the runtime go to its next timer.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    false
}

fn brief() -> Vec<u8> {
    let mut brief = Made::new("brief");
    brief.not_after = start().plus(DAY);
    brief.bytes()
}

/// DIR-1: the sweeper sweeps now and then, and not after it was stopped.
#[tokio::test(start_paused = true)]
async fn a_sweeper_sweeps_until_it_is_stopped() {
    let world = World::new();
    world.upload(vec![brief()]).await;
    let sweeper = world.directory.start_sweeper(Duration::from_secs(60));
    world.clock.advance(2 * DAY);
    assert!(swept_in_time(&world).await);

    sweeper.stop().await;
    world.clock.set(start());
    world.upload(vec![brief()]).await;
    world.clock.advance(2 * DAY);
    assert!(!swept_in_time(&world).await);
}

/// DIR-1: a sweeper that is dropped stops, and lets the directory go.
#[tokio::test(start_paused = true)]
async fn a_dropped_sweeper_stops() {
    let World {
        store,
        clock,
        directory,
    } = World::new();
    let sweeper = directory.start_sweeper(Duration::ZERO);
    drop((directory, clock));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(Arc::strong_count(&store) > 1, "the sweeper runs");
    drop(sweeper);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(Arc::strong_count(&store), 1);
}

/// DIR-1: a sweep that fails is no end of the sweeping.
#[tokio::test(start_paused = true)]
async fn a_sweeper_outlives_an_outage() {
    let outage = Outage::new();
    let clock = ManualClock::at(start());
    let directory = KeyPackageDirectory::builder(outage.faulty(), PlainAdmission)
        .clock(clock.clone())
        .build()
        .unwrap();
    outage.gone.store(false, Ordering::SeqCst);
    directory.upload(to_bob(vec![brief()])).await.unwrap();
    clock.advance(2 * DAY);

    outage.gone.store(true, Ordering::SeqCst);
    assert!(directory.sweep().await.is_err());
    let sweeper = directory.start_sweeper(Duration::from_secs(60));
    tokio::time::sleep(Duration::from_secs(600)).await;
    let refs = [key_package_ref("brief")];
    let statuses = outage.store.get_statuses(&bob(), &refs, start()).await.unwrap();
    assert_eq!(statuses, [Some(Status::Available)]);

    outage.gone.store(false, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(outage.store.get_statuses(&bob(), &refs, start()).await.unwrap(), [None]);
    sweeper.stop().await;
}
