//! When keys go, by which clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use kp_client::{CiphersuitePlan, KeyPackagePool, PoolError};
use kp_core::client::PoolMetadataStore as _;
use kp_core::protocol::{KeyPackageTransport, SyncReport, TransportError, UploadOutcome};
use kp_core::{KeyPackageBytes, KeyPackageRef, ManualClock, Status};
use kp_openmls::OpenMlsAdmission;
use kp_server::Take;
use kp_test_support::messenger::{Alice, Bob, DAY, SUITE, Vault, World};

use crate::{OFFSETS, days, is_sound, moved, phone, server_at};

/// A client, and a server that is 400 days behind and takes what the client makes all the same: its clock is the wrong one.
async fn believed() -> (World, Bob, KeyPackagePool<Vault>, ManualClock) {
    let (world, bob) = (World::new(), Bob::new());
    let server = ManualClock::at(world.now().minus(400 * DAY));
    let lenient = OpenMlsAdmission::new().policy(|it| it.skew(Duration::from_secs(500 * DAY)));
    let world = server_at(world, &server, lenient);
    let plan = CiphersuitePlan::pool(SUITE).last_resort(false);
    let pool = bob.builder(&world).ciphersuite(plan).build().unwrap();
    pool.refresh().await.unwrap();
    (world, bob, pool, server)
}

/// An app cleans up between rounds, before the first of them says that the clock is off and after it.
#[tokio::test]
async fn what_a_clock_that_is_off_has_passed_is_as_good_as_before() {
    for offset in OFFSETS {
        let (world, bob) = (World::new(), Bob::new());
        let (pool, clock) = phone(&world, &bob);
        pool.refresh().await.unwrap();
        world.claim(&bob).await;
        pool.refresh().await.unwrap();
        let (up, rows) = (world.available(&bob).await, bob.rows().await);
        for tenth in 1..=10 {
            clock.set(moved(world.now(), days(offset * tenth / 10)));
            pool.cleanup_expired().await.unwrap();
            let report = pool.refresh().await.unwrap();
            assert_eq!((report.withdrawn, report.superseded), (0, 0));
            pool.cleanup_expired().await.unwrap();
        }
        clock.set(world.now());
        let report = pool.refresh().await.unwrap();
        assert_eq!((report.withdrawn, report.generated), (0, 0), "{offset}");
        assert_eq!((world.available(&bob).await, bob.rows().await), (up, rows), "{offset}");
        assert_eq!(bob.stored_keys().len(), 33);
    }
}

/// For longer than a grace period, the server says that the client's clock is ahead by more than a lifetime.
#[tokio::test]
async fn no_key_goes_by_a_clock_that_stays_off() {
    let (world, bob) = (World::new(), Bob::new());
    let (pool, clock) = phone(&world, &bob);
    pool.refresh().await.unwrap();
    let (up, rows) = (world.available(&bob).await, bob.rows().await);
    clock.set(moved(world.now(), days(85)));
    for day in 0..40 {
        pool.refresh().await.unwrap();
        pool.cleanup_expired().await.unwrap();
        assert!(rows.iter().all(|row| bob.has_key(row)), "day {day}");
        clock.advance(DAY);
        world.clock.advance(DAY);
    }
    assert_eq!(world.available(&bob).await, up);
    is_sound(&world, &bob).await;
}

/// The server believed the client's clock, which was then set to another time.
#[tokio::test]
async fn a_server_believes_a_clock_until_it_is_set() {
    let (world, bob, pool, server) = believed().await;
    let rows = bob.rows().await;
    world.clock.advance(120 * DAY);
    for day in 0..40 {
        pool.refresh().await.unwrap();
        pool.cleanup_expired().await.unwrap();
        assert!(rows.iter().all(|row| bob.has_key(row)), "day {day}");
        world.clock.advance(DAY);
        server.advance(DAY);
    }
}

