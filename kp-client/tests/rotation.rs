//! A pool replaces what is old, used or lost, and keeps its server right: POOL-3, POOL-5 and POOL-7.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

use std::sync::Arc;
use std::time::Duration;

use kp_client::{CiphersuitePlan, PoolError, Sizes};
use kp_core::client::{Lifecycle, PoolMetadataStore as _};
use kp_core::protocol::Refusal;
use kp_core::protocol::UploadOutcome;
use kp_core::rules::Limits;
use kp_core::server::KeyPackageStore as _;
use kp_core::{Ciphersuite, Clock as _, KeyPackageRef, ManualClock, Slot, Status};
use kp_memory::{MemoryMetadata, MemoryStore};
use kp_openmls::OpenMlsAdmission;
use kp_server::KeyPackageDirectory;
use kp_test_support::messenger::{Alice, Bob, DAY, SUITE, World, current};

const FEW: CiphersuitePlan = CiphersuitePlan::pool(SUITE).one_time(Sizes::new(4, 2, 8));

/// POOL-7: nobody is given a package that nobody can be welcomed with.
#[tokio::test]
async fn packages_without_a_key_are_taken_back_and_replaced() {
    let (world, bob) = (World::new(), Bob::new());
    bob.open(&world).refresh().await.unwrap();
    let before = world.available(&bob).await;
    // A new telephone with the old pool id: neither keys nor metadata.
    let new = Bob::new();
    let pool = new.open(&world);
    let report = pool.refresh().await.unwrap();
    assert_eq!((report.withdrawn, report.generated), (33, 33));
    let after = world.available(&new).await;
    assert_eq!((after.len(), after.is_disjoint(&before)), (32, true));
    assert!(after.iter().all(|held| new.has_key(held)));

    // The keys alone are lost: the rows tell it.
    let keyless = Bob {
        provider: Arc::default(),
        ..new.clone()
    };
    // The rows stay for an hour: another process might be about to store the keys.
    let report = keyless.open(&world).refresh().await.unwrap();
    assert_eq!((report.lost, report.withdrawn, report.generated), (0, 33, 33));
    assert!(world.available(&keyless).await.is_disjoint(&after));
    world.clock.advance(3_600);
    let report = keyless.open(&world).refresh().await.unwrap();
    assert_eq!((report.lost, report.withdrawn, report.generated), (33, 0, 0));
}

/// POOL-3: no key is without a row: one that lost its row gets it back, while the server can hand its package out.
#[tokio::test]
async fn keys_that_lost_their_rows_get_them_back() {
    let (world, bob) = (World::new(), Bob::new());
    bob.open(&world).refresh().await.unwrap();
    let bob = Bob {
        metadata: MemoryMetadata::new(),
        ..bob
    };
    let before = world.available(&bob).await;
    let report = bob.open(&world).refresh().await.unwrap();
    assert_eq!((report.recovered, report.generated, report.withdrawn), (33, 0, 0));
    assert_eq!(world.available(&bob).await, before);
    assert!(before.is_subset(&bob.rows().await));
}

/// POOL-5, POOL-7: a last resort that was handed out is replaced, and its key kept for the grace period.
#[tokio::test]
async fn a_used_last_resort_is_replaced_and_its_key_kept_for_a_while() {
    let (world, alice, bob) = (World::new(), Alice::new(), Bob::new());
    let pool = bob
        .builder(&world)
        .ciphersuite(CiphersuitePlan::last_resort_only(SUITE))
        .keep_old(Duration::from_secs(7 * DAY))
        .build()
        .unwrap();
    let report = pool.refresh().await.unwrap();
    assert_eq!((report.generated, report.uploaded), (1, 1));
    assert!(!pool.should_replenish().await.unwrap());
    assert_eq!(pool.get_replenishment_needed(SUITE).await.unwrap(), 0);
    let taken = world.claim(&bob).await;
    assert!(taken.info.role.is_last_resort());

    let report = pool.refresh().await.unwrap();
    assert_eq!(
        (report.generated, report.next_at),
        (0, Some(world.now().plus(DAY))),
        "POOL-10"
    );
    world.clock.advance(DAY);
    let report = pool.refresh().await.unwrap();
    assert_eq!((report.generated, report.uploaded, report.superseded), (1, 1, 1));
    let (current, used) = world.last_resort(&bob).await.unwrap();
    assert!(current != taken.info.key_package_ref && !used);
    assert_eq!(report.next_at, Some(world.now().plus(7 * DAY)));
    assert_eq!(pool.refresh().await.unwrap().generated, 0, "replaced once");

    let late = alice.invite(&taken);
    pool.join(&late.refs, || bob.attempt(&late.welcome))
        .await
        .unwrap()
        .unwrap();
    assert!(bob.has_key(&taken.info.key_package_ref), "a last resort keeps its key");
    world.clock.advance(7 * DAY);
    assert_eq!(pool.refresh().await.unwrap().deleted, 1);
    assert!(!bob.has_key(&taken.info.key_package_ref) && bob.has_key(&current));
}

