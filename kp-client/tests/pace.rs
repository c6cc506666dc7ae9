//! Strangers, refusals and other installations do not set the pace: POOL-10.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

use std::sync::Arc;
use std::time::Duration;

use kp_client::{CiphersuitePlan, KeyPackagePool, RefreshReport, Sizes};
use kp_core::client::{LeaseHolder, LeaseName, Lifecycle, PoolMetadataStore as _};
use kp_core::rules::Limits;
use kp_core::server::KeyPackageStore as _;
use kp_core::server::{Admission, LastResort, TakeOptions};
use kp_core::{Ciphersuite, Slot, Status};
use kp_memory::{MemoryMetadata, MemoryStore};
use kp_openmls::OpenMlsAdmission;
use kp_server::{KeyPackageDirectory, Take};
use kp_test_support::messenger::{Bob, DAY, SUITE, Vault, World};
use openmls_traits::OpenMlsProvider as _;

const OTHER: Ciphersuite = Ciphersuite(0x0003);

fn strict(world: World, admission: impl Admission) -> World {
    let builder = KeyPackageDirectory::builder(Arc::new(world.store.clone()), admission);
    let directory = builder.clock(world.clock.clone()).build().unwrap();
    World { directory, ..world }
}

fn short_lived(world: World) -> World {
    strict(
        world,
        OpenMlsAdmission::new().policy(|it| it.max_lifetime(Duration::from_secs(30 * DAY))),
    )
}

/// A hundred strangers in a hundred minutes, each of whom asks for the last resort.
#[tokio::test]
async fn strangers_rotate_the_last_resort_once_a_day() {
    let (world, bob) = (World::new(), Bob::new());
    let pool = bob.open(&world);
    pool.refresh().await.unwrap();
    let mut made = 0;
    for minute in 0..3 * 24 * 60 {
        if minute % 15 == 0 {
            let last_resort = Take::new().options(TakeOptions::new().last_resort(LastResort::Only));
            world.directory.claim(&bob.pool_id, &last_resort).await.unwrap();
            made += pool.refresh().await.unwrap().generated;
        }
        world.clock.advance(60);
    }
    assert_eq!(made, 2, "in three days");
    assert!(bob.stored_keys().len() <= 35);
}

/// A tenth of its lifetime, where that is shorter than a day.
#[tokio::test]
async fn a_short_lived_last_resort_is_rotated_sooner() {
    let (world, bob) = (World::new(), Bob::new());
    let vault = bob.vault().lifetime(Duration::from_secs(5 * DAY));
    let pool = KeyPackagePool::builder(vault, Arc::new(bob.metadata.clone()), bob.transport(&world))
        .clock(world.clock.clone())
        .ciphersuite(CiphersuitePlan::last_resort_only(SUITE))
        .build()
        .unwrap();
    pool.refresh().await.unwrap();
    world.claim(&bob).await;
    let due = world.now().plus(DAY / 2);
    assert_eq!(pool.refresh().await.unwrap().next_at, Some(due));
    world.clock.set(due.minus(1));
    assert_eq!(pool.refresh().await.unwrap().generated, 0);
    world.clock.set(due);
    assert_eq!(pool.refresh().await.unwrap().generated, 1);
}

/// A used last resort waits its day; one that is missing, keyless, stale or of an old credential does not.
#[tokio::test]
async fn a_last_resort_that_is_no_good_is_replaced_at_once() {
    for case in ["missing", "keyless", "stale", "credential"] {
        let (world, bob) = (World::new(), Bob::new());
        let plan = CiphersuitePlan::last_resort_only(SUITE);
        let builder = bob.builder(&world).rotate_last_resort(Duration::from_secs(60));
        let pool = builder.ciphersuite(plan).build().unwrap();
        pool.refresh().await.unwrap();
        world.claim(&bob).await;
        assert_eq!(pool.refresh().await.unwrap().generated, 0);
        match case {
            "missing" => world.directory.delete_pool(&bob.pool_id).await.unwrap(),
            "keyless" => bob.provider.storage().values.write().unwrap().clear(),
            "stale" => world.clock.advance(60),
            _ => bob.credentials.change("bob"),
        }
        assert_eq!(pool.refresh().await.unwrap().generated, 1, "{case}");
        let (slot, used) = world.last_resort(&bob).await.unwrap();
        assert!(!used && bob.has_key(&slot), "{case}");
    }
}

/// Drained each hour: at once twice the cap is made, and then a hundred a day.
#[tokio::test]
async fn strangers_drain_no_more_than_the_budget() {
    let (world, bob) = (World::new(), Bob::new());
    let plan = CiphersuitePlan::pool(SUITE).last_resort(false);
    let pool = bob.builder(&world).ciphersuite(plan).build().unwrap();
    let (mut made, mut first_day) = (0, 0);
    for hour in 0..5 * 24 {
        let report = pool.refresh().await.unwrap();
        made += report.generated;
        for _ in 0..world.available(&bob).await.len() {
            world.claim(&bob).await;
        }
        if hour == 23 {
            first_day = made;
        }
        if made == 128 && report.generated < 32 {
            let until = report.budget_spent_until.unwrap();
            assert!(world.now() < until && until <= world.now().plus(864));
            assert_eq!(report.next_at, Some(until));
        }
        world.clock.advance(3_600);
    }
    assert!((200..=224).contains(&first_day), "{first_day}");
    assert!((600..=628).contains(&made), "{made}");

    // Left alone, the budget is as it was.
    world.clock.advance(2 * DAY);
    let report = pool.refresh().await.unwrap();
    assert_eq!((report.generated, report.budget_spent_until), (32, None));
}

