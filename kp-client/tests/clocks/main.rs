//! Clocks that are wrong, the client's and the server's: POOL-8, with real KeyPackages and Welcomes.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

mod keys;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use kp_client::{CiphersuitePlan, KeyPackagePool, PoolError};
use kp_core::client::Lifecycle;
use kp_core::protocol::{KeyPackageTransport, Refusal, SyncReport, TransportError, UploadOutcome};
use kp_core::server::Admission;
use kp_core::{Clock as _, KeyPackageBytes, KeyPackageRef, ManualClock, Timestamp};
use kp_openmls::OpenMlsAdmission;
use kp_server::KeyPackageDirectory;
use kp_test_support::messenger::{Alice, Bob, DAY, SUITE, Vault, World};

const HOUR: u64 = 3_600;
const OFFSETS: [i64; 6] = [-400, -85, -1, 1, 85, 400];

/// A phone with a clock of its own.
fn phone(world: &World, bob: &Bob) -> (KeyPackagePool<Vault>, ManualClock) {
    let clock = ManualClock::at(world.now());
    let builder = bob.builder(world).clock(clock.clone());
    let pool = builder.ciphersuite(CiphersuitePlan::pool(SUITE)).build().unwrap();
    (pool, clock)
}

fn moved(now: Timestamp, seconds: i64) -> Timestamp {
    if seconds < 0 {
        now.minus(seconds.unsigned_abs())
    } else {
        now.plus(seconds.unsigned_abs())
    }
}

fn days(days: i64) -> i64 {
    days * DAY as i64
}

/// A server whose clock is not the world's.
fn server_at(world: World, clock: &ManualClock, admission: impl Admission) -> World {
    let builder = KeyPackageDirectory::builder(Arc::new(world.store.clone()), admission);
    let directory = builder.clock(clock.clone()).build().unwrap();
    World { directory, ..world }
}

/// What is up is all that there is to hand out, and has a key.
async fn is_sound(world: &World, bob: &Bob) {
    let available = world.available(bob).await;
    assert_eq!(available.len(), 32);
    let (slot, used) = world.last_resort(bob).await.unwrap();
    assert!(!used);
    assert!(available.iter().chain([&slot]).all(|held| bob.has_key(held)));
}

#[tokio::test]
async fn a_new_client_whose_clock_is_off_probes_and_is_healed_by_one_round() {
    for (offset, refusal) in [(-400, Refusal::Expired), (400, Refusal::NotYetValid)] {
        let (world, bob) = (World::new(), Bob::new());
        let (pool, clock) = phone(&world, &bob);
        clock.set(moved(world.now(), days(offset)));
        let report = pool.refresh().await.unwrap();
        assert_eq!(report.clock_off, Some(days(offset)));
        assert_eq!((report.generated, report.uploaded), (1, 0));
        assert_eq!(report.refused[0].1, UploadOutcome::Refused(refusal));
        assert_eq!(report.making_waits_until, Some(clock.now().plus(60)));
        assert_eq!(report.next_at, Some(clock.now().plus(60)));
        // Ten rounds in ten minutes make as many as the waits allow: after 1, 3 and 7 minutes.
        let mut made = 0;
        for _ in 0..10 {
            clock.advance(60);
            made += pool.refresh().await.unwrap().generated;
            assert!(bob.rows().await.len() <= 1, "what was refused is thrown away");
        }
        assert_eq!(made, 3, "{offset}");
        clock.set(world.now());
        let report = pool.refresh().await.unwrap();
        assert_eq!((report.clock_off, report.generated, report.uploaded), (None, 33, 33));
        assert_eq!(report.making_waits_until, None);
        is_sound(&world, &bob).await;
        assert_eq!(bob.stored_keys().len(), 33);
    }
}

