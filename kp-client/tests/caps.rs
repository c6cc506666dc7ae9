//! What counts towards the cap of a ciphersuite, and when a pool is due again: POOL-1, POOL-2, POOL-7.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

use kp_client::{CiphersuitePlan, KeyPackagePool, Sizes};
use kp_core::Ciphersuite;
use kp_core::client::PoolMetadataStore as _;
use kp_core::server::KeyPackageStore as _;
use kp_test_support::messenger::{Bob, DAY, SUITE, Vault, World};

const OTHER_SUITE: Ciphersuite = Ciphersuite(0x0003);

fn plan(suite: Ciphersuite, sizes: Sizes) -> CiphersuitePlan {
    CiphersuitePlan::pool(suite).one_time(sizes).last_resort(false)
}

fn open(world: &World, bob: &Bob, sizes: Sizes) -> KeyPackagePool<Vault> {
    bob.builder(world).ciphersuite(plan(SUITE, sizes)).build().unwrap()
}

#[tokio::test]
async fn each_ciphersuite_has_a_cap_of_its_own() {
    let (world, bob) = (World::new(), Bob::new());
    let full = Sizes::new(4, 1, 4);
    let builder = bob.builder(&world).ciphersuite(plan(SUITE, full));
    let pool = builder.ciphersuite(plan(OTHER_SUITE, full)).build().unwrap();
    assert_eq!(open(&world, &bob, full).refresh().await.unwrap().generated, 4);
    assert_eq!(pool.refresh().await.unwrap().generated, 4);
    let counts = world.store.count_by_status(&bob.pool_id, world.now()).await.unwrap();
    assert_eq!((counts.of(SUITE).available, counts.of(OTHER_SUITE).available), (4, 4));
}

#[tokio::test]
async fn what_has_expired_leaves_room() {
    let (world, bob) = (World::new(), Bob::new());
    let pool = open(&world, &bob, Sizes::new(4, 1, 4));
    pool.refresh().await.unwrap();
    assert_eq!(pool.get_replenishment_needed(SUITE).await.unwrap(), 0);
    world.clock.advance(100 * DAY);
    assert_eq!(pool.get_replenishment_needed(SUITE).await.unwrap(), 4);
}

/// The cap has no room for both generations: what it kept back is made once the old ones are withdrawn, in the same round.
#[tokio::test]
async fn a_changed_credential_is_served_in_one_round() {
    let (world, bob) = (World::new(), Bob::new());
    let pool = open(&world, &bob, Sizes::new(32, 16, 40));
    pool.refresh().await.unwrap();
    let old = world.available(&bob).await;
    bob.credentials.change("bob");
    pool.refresh().await.unwrap();
    let new = world.available(&bob).await;
    assert!(old.is_disjoint(&new));
    assert_eq!(new.len(), 32);
}

/// A package that was handed out is due at its end, where nothing else is due before.
#[tokio::test]
async fn the_end_of_what_was_handed_out_is_due() {
    let (world, bob) = (World::new(), Bob::new());
    let pool = open(&world, &bob, Sizes::new(1, 1, 1));
    pool.refresh().await.unwrap();
    let handed_out = world.claim(&bob).await.info.key_package_ref;
    world.clock.advance(30 * DAY);
    let next_at = pool.refresh().await.unwrap().next_at;
    let row = bob.metadata.get(&handed_out).await.unwrap().unwrap();
    assert_eq!(next_at, Some(row.not_after));
}
