//! Sweeps, and the task that makes them: DIR-1, DIR-4.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

mod world;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kp_core::Status;
use kp_core::protocol::UploadOutcome;
use kp_core::server::KeyPackageStore as _;
use kp_server::{KeyPackageDirectory, Swept, Take};
use world::probe::{Probe, Sweeps};
use world::{DAY, Made, Outage, PlainAdmission, WallClock, World, bob, key_package_ref, made, start, to_bob};

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

const HOUR: u64 = 3_600;
const MINUTE: Duration = Duration::from_secs(60);

/// Lets so much time pass. Time is paused: nobody waits, the runtime goes from timer to timer.
async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// A world whose clock goes with the time that passes.
fn world_in_time() -> (World, WallClock) {
    let clock = WallClock::new();
    (World::with(|policy| policy.clock(clock.clone())), clock)
}

/// A package that lives for so many seconds.
fn brief(name: &str, seconds: u64) -> Vec<u8> {
    let mut brief = Made::new(name);
    brief.not_after = start().plus(seconds);
    brief.bytes()
}

/// Whether the store has forgotten the package.
async fn is_swept(world: &World, name: &str) -> bool {
    let statuses = world
        .store
        .get_statuses(&bob(), &[key_package_ref(name)], start())
        .await;
    statuses.unwrap() == [None]
}

/// DIR-1: the sweeper sweeps now and then, and not after it was stopped.
#[tokio::test(start_paused = true)]
async fn a_sweeper_sweeps_until_it_is_stopped() {
    let (world, _) = world_in_time();
    world.upload(vec![brief("first", DAY), brief("second", 2 * DAY)]).await;
    let sweeper = world.directory.start_sweeper(MINUTE);
    pass(DAY + HOUR - 60).await;
    assert!(!is_swept(&world, "first").await);
    pass(120).await;
    assert!(is_swept(&world, "first").await);

    sweeper.stop().await;
    pass(3 * DAY).await;
    assert!(!is_swept(&world, "second").await);
}

/// DIR-4: a sweeper cannot know yet whether its clock is right, so what is long expired waits for one skew.
#[tokio::test(start_paused = true)]
async fn the_first_expiry_sweep_comes_one_skew_after_the_start() {
    let (world, _) = world_in_time();
    world.upload(vec![brief("old", 1)]).await;
    pass(DAY).await;
    let sweeper = world.directory.start_sweeper(MINUTE);
    pass(HOUR - 30).await;
    assert!(!is_swept(&world, "old").await);
    pass(60).await;
    assert!(is_swept(&world, "old").await);
    sweeper.stop().await;
}

/// DIR-4: with one node and no skew, a sweeper expires at its first turn.
#[tokio::test(start_paused = true)]
async fn without_a_skew_a_sweeper_expires_at_once() {
    let clock = WallClock::new();
    let world = World::with(|policy| policy.clock(clock.clone()).skew(Duration::ZERO));
    world.upload(vec![brief("old", 1)]).await;
    pass(DAY).await;
    let sweeper = world.directory.start_sweeper(MINUTE);
    pass(1).await;
    assert!(is_swept(&world, "old").await);
    sweeper.stop().await;
}

/// DIR-4: a clock that is 90 days ahead for a while makes the store forget nothing, so no used package comes back.
#[tokio::test(start_paused = true)]
async fn a_sweeper_expires_nothing_by_a_clock_that_leapt() {
    let (world, clock) = world_in_time();
    world.upload(made(2)).await;
    let used = world.directory.claim(&bob(), &Take::new()).await.unwrap();
    let sweeper = world.directory.start_sweeper(MINUTE);
    pass(2 * HOUR).await;

    clock.leap(90 * 86_400);
    pass(12 * HOUR).await;
    clock.leap(-90 * 86_400);
    pass(2 * DAY).await;
    assert_eq!(world.upload(made(1)).await, [UploadOutcome::AlreadySpent]);
    let next = world.directory.claim(&bob(), &Take::new()).await.unwrap();
    assert_ne!(next.info.key_package_ref, used.info.key_package_ref);
    sweeper.stop().await;
}

/// DIR-4: a clock that runs fast, by little each turn, leaps in sum: it makes the store forget nothing either.
#[tokio::test(start_paused = true)]
async fn a_sweeper_expires_nothing_by_a_clock_that_runs_fast() {
    let (world, clock) = world_in_time();
    world.upload(vec![brief("brief", 30 * DAY)]).await;
    let sweeper = world.directory.start_sweeper(MINUTE);
    // Half as fast again: each turn within the skew of an hour, 12 hours more a day.
    for _ in 0..24 * 24 {
        pass(HOUR).await;
        clock.leap(1_800);
    }
    assert!(
        !is_swept(&world, "brief").await,
        "by the true time it lives for 6 days more"
    );
    sweeper.stop().await;
}

/// DIR-4: after a leap, ahead (or the machine slept) or back, expiry waits for 24 hours in which the clocks agree, and goes on.
#[tokio::test(start_paused = true)]
async fn after_a_leap_expiry_waits_for_a_day_and_goes_on() {
    for seconds in [3_700, -3_700] {
        let (world, clock) = world_in_time();
        world.upload(vec![brief("old", HOUR)]).await;
        let sweeper = world.directory.start_sweeper(MINUTE);
        pass(30).await;
        clock.leap(seconds);
        pass(12 * HOUR).await;
        // Another leap: the day begins anew.
        clock.leap(seconds);
        pass(DAY).await;
        assert!(!is_swept(&world, "old").await, "{seconds}");
        pass(120).await;
        assert!(is_swept(&world, "old").await, "{seconds}");
        sweeper.stop().await;
    }
}