#[tokio::test]
async fn a_client_whose_clock_is_off_touches_nothing_that_is_up() {
    for offset in OFFSETS {
        let (world, bob) = (World::new(), Bob::new());
        let (pool, clock) = phone(&world, &bob);
        pool.refresh().await.unwrap();
        let taken = world.claim(&bob).await;
        let invitation = Alice::new().invite(&taken);
        let (up, rows) = (world.available(&bob).await, bob.rows().await);
        clock.set(moved(world.now(), days(offset)));
        for _ in 0..10 {
            let report = pool.refresh().await.unwrap();
            assert!(report.clock_off.is_some());
            assert_eq!((report.uploaded, report.withdrawn, report.superseded), (0, 0, 0));
            assert_eq!(world.available(&bob).await, up);
            assert!(rows.iter().all(|row| bob.has_key(row)), "{offset}");
            clock.advance(1);
        }
        // A join does not mind.
        pool.join(&invitation.refs, || bob.attempt(&invitation.welcome))
            .await
            .unwrap()
            .unwrap();
        clock.set(world.now());
        pool.refresh().await.unwrap();
        assert_eq!(world.available(&bob).await, up, "{offset}");
        assert_eq!(bob.stored_keys().len(), 32);
    }
}

/// While the clock is off, what has no key is withdrawn, and what was made before goes up.
#[tokio::test]
async fn what_time_does_not_bring_about_goes_on() {
    let (world, bob) = (World::new(), Bob::new());
    bob.open(&world).refresh().await.unwrap();
    let new = Bob::new();
    let (pool, clock) = phone(&world, &new);
    clock.set(moved(world.now(), days(400)));
    let report = pool.refresh().await.unwrap();
    assert_eq!((report.withdrawn, report.generated), (33, 1));
    assert_eq!(world.available(&new).await.len(), 0);

    // A server that lost the packages gets them again.
    let (world, bob) = (World::new(), Bob::new());
    let (pool, clock) = phone(&world, &bob);
    pool.refresh().await.unwrap();
    world.directory.delete_pool(&bob.pool_id).await.unwrap();
    clock.set(moved(world.now(), days(85)));
    let report = pool.refresh().await.unwrap();
    assert_eq!(
        (report.uploaded, report.generated),
        (33, 1),
        "and a probe, which was refused"
    );
    is_sound(&world, &bob).await;
}

#[tokio::test]
async fn clocks_within_the_skew_are_not_off() {
    for (skew, offset, off) in [
        (HOUR, 3_600, None),
        (HOUR, -3_600, None),
        (HOUR, 3_601, Some(3_601)),
        (60, -61, Some(-61)),
    ] {
        let (world, bob) = (World::new(), Bob::new());
        let clock = ManualClock::at(moved(world.now(), offset));
        let builder = bob.builder(&world).clock(clock).skew(Duration::from_secs(skew));
        let pool = builder.ciphersuite(CiphersuitePlan::pool(SUITE)).build().unwrap();
        assert_eq!(pool.refresh().await.unwrap().clock_off, off);
    }
}

/// Ahead by more than the skew, and by less than the skew and what the vault dates back: the server keeps what is valid in half
/// an hour, but no last resort. Nothing else is made until then.
#[tokio::test]
async fn while_a_package_waits_for_its_time_no_other_is_made() {
    let (world, bob) = (World::new(), Bob::new());
    let (pool, clock) = phone(&world, &bob);
    clock.set(world.now().plus(HOUR + 1_800));
    let report = pool.refresh().await.unwrap();
    assert_eq!((report.generated, report.uploaded), (33, 32), "the probe was taken");
    assert_eq!(report.refused[0].1, UploadOutcome::Refused(Refusal::NotYetValid));
    let last_resort = &report.refused[0].0;
    clock.set(world.now());
    for _ in 0..3 {
        let report = pool.refresh().await.unwrap();
        assert_eq!((report.generated, report.deleted, report.withdrawn), (0, 0, 0));
        assert_eq!(bob.lifecycle(last_resort).await, Some(Lifecycle::Created));
        world.clock.advance(60);
        clock.advance(60);
    }
    world.clock.advance(1_800);
    clock.advance(1_800);
    let report = pool.refresh().await.unwrap();
    assert_eq!((report.generated, report.uploaded), (0, 1));
    is_sound(&world, &bob).await;
}