/// A refusal that making anew cannot cure: 1 minute, doubled up to a day.
#[tokio::test]
async fn what_is_refused_for_good_is_made_ever_more_seldom() {
    let (world, bob) = (short_lived(World::new()), Bob::new());
    let pool = bob.open(&world);
    let report = pool.refresh().await.unwrap();
    assert_eq!((report.generated, report.refused.len()), (33, 33));
    let until = world.now().plus(60);
    assert_eq!((report.making_waits_until, report.next_at), (Some(until), Some(until)));
    let mut rounds = 1;
    for _ in 0..24 * 60 {
        world.clock.advance(60);
        rounds += u32::from(pool.refresh().await.unwrap().generated > 0);
    }
    assert!(rounds <= 11, "{rounds} rounds in a day made packages");

    // The app asks for more, and the credential changes: both end the wait.
    assert_eq!(pool.refresh().await.unwrap().generated, 0);
    assert!(pool.generate_and_update_pool(SUITE, 1).await.unwrap().generated > 0);
    assert_eq!(pool.refresh().await.unwrap().generated, 0);
    bob.credentials.change("bob");
    assert!(pool.refresh().await.unwrap().generated > 0);
    // So does another plan, and another clock.
    assert_eq!(pool.refresh().await.unwrap().generated, 0);
    let other = bob
        .builder(&world)
        .ciphersuite(CiphersuitePlan::pool(SUITE).one_time(Sizes::new(32, 8, 65)));
    assert!(other.build().unwrap().refresh().await.unwrap().generated > 0);
    // The server takes them again.
    let world = strict(world, OpenMlsAdmission::new());
    let pool = bob.open(&world);
    pool.generate_and_update_pool(SUITE, 32).await.unwrap();
    let report = pool.refresh().await.unwrap();
    assert_eq!(
        (report.making_waits_until, world.available(&bob).await.len()),
        (None, 32)
    );
}

/// A ciphersuite that the server does not take does not keep back another one.
#[tokio::test]
async fn a_wait_is_of_one_ciphersuite() {
    let (world, bob) = (World::new(), Bob::new());
    let world = strict(world, OpenMlsAdmission::new().policy(|it| it.ciphersuites([SUITE])));
    let builder = bob.builder(&world).ciphersuite(CiphersuitePlan::pool(SUITE));
    let pool = builder.ciphersuite(CiphersuitePlan::pool(OTHER)).build().unwrap();
    let report = pool.refresh().await.unwrap();
    assert_eq!((report.generated, report.uploaded, report.refused.len()), (66, 33, 33));
    for _ in 0..25 {
        world.claim(&bob).await;
    }
    let report = pool.refresh().await.unwrap();
    assert_eq!((report.generated, report.uploaded), (25, 25));
    assert!(report.making_waits_until.is_some());
}

/// The server's memory of the pool is full: nothing one-time is made, and the last resort still is.
#[tokio::test]
async fn a_full_memory_is_said_and_makes_nothing() {
    let store = MemoryStore::with_limits(Limits::default().max_records(40));
    let world = World { store, ..World::new() };
    let (world, bob) = (strict(world, OpenMlsAdmission::new()), Bob::new());
    let pool = bob.open(&world);
    pool.refresh().await.unwrap();
    let drain = async || {
        for _ in 0..world.available(&bob).await.len() {
            world.claim(&bob).await;
        }
    };
    drain().await;
    let report = pool.refresh().await.unwrap();
    assert_eq!((report.generated, report.uploaded, report.server_full), (8, 8, false));
    drain().await;
    world.claim(&bob).await;
    for _ in 0..10 {
        world.clock.advance(60);
        let report = pool.refresh().await.unwrap();
        assert_eq!((report.generated, report.server_full), (0, true));
    }
    world.clock.advance(DAY);
    assert_eq!(pool.refresh().await.unwrap().generated, 1, "the last resort");
}

/// The client's state as it is, on a second device.
async fn copied(bob: &Bob) -> Bob {
    let copy = Bob {
        provider: Arc::default(),
        metadata: MemoryMetadata::new(),
        ..bob.clone()
    };
    let keys = bob.provider.storage().values.read().unwrap().clone();
    *copy.provider.storage().values.write().unwrap() = keys;
    let record = bob.metadata.record().await.unwrap();
    let rows = bob.metadata.list().await.unwrap();
    let changes = kp_core::client::MetadataChanges::new().create(rows).record(record);
    copy.metadata.apply(&changes).await.unwrap();
    copy
}