/// POOL-7: one that nobody used is replaced in time, and before it expires.
#[tokio::test]
async fn a_last_resort_is_rotated() {
    let (world, bob) = (World::new(), Bob::new());
    let plan = CiphersuitePlan::last_resort_only(SUITE);
    let pool = bob.builder(&world).ciphersuite(plan).build().unwrap();
    let report = pool.refresh().await.unwrap();
    assert_eq!(report.next_at, Some(world.now().plus(28 * DAY)));
    let first = world.last_resort(&bob).await.unwrap().0;
    world.clock.advance(28 * DAY - 1);
    assert_eq!(pool.refresh().await.unwrap().generated, 0);
    world.clock.advance(1);
    assert_eq!(pool.refresh().await.unwrap().superseded, 1);
    assert_ne!(world.last_resort(&bob).await.unwrap().0, first);
    assert!(bob.has_key(&first));
}

/// POOL-2, POOL-7: a pool made in one batch is renewed before all of it expires at once.
#[tokio::test]
async fn packages_near_their_end_get_successors() {
    let (world, bob) = (World::new(), Bob::new());
    let plan = CiphersuitePlan::pool(SUITE).last_resort(false);
    let pool = bob.builder(&world).ciphersuite(plan).build().unwrap();
    let made = world.now();
    let due = pool.refresh().await.unwrap().next_at.unwrap();
    assert!(
        due > made.plus(75 * DAY) && due < made.plus(76 * DAY),
        "the last tenth of 84 days"
    );
    world.clock.set(due.minus(1));
    assert_eq!(pool.refresh().await.unwrap().generated, 0);
    world.clock.set(due);
    assert!(pool.should_replenish().await.unwrap());
    assert_eq!(pool.refresh().await.unwrap().generated, 32);
    assert_eq!(world.available(&bob).await.len(), 64);
    world.clock.set(made.plus(84 * DAY));
    let report = pool.refresh().await.unwrap();
    assert_eq!((report.generated, report.deleted), (0, 32));
    assert_eq!(world.available(&bob).await.len(), 32);
}

/// POOL-5: new ones are published, and then the old ones are taken back; their keys stay for the grace period.
#[tokio::test]
async fn a_changed_credential_replaces_all_packages() {
    let (world, alice, bob) = (World::new(), Alice::new(), Bob::new());
    let pool = bob.open(&world);
    pool.refresh().await.unwrap();
    pool.generate_and_update_pool(SUITE, 20).await.unwrap();
    let taken = world.claim(&bob).await;
    let before = world.available(&bob).await;
    let slot = world.last_resort(&bob).await.unwrap().0;
    assert_eq!(before.len(), 51);

    bob.credentials.change("bob");
    assert!(pool.should_replenish().await.unwrap());
    let report = pool.refresh().await.unwrap();
    assert_eq!(
        (report.withdrawn, report.superseded),
        (51, 52),
        "and a last resort, which was replaced"
    );
    let after = world.available(&bob).await;
    assert_eq!(
        (after.len(), after.is_disjoint(&before)),
        (13, true),
        "a cap of 64 leaves room for 13"
    );
    assert_ne!(world.last_resort(&bob).await.unwrap().0, slot);
    for row in bob.metadata.list().await.unwrap() {
        assert_eq!(
            row.credential == current(&bob),
            matches!(row.lifecycle, Lifecycle::Available)
        );
    }
    assert!(before.iter().chain([&slot]).all(|old| bob.has_key(old)));
    let late = alice.invite(&taken);
    pool.join(&late.refs, || bob.attempt(&late.welcome))
        .await
        .unwrap()
        .unwrap();

    world.clock.advance(28 * DAY);
    pool.refresh().await.unwrap();
    assert!(before.iter().chain([&slot]).all(|old| !bob.has_key(old)));
}