/// A transport whose answers to uploads are lost while it is told so.
struct Lossy(Arc<dyn KeyPackageTransport>, AtomicBool);

#[async_trait]
impl KeyPackageTransport for Lossy {
    async fn upload(&self, packages: &[KeyPackageBytes]) -> Result<Vec<UploadOutcome>, TransportError> {
        let answer = self.0.upload(packages).await;
        if self.1.load(Ordering::SeqCst) {
            return Err(TransportError::new("the connection was reset"));
        }
        answer
    }

    async fn sync(&self, mine: &[KeyPackageRef]) -> Result<SyncReport, TransportError> {
        self.0.sync(mine).await
    }

    async fn withdraw(&self, refs: &[KeyPackageRef]) -> Result<(), TransportError> {
        self.0.withdraw(refs).await
    }
}

/// Made by a clock that was 400 days ahead, and perhaps up: it does not count as held once the clock is right.
#[tokio::test]
async fn what_was_made_too_early_is_replaced_once_the_clock_is_right() {
    let (world, bob) = (World::new(), Bob::new());
    let lossy = Arc::new(Lossy(bob.transport(&world), AtomicBool::new(true)));
    let clock = ManualClock::at(world.now().plus(400 * DAY));
    let pool = KeyPackagePool::builder(bob.vault(), Arc::new(bob.metadata.clone()), lossy.clone())
        .clock(clock.clone())
        .ciphersuite(CiphersuitePlan::pool(SUITE))
        .build()
        .unwrap();
    assert!(matches!(pool.refresh().await, Err(PoolError::Transport(_))));
    let early = bob.rows().await.pop_first().unwrap();
    clock.set(world.now());
    lossy.1.store(false, Ordering::SeqCst);
    let report = pool.refresh().await.unwrap();
    assert_eq!((report.generated, report.uploaded, report.superseded), (33, 33, 1));
    is_sound(&world, &bob).await;
    assert!(bob.has_key(&early), "nobody knows whether it was up");
}

/// The server's clock is ten days ahead: it takes a probe, and all goes on, for as long as it is so.
#[tokio::test]
async fn a_servers_wrong_clock_does_not_stop_a_client() {
    let (world, bob) = (World::new(), Bob::new());
    let server = ManualClock::at(world.now().plus(10 * DAY));
    let world = server_at(world, &server, OpenMlsAdmission::new());
    let pool = bob.open(&world);
    for round in 0..3 {
        let report = pool.refresh().await.unwrap();
        assert_eq!(report.clock_off, Some(-days(10)));
        assert_eq!(report.generated, if round == 0 { 33 } else { 25 });
        for _ in 0..25 {
            world.claim(&bob).await;
        }
    }
}

/// For an hour after its restore point, a server takes nothing that is made by a vault that dates back an hour.
#[tokio::test]
async fn a_client_waits_until_a_restore_point_is_over() {
    let (world, bob) = (World::new(), Bob::new());
    let builder = KeyPackageDirectory::builder(Arc::new(world.store.clone()), OpenMlsAdmission::new());
    let directory = builder
        .clock(world.clock.clone())
        .restore_point(world.now())
        .build()
        .unwrap();
    let over = world.now().plus(HOUR);
    let world = World { directory, ..world };
    let pool = bob.open(&world);
    for _ in 0..12 {
        let report = pool.refresh().await.unwrap();
        assert_eq!((report.generated, report.refused.len()), (0, 0));
        assert_eq!((report.restore_point_until, report.next_at), (Some(over), Some(over)));
        assert_eq!(bob.stored_keys().len(), 0);
        world.clock.advance(300);
    }
    let report = pool.refresh().await.unwrap();
    assert_eq!((report.uploaded, report.restore_point_until), (33, None));
    is_sound(&world, &bob).await;
}