/// Without a server, nobody knows whether a clock that leaps was set or the phone was switched off.
#[tokio::test]
async fn a_clock_that_leaps_leaves_every_key_its_grace_period() {
    let (world, bob) = (World::new(), Bob::new());
    let (pool, clock) = phone(&world, &bob);
    pool.refresh().await.unwrap();
    for leap in [85, 29, 400] {
        clock.advance(leap * DAY);
        assert_eq!(pool.cleanup_expired().await.unwrap(), 0);
    }
    for _ in 0..4 {
        assert_eq!(bob.stored_keys().len(), 33);
        clock.advance(7 * DAY);
        pool.cleanup_expired().await.unwrap();
    }
    assert_eq!(bob.stored_keys().len(), 0);
}

/// The server took what was made by the client's clock, so the server's is the wrong one, for as long as neither is set.
#[tokio::test]
async fn keys_go_by_the_clock_of_a_client_whom_the_server_believes() {
    let (world, bob, pool, server) = believed().await;
    let old = bob.rows().await;
    let keyed = || old.iter().filter(|old| bob.has_key(old)).count();
    let step = |days: u64| {
        server.advance(days * DAY);
        world.clock.advance(days * DAY);
    };
    for day in 1..84 {
        step(1);
        pool.refresh().await.unwrap();
        assert_eq!(keyed(), 32, "day {day}");
    }
    for _ in 0..28 {
        step(1);
        pool.refresh().await.unwrap();
        pool.cleanup_expired().await.unwrap();
        assert_eq!(keyed(), 32);
    }
    step(1);
    pool.cleanup_expired().await.unwrap();
    assert_eq!(keyed(), 0, "12 and 4 weeks");
}

/// A grace period that begins while the clock is behind is no shorter once the clock is right.
#[tokio::test]
async fn a_clock_that_is_behind_shortens_no_grace_period() {
    let (world, bob) = (World::new(), Bob::new());
    let (pool, clock) = phone(&world, &bob);
    pool.refresh().await.unwrap();
    let withdrawn = world.available(&bob).await.pop_first().unwrap();
    bob.transport(&world)
        .withdraw(std::slice::from_ref(&withdrawn))
        .await
        .unwrap();
    clock.set(moved(world.now(), days(-60)));
    assert_eq!(pool.refresh().await.unwrap().superseded, 1);
    clock.set(world.now());
    for _ in 0..27 {
        pool.refresh().await.unwrap();
        assert!(bob.has_key(&withdrawn));
        world.clock.advance(DAY);
        clock.advance(DAY);
    }
    world.clock.advance(DAY);
    clock.advance(DAY);
    pool.refresh().await.unwrap();
    assert!(!bob.has_key(&withdrawn), "nor longer");
}

/// The server tells a time that is far behind, and takes what is made: a key goes one grace period after its end, by the client's
/// own clock.
#[tokio::test]
async fn a_server_that_stays_behind_does_not_keep_keys_for_ever() {
    let (world, bob, pool, _) = believed().await;
    let old = bob.rows().await;
    let keyed = |bob: &Bob| old.iter().filter(|old| bob.has_key(old)).count();
    world.clock.advance(84 * DAY);
    pool.cleanup_expired().await.unwrap();
    world.clock.advance(28 * DAY - 1);
    pool.cleanup_expired().await.unwrap();
    assert_eq!(keyed(&bob), 32);
    world.clock.advance(1);
    pool.cleanup_expired().await.unwrap();
    assert_eq!(keyed(&bob), 0);
}

/// The server said once that it is 2031, and then told the right time.
#[tokio::test]
async fn a_time_from_the_far_future_deletes_nothing() {
    let (world, bob) = (World::new(), Bob::new());
    let server = ManualClock::at(world.now());
    let world = server_at(world, &server, OpenMlsAdmission::new());
    let pool = bob.open(&world);
    pool.refresh().await.unwrap();
    let rows = bob.rows().await;
    server.advance(1_800 * DAY);
    pool.refresh().await.unwrap();
    pool.cleanup_expired().await.unwrap();
    assert!(rows.iter().all(|row| bob.has_key(row)));
    server.set(world.now());
    pool.refresh().await.unwrap();
    pool.cleanup_expired().await.unwrap();
    assert!(rows.iter().all(|row| bob.has_key(row)));
    is_sound(&world, &bob).await;
    for clock in [&server, &world.clock] {
        clock.advance(84 * DAY);
    }
    pool.refresh().await.unwrap();
    assert!(!rows.iter().any(|row| bob.has_key(row)), "both have passed their end");
}