async fn refreshed(world: &World, pool: &KeyPackagePool<Vault>, after: u64) -> RefreshReport {
    world.clock.advance(after);
    pool.refresh().await.unwrap()
}

/// Each finds what the other put up. Both notice, and leave it.
#[tokio::test]
async fn one_backup_on_two_devices_is_noticed() {
    two_devices([1_800, 1_800]).await;
}

/// A push wakes them.
#[tokio::test]
async fn two_devices_that_wake_in_the_same_second_notice_each_other() {
    two_devices([3_600, 0]).await;
}

/// They refresh in turn, so many seconds after each other.
async fn two_devices(pauses: [u64; 2]) {
    let (world, bob) = (World::new(), Bob::new());
    bob.open(&world).refresh().await.unwrap();
    let copy = copied(&bob).await;
    let (one, two) = (bob.open(&world), copy.open(&world));
    let (mut withdrawn, mut made, mut noticed) = (0, 0, [0, 0]);
    for round in 0..200 {
        for _ in 0..2 {
            world.directory.claim(&bob.pool_id, &Take::new()).await.unwrap();
        }
        for ((pool, pause), noticed) in [&one, &two].into_iter().zip(pauses).zip(&mut noticed) {
            let report = refreshed(&world, pool, pause).await;
            if round >= 100 {
                withdrawn += report.withdrawn;
                made += report.generated;
            }
            *noticed = report.other_installation;
        }
    }
    assert_eq!(withdrawn, 0, "once they know of each other");
    assert!(
        made <= 2 * 100 + 2 * 5 + 64,
        "{made}: what is claimed, and a last resort a day"
    );
    assert!(noticed[0] > 0 || noticed[1] > 0, "{noticed:?}");
    let all = world.store.count_by_status(&bob.pool_id, world.now()).await.unwrap();
    assert!(all.room > 9_000, "{all:?}");

    // The person says that this is the only device.
    let report = one.take_over().await.unwrap();
    assert_eq!(report.other_installation, 0);
    let available = world.available(&bob).await;
    assert!(available.iter().all(|held| bob.has_key(held)));
    assert!(available.len() >= 8);
}

/// A device set up anew: whatever is there is withdrawn, of whichever ciphersuite and role, and leases that come back.
#[tokio::test]
async fn a_device_set_up_anew_withdraws_what_has_no_key() {
    let (world, bob) = (World::new(), Bob::new());
    let builder = bob.builder(&world).ciphersuite(CiphersuitePlan::pool(SUITE));
    let both = builder.ciphersuite(CiphersuitePlan::pool(OTHER)).build().unwrap();
    both.refresh().await.unwrap();
    let reserved = world.directory.reserve(&bob.pool_id, &Take::new()).await.unwrap();
    let leased = &reserved.package.info.key_package_ref;
    // The other plan has no last resort of the one ciphersuite, and nothing of the other.
    let new = Bob::new();
    let plan = CiphersuitePlan::pool(SUITE).last_resort(false);
    let pool = new.builder(&world).ciphersuite(plan).build().unwrap();
    let report = pool.refresh().await.unwrap();
    assert_eq!((report.withdrawn, report.other_installation), (65, 0));
    let counts = world.store.count_by_status(&new.pool_id, world.now()).await.unwrap();
    assert_eq!(
        (counts.of(OTHER).available, counts.of(OTHER).last_resort),
        (0, Slot::Empty)
    );
    assert_eq!(
        (counts.of(SUITE).available, counts.of(SUITE).last_resort),
        (32, Slot::Empty)
    );
    world.clock.advance(61);
    assert_eq!(world.status(&new, leased).await, Some(Status::Available));
    let report = pool.refresh().await.unwrap();
    assert_eq!((report.withdrawn, report.other_installation), (1, 0));
    assert!(world.available(&new).await.iter().all(|held| new.has_key(held)));
}

/// POOL-7: another process's round is said at once.
#[tokio::test]
async fn the_round_of_another_process_is_said() {
    let (world, bob) = (World::new(), Bob::new());
    let pool = bob.open(&world);
    let holder = LeaseHolder::from_bytes([7; 16]);
    let minute = kp_core::Ttl::seconds(60).unwrap();
    bob.metadata
        .lease(LeaseName::ROUND, holder, minute, world.now())
        .await
        .unwrap();
    let until = world.now().plus(60);
    for report in [pool.refresh().await, pool.generate_and_update_pool(SUITE, 1).await] {
        let report = report.unwrap();
        assert_eq!(
            (report.other_round, report.next_at, report.generated),
            (Some(until), Some(until), 0)
        );
    }
    world.clock.advance(60);
    let report = pool.refresh().await.unwrap();
    assert_eq!((report.other_round, report.uploaded), (None, 33));
    assert!(
        bob.metadata
            .list()
            .await
            .unwrap()
            .iter()
            .all(|row| row.lifecycle == Lifecycle::Available)
    );
}