/// DIR-4: a clock that is set right by less than the skew has not leapt.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_right_goes_on_sweeping() {
    let (world, clock) = world_in_time();
    world.upload(vec![brief("old", HOUR)]).await;
    let sweeper = world.directory.start_sweeper(MINUTE);
    for seconds in [3_500, -3_500, 3_500] {
        clock.leap(seconds);
        pass(HOUR).await;
    }
    assert!(is_swept(&world, "old").await);
    sweeper.stop().await;
}

/// DIR-4: a minute is no leap, also where no skew is allowed between nodes.
#[tokio::test(start_paused = true)]
async fn without_a_skew_a_clock_may_be_set_right_by_a_minute() {
    let clock = WallClock::new();
    let world = World::with(|policy| policy.clock(clock.clone()).skew(Duration::ZERO));
    world.upload(vec![brief("old", HOUR)]).await;
    let sweeper = world.directory.start_sweeper(MINUTE);
    pass(30).await;
    clock.leap(50);
    pass(2 * HOUR).await;
    assert!(is_swept(&world, "old").await);
    sweeper.stop().await;
}

/// DIR-4: a leap is one, also when it makes up for what the clock had lost.
#[tokio::test(start_paused = true)]
async fn a_leap_that_makes_up_for_a_loss_is_one() {
    let (world, clock) = world_in_time();
    world.upload(vec![brief("old", 4 * HOUR)]).await;
    let sweeper = world.directory.start_sweeper(MINUTE);
    pass(2 * HOUR).await;
    clock.leap(-3_500);
    pass(120).await;
    clock.leap(7_000);
    pass(4 * HOUR).await;
    assert!(!is_swept(&world, "old").await);
    sweeper.stop().await;
}

/// DIR-4: leases are settled while expiry waits, at the start and after a leap.
#[tokio::test(start_paused = true)]
async fn settling_goes_on_while_expiry_waits() {
    let (probe, mut calls) = Probe::new(Sweeps::Well);
    let clock = WallClock::new();
    let builder = KeyPackageDirectory::builder(probe, PlainAdmission).clock(clock.clone());
    let sweeper = builder.build().unwrap().start_sweeper(MINUTE);
    pass(1).await;
    clock.leap(90 * 86_400);
    pass(DAY).await;
    sweeper.stop().await;
    let mut settled = 0;
    while let Some(call) = calls.recv().await {
        assert_eq!(call, "release_expired_reservations");
        settled += 1;
    }
    assert_eq!(settled, 24 * 60 + 1);
}

/// DIR-4: a sweep by hand is the operator's word, whatever the sweeper makes of the clock.
#[tokio::test(start_paused = true)]
async fn a_sweep_by_hand_is_the_operator_s_word() {
    let (world, clock) = world_in_time();
    world.upload(made(2)).await;
    let sweeper = world.directory.start_sweeper(MINUTE);
    pass(1).await;
    clock.leap(90 * 86_400);
    pass(120).await;
    assert_eq!(world.directory.sweep().await.unwrap().expired, 2);
    sweeper.stop().await;
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
    pass(5).await;
    assert!(Arc::strong_count(&store) > 1, "the sweeper runs");
    drop(sweeper);
    pass(5).await;
    assert_eq!(Arc::strong_count(&store), 1);
}

/// DIR-1: stopping ends, whatever the store does: it never answers, or says for ever that there is more.
#[tokio::test(start_paused = true)]
async fn a_sweeper_stops_whatever_the_store_does() {
    for sweeps in [Sweeps::Never, Sweeps::Endlessly] {
        let (probe, mut calls) = Probe::new(sweeps);
        let store = Arc::clone(&probe.store);
        let builder = KeyPackageDirectory::builder(probe, PlainAdmission).skew(Duration::ZERO);
        let sweeper = builder.build().unwrap().start_sweeper(MINUTE);
        while calls.recv().await != Some("cleanup_expired") {}
        sweeper.stop().await;
        assert_eq!(Arc::strong_count(&store), 1, "{sweeps:?}");
    }
}

/// DIR-1: who waits no longer for a sweep by hand is not held up by a store that says for ever that there is more.
#[tokio::test(start_paused = true)]
async fn a_sweep_without_end_can_be_left() {
    let (probe, _) = Probe::new(Sweeps::Endlessly);
    let directory = KeyPackageDirectory::new(probe, PlainAdmission);
    let mut turns = 0;
    tokio::select! {
        biased;
        swept = directory.sweep() => panic!("{swept:?}"),
        () = async { while turns < 3 { turns += 1; tokio::task::yield_now().await } } => {}
    }
}

/// DIR-1: a sweep that fails is no end of the sweeping.
#[tokio::test(start_paused = true)]
async fn a_sweeper_outlives_an_outage() {
    let outage = Outage::new();
    let clock = WallClock::new();
    let directory = KeyPackageDirectory::builder(outage.faulty(), PlainAdmission)
        .clock(clock.clone())
        .build()
        .unwrap();
    outage.gone.store(false, Ordering::SeqCst);
    directory.upload(to_bob(vec![brief("brief", 1)])).await.unwrap();

    outage.gone.store(true, Ordering::SeqCst);
    assert!(directory.sweep().await.is_err());
    let sweeper = directory.start_sweeper(MINUTE);
    pass(2 * HOUR).await;
    let refs = [key_package_ref("brief")];
    let statuses = outage.store.get_statuses(&bob(), &refs, start()).await.unwrap();
    assert_eq!(statuses, [Some(Status::Available)]);

    outage.gone.store(false, Ordering::SeqCst);
    pass(61).await;
    assert_eq!(outage.store.get_statuses(&bob(), &refs, start()).await.unwrap(), [None]);
    sweeper.stop().await;
}