/// No server for 16 weeks: what is over by the client's own clock can be joined with for another grace period.
#[tokio::test]
async fn a_client_without_a_server_for_weeks_goes_on() {
    struct Away(Arc<dyn KeyPackageTransport>, AtomicBool);

    #[async_trait]
    impl KeyPackageTransport for Away {
        async fn upload(&self, packages: &[KeyPackageBytes]) -> Result<Vec<UploadOutcome>, TransportError> {
            self.0.upload(packages).await
        }

        async fn sync(&self, mine: &[KeyPackageRef]) -> Result<SyncReport, TransportError> {
            if self.1.load(Ordering::SeqCst) {
                return Err(TransportError::new("no route"));
            }
            self.0.sync(mine).await
        }

        async fn withdraw(&self, refs: &[KeyPackageRef]) -> Result<(), TransportError> {
            self.0.withdraw(refs).await
        }
    }

    let (world, bob) = (World::new(), Bob::new());
    let away = Arc::new(Away(bob.transport(&world), AtomicBool::new(false)));
    let pool = KeyPackagePool::builder(bob.vault(), Arc::new(bob.metadata.clone()), away.clone())
        .clock(world.clock.clone())
        .ciphersuite(CiphersuitePlan::pool(SUITE))
        .build()
        .unwrap();
    pool.refresh().await.unwrap();
    let package = world.claim(&bob).await;
    let invitation = Alice::new().invite(&package);
    away.1.store(true, Ordering::SeqCst);
    for week in 1..=15 {
        world.clock.advance(7 * DAY);
        assert!(matches!(pool.refresh().await, Err(PoolError::Transport(_))));
        assert_eq!(bob.stored_keys().len(), 33, "week {week}");
    }
    // The lifetime is over by the client's own clock alone.
    pool.join(&invitation.refs, || bob.attempt(&invitation.welcome))
        .await
        .unwrap()
        .unwrap();
    world.clock.advance(7 * DAY);
    assert!(matches!(pool.refresh().await, Err(PoolError::Transport(_))));
    assert_eq!(bob.stored_keys().len(), 0, "12 and 4 weeks");
    away.1.store(false, Ordering::SeqCst);
    assert_eq!(pool.refresh().await.unwrap().generated, 33);
    is_sound(&world, &bob).await;
}

/// What was handed out while the clock was off keeps its key, whichever way the clock drifts.
#[tokio::test]
async fn a_clock_that_drifts_costs_no_key_of_what_is_out() {
    for direction in [-1, 1] {
        let (world, bob) = (World::new(), Bob::new());
        let (pool, clock) = phone(&world, &bob);
        pool.refresh().await.unwrap();
        let mut taken = Vec::new();
        for week in 1..=60 {
            clock.set(moved(world.now(), direction * days(7 * week)));
            let claimed = world.directory.claim(&bob.pool_id, &Take::new()).await.unwrap();
            taken.push(claimed.info.key_package_ref);
            pool.refresh().await.unwrap();
        }
        assert!(taken.iter().all(|taken| bob.has_key(taken)));
        clock.set(world.now());
        world.clock.advance(DAY);
        clock.advance(DAY);
        pool.refresh().await.unwrap();
        assert!(taken.iter().all(|taken| bob.has_key(taken)));
        is_sound(&world, &bob).await;
        for row in bob.metadata.list().await.unwrap() {
            let status = world.status(&bob, &row.key_package_ref).await;
            assert!(status != Some(Status::Available) || bob.has_key(&row.key_package_ref));
        }
    }
}