/// POOL-5: a server that does not take the new credential keeps the old packages.
#[tokio::test]
async fn old_packages_stay_until_new_ones_are_up() {
    let (world, bob) = (World::new(), Bob::new());
    let pool = bob.open(&world);
    pool.refresh().await.unwrap();
    let before = world.available(&bob).await;
    bob.credentials.change("bob, who moved");
    let report = pool.refresh().await.unwrap();
    let mismatch = UploadOutcome::Refused(Refusal::CredentialMismatch);
    assert_eq!(report.refused.len(), 33);
    assert!(report.refused.iter().all(|(_, verdict)| *verdict == mismatch));
    assert_eq!((report.withdrawn, report.superseded), (0, 0));
    assert_eq!(world.available(&bob).await, before);
    // What was refused goes with the next run, key and row.
    assert_eq!(pool.cleanup_expired().await.unwrap(), 33);
    assert_eq!(bob.stored_keys().len(), 33);
}

/// POOL-7: a server whose memory of the pool is full takes a new last resort alone, which stands in for nothing but the old one.
#[tokio::test]
async fn a_new_last_resort_drives_out_no_one_time_package() {
    let store = MemoryStore::with_limits(Limits::default().max_records(4));
    let builder = KeyPackageDirectory::builder(Arc::new(store.clone()), OpenMlsAdmission::new());
    let (world, bob) = (World::new(), Bob::new());
    let directory = builder.clock(world.clock.clone()).build().unwrap();
    let world = World {
        store,
        directory,
        ..world
    };
    let pool = bob.builder(&world).ciphersuite(FEW).build().unwrap();
    pool.refresh().await.unwrap();
    let (before, slot) = (world.available(&bob).await, world.last_resort(&bob).await.unwrap().0);
    bob.credentials.change("bob");
    for _ in 0..2 {
        let report = pool.refresh().await.unwrap();
        assert!(report.server_full);
        assert_eq!(report.withdrawn, 0);
        assert_eq!(world.available(&bob).await, before);
        assert_ne!(world.last_resort(&bob).await.unwrap().0, slot);
    }
}

/// POOL-10: a last resort of an old credential is replaced at once, also while it waits for its `not_before`.
#[tokio::test]
async fn a_last_resort_that_is_not_yet_valid_follows_a_changed_credential() {
    let (world, bob) = (World::new(), Bob::new());
    let plan = CiphersuitePlan::last_resort_only(SUITE);
    let pool = bob.builder(&world).ciphersuite(plan).build().unwrap();
    // The clock was ahead, by more than the vault dates back, and is set right.
    let now = world.now();
    world.clock.advance(5_400);
    pool.refresh().await.unwrap();
    world.clock.set(now);
    let (early, _) = world.last_resort(&bob).await.unwrap();
    let early = bob.metadata.get(&early).await.unwrap().unwrap();
    assert!(now < early.not_before.unwrap());
    assert_eq!(pool.refresh().await.unwrap().generated, 0, "POOL-8: it is waited for");

    bob.credentials.change("bob");
    let report = pool.refresh().await.unwrap();
    assert_eq!((report.generated, report.superseded), (1, 1));
    let (slot, _) = world.last_resort(&bob).await.unwrap();
    let row = bob.metadata.get(&slot).await.unwrap().unwrap();
    assert_eq!(row.credential, current(&bob));
    assert!(row.not_before.unwrap() <= now);
}

