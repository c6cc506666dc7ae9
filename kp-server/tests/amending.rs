//! Requirements and init keys, and what an earlier release stored without either.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

mod world;

use kp_core::key_package::ExtensionType;
use kp_core::protocol::{Refusal, UploadOutcome};
use kp_core::server::{Admission, KeyPackageStore, Requirements, Save, SaveMode, TakeOptions, Uploader};
use kp_core::{Error, PoolId, Rejection};
use kp_server::{KeyPackageDirectory, Take};
use world::{Clamped, EXTENSION, Made, PlainAdmission, World, bob, made, retry_key, start};

fn requiring(extension: ExtensionType, id: u8) -> Take {
    let required = Requirements::new().extensions([extension]).unwrap();
    Take::from(TakeOptions::new().requirements(required)).id(retry_key(id))
}

/// Stores packages as a release did that kept neither support nor fingerprints.
async fn store_as_before(world: &World, pool: &PoolId, packages: &[Made]) {
    let packages = packages.iter().map(|made| {
        let admitted = PlainAdmission.admit(&made.bytes(), &Uploader::unchecked(), start());
        admitted.unwrap().package
    });
    let save = Save::new(pool.clone(), packages).unwrap();
    world.store.save_key_packages(&save, start()).await.unwrap();
}

/// RES-3: what is required reaches the store, and what the admission read is there to compare.
#[tokio::test]
async fn a_claim_requires_what_the_admission_read() {
    let world = World::new();
    world.upload(made(1)).await;
    let unmet = world
        .directory
        .claim(&bob(), &requiring(ExtensionType(0xF002), 1))
        .await;
    assert!(
        matches!(unmet, Err(Error::Rejected(Rejection::NothingFits))),
        "{unmet:?}"
    );
    world.directory.claim(&bob(), &requiring(EXTENSION, 2)).await.unwrap();
}

/// SAVE-9: a spent init key does not come back under another ref.
#[tokio::test]
async fn a_spent_init_key_is_refused() {
    let world = World::new();
    world.upload(made(1)).await;
    world
        .directory
        .claim(&bob(), &Take::new().id(retry_key(1)))
        .await
        .unwrap();
    let mut anew = Made::new("signed-anew");
    anew.init_key = Made::new("package-0").init_key;
    let reused = UploadOutcome::Refused(Refusal::InitKeyReused);
    assert_eq!(world.upload(vec![anew.bytes()]).await, [reused]);
    assert_eq!(reused.code(), "init_key_reused");
}

/// SAVE-5: an operator adds to what is stored, some pools at a time, last resorts too.
#[tokio::test]
async fn what_an_earlier_release_stored_is_amended() {
    let world = World::new();
    let pools: Vec<_> = (0..5_u8)
        .map(|n| PoolId::try_from([n + 1].as_slice()).unwrap())
        .collect();
    for pool in &pools {
        store_as_before(&world, pool, &[Made::new("one"), Made::new("last").last_resort()]).await;
    }
    let unmet = world.directory.claim(&pools[0], &requiring(EXTENSION, 1)).await;
    assert!(
        matches!(unmet, Err(Error::Rejected(Rejection::NothingFits))),
        "{unmet:?}"
    );

    let (mut counts, mut after) = (Vec::new(), None);
    loop {
        let (count, next) = world.directory.amend(after.as_ref(), 2).await.unwrap();
        counts.push(count);
        after = next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(counts, [4, 4, 2], "two of each pool, two pools at a time");
    for pool in &pools {
        for id in [1, 2] {
            world.directory.claim(pool, &requiring(EXTENSION, id)).await.unwrap();
        }
        let mut anew = Made::new("signed-anew");
        anew.init_key = Made::new("one").init_key;
        let item = PlainAdmission
            .admit(&anew.bytes(), &Uploader::unchecked(), start())
            .unwrap();
        let reused = world
            .store
            .save_key_packages(&Save::one(pool.clone(), item), start())
            .await;
        assert!(!reused.unwrap()[0].is_held(), "its fingerprint is there");
    }
}

/// What the admission refuses by now stays as it is, and what is reserved is found by a later walk.
#[tokio::test]
async fn what_cannot_be_amended_is_passed_over() {
    let world = World::new();
    let mut short = Made::new("short");
    short.not_after = start().plus(100);
    store_as_before(&world, &bob(), &[Made::new("leased"), Made::new("free"), short]).await;
    let leased = world
        .directory
        .reserve(&bob(), &Take::new().id(retry_key(1)))
        .await
        .unwrap();
    assert_eq!(world.directory.amend(None, 100).await.unwrap(), (2, None));
    let released = world.directory.release(&[leased.lease.unwrap().token]).await;
    released.only().unwrap();
    world.clock.set(start().plus(100));
    assert_eq!(
        world.directory.amend(None, 100).await.unwrap(),
        (2, None),
        "one has expired"
    );
    assert_eq!(
        world.upload(vec![Made::new("free").bytes()]).await,
        [UploadOutcome::AlreadyStored]
    );
}

/// Nothing new is stored by the mode that the walk saves with.
#[tokio::test]
async fn amending_brings_nothing_back() {
    let world = World::new();
    let last = Made::new("last").last_resort();
    assert_eq!(world.upload(vec![last.bytes()]).await, [UploadOutcome::Saved]);
    world.directory.delete_pool(&bob()).await.unwrap();
    let item = PlainAdmission
        .admit(&last.bytes(), &Uploader::unchecked(), start())
        .unwrap();
    let amend = Save::one(bob(), item).mode(SaveMode::Amend);
    assert!(!world.store.save_key_packages(&amend, start()).await.unwrap()[0].is_held());
    assert_eq!(world.directory.amend(None, 100).await.unwrap(), (0, None));
}

/// RES-3: a clamped lifetime would end elsewhere by now; the facts stay those that are stored.
#[tokio::test]
async fn what_was_clamped_is_amended_too() {
    let world = World::new();
    store_as_before(&world, &bob(), &[Made::new("clamped")]).await;
    let builder = KeyPackageDirectory::builder(world.store.clone(), Clamped).clock(world.clock.clone());
    let directory = builder.build().unwrap();
    assert_eq!(directory.amend(None, 10).await.unwrap(), (1, None));
    directory.claim(&bob(), &requiring(EXTENSION, 1)).await.unwrap();
}