/// POOL-7, POOL-8: whoever comes again when the report says so finds that a grace period is over for the server too, and the
/// key goes. The client's clock is ahead, within the skew.
#[tokio::test]
async fn what_only_the_client_has_passed_is_due_once_the_server_has() {
    let (world, bob) = (World::new(), Bob::new());
    let (week, ahead) = (7 * DAY, 1_800);
    let clock = ManualClock::at(world.now().plus(ahead));
    let pool = bob
        .builder(&world)
        .clock(clock.clone())
        .ciphersuite(CiphersuitePlan::last_resort_only(SUITE))
        .keep_old(Duration::from_secs(week))
        .build()
        .unwrap();
    pool.refresh().await.unwrap();
    let (old, _) = world.last_resort(&bob).await.unwrap();
    bob.credentials.change("bob");
    assert_eq!(pool.refresh().await.unwrap().superseded, 1);
    let mut deleted = 0;
    for waited in [week, ahead] {
        clock.advance(waited);
        world.clock.advance(waited);
        assert!(bob.has_key(&old));
        let report = pool.refresh().await.unwrap();
        deleted += report.deleted;
        if deleted == 0 {
            assert_eq!(report.next_at, Some(clock.now().plus(ahead)));
        }
    }
    assert_eq!(deleted, 1);
    assert!(!bob.has_key(&old));
}

/// POOL-7: what is no longer planned is taken back.
#[tokio::test]
async fn a_ciphersuite_that_is_no_longer_planned_is_withdrawn() {
    let (world, bob) = (World::new(), Bob::new());
    let other = Ciphersuite(0x0003);
    let both = bob
        .builder(&world)
        .ciphersuite(FEW)
        .ciphersuite(CiphersuitePlan::pool(other));
    assert_eq!(both.build().unwrap().refresh().await.unwrap().generated, 5 + 33);
    let one = bob.builder(&world).ciphersuite(FEW).build().unwrap();
    let report = one.refresh().await.unwrap();
    assert_eq!((report.generated, report.withdrawn, report.superseded), (0, 33, 33));
    let counts = world.store.count_by_status(&bob.pool_id, world.now()).await.unwrap();
    assert_eq!(
        (counts.of(other).available, counts.of(other).last_resort),
        (0, Slot::Empty)
    );
    assert_eq!(counts.of(SUITE).available, 4);
}

/// POOL-7: a server restored from a backup would hand out what was taken back from it.
#[tokio::test]
async fn a_server_restored_from_a_backup_is_corrected() {
    let (world, bob) = (World::new(), Bob::new());
    let pool = bob.open(&world);
    pool.refresh().await.unwrap();
    let old = world.available(&bob).await;
    let bytes = world
        .store
        .get_key_package(&bob.pool_id, old.first().unwrap(), world.now());
    let backup = bytes.await.unwrap().unwrap().bytes.unwrap();
    bob.credentials.change("bob");
    pool.refresh().await.unwrap();
    world.directory.delete_pool(&bob.pool_id).await.unwrap();
    bob.transport(&world).upload(&[backup]).await.unwrap();
    assert_eq!(world.available(&bob).await.len(), 1);
    let report = pool.refresh().await.unwrap();
    assert_eq!((report.withdrawn, report.generated), (1, 0));
    assert!(world.available(&bob).await.is_disjoint(&old));
}

/// POOL-5: an app that joins on its own says so.
#[tokio::test]
async fn what_is_marked_as_spent_loses_its_key_and_is_withdrawn() {
    let (world, bob) = (World::new(), Bob::new());
    let pool = bob.open(&world);
    pool.refresh().await.unwrap();
    let used = world.available(&bob).await.into_iter().take(2).collect::<Vec<_>>();
    pool.mark_as_spent(&used).await.unwrap();
    pool.mark_as_spent(&used).await.unwrap();
    for used in &used {
        assert!(!bob.has_key(used));
        assert_eq!(bob.lifecycle(used).await, Some(Lifecycle::Spent));
    }
    let stranger = [KeyPackageRef::try_from("nobody's").unwrap()];
    assert!(matches!(
        pool.mark_as_spent(&stranger).await,
        Err(PoolError::UnknownPackage)
    ));

    let report = pool.refresh().await.unwrap();
    assert_eq!((report.deleted, report.withdrawn), (0, 2));
    assert!(matches!(world.status(&bob, &used[0]).await, Some(Status::Spent { .. })));

    let (slot, _) = world.last_resort(&bob).await.unwrap();
    pool.mark_as_spent(std::slice::from_ref(&slot)).await.unwrap();
    assert!(bob.has_key(&slot), "a last resort keeps its key");
    world.clock.advance(DAY);
    assert_eq!(pool.refresh().await.unwrap().superseded, 1);
}
