//! A Welcome costs no key unless it was joined with: POOL-5, POOL-6 and POOL-11, with real Welcomes.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

use kp_client::{CiphersuitePlan, KeyPackagePool, PoolError};
use kp_core::client::{KeyPackageMetadata, KeyVault as _, Lifecycle, PoolMetadataStoreExt as _};
use kp_core::{KeyPackageRef, ManualClock, Role, Timestamp};
use kp_test_support::messenger::{Alice, Bob, DAY, Invitation, SUITE, Vault, World};
use openmls_traits::OpenMlsProvider as _;

/// Bob's pool is full, and Alice has invited him with one package of it.
async fn invited() -> (World, Bob, Invitation) {
    let (world, bob) = (World::new(), Bob::new());
    bob.open(&world).refresh().await.unwrap();
    let invitation = Alice::new().invite(&world.claim(&bob).await);
    (world, bob, invitation)
}

/// POOL-6: OpenMLS deletes the key before it decrypts; the pool has it again.
#[tokio::test]
async fn a_welcome_with_a_flipped_byte_does_not_cost_the_key() {
    let (world, bob, invitation) = invited().await;
    let pool = bob.open(&world);
    for _ in 0..3 {
        let answer = pool.join(&invitation.refs, || {
            let answer = bob.attempt(&invitation.forged());
            assert!(!bob.has_key(&invitation.refs[0]), "OpenMLS deleted it");
            answer
        });
        assert!(answer.await.unwrap().is_err());
        assert!(bob.has_key(&invitation.refs[0]));
        assert_eq!(bob.lifecycle(&invitation.refs[0]).await, Some(Lifecycle::Available));
        assert_eq!(bob.stored_keys().len(), 34, "one copy stays");
    }
    pool.join(&invitation.refs, || bob.attempt(&invitation.welcome))
        .await
        .unwrap()
        .unwrap();
    assert!(bob.is_in(invitation.group.group_id()));
    assert_eq!(bob.stored_keys().len(), 32);
}

/// POOL-5, POOL-6: a last resort that was replaced joins within its grace period, also after an attempt that failed.
#[tokio::test]
async fn a_failed_attempt_with_a_replaced_last_resort_does_not_cost_the_key() {
    let (world, bob) = (World::new(), Bob::new());
    let plan = CiphersuitePlan::last_resort_only(SUITE);
    let pool = bob.builder(&world).ciphersuite(plan).build().unwrap();
    pool.refresh().await.unwrap();
    let invitation = Alice::new().invite(&world.claim(&bob).await);
    let replaced = &invitation.refs[0];
    world.clock.advance(DAY);
    pool.refresh().await.unwrap();
    let superseded = bob.lifecycle(replaced).await;
    assert!(matches!(superseded, Some(Lifecycle::Superseded { .. })));
    let failed = pool.join(&invitation.refs, || bob.attempt(&invitation.forged()));
    assert!(failed.await.unwrap().is_err());
    assert_eq!(bob.lifecycle(replaced).await, superseded);
    pool.refresh().await.unwrap();
    let joined = pool.join(&invitation.refs, || bob.attempt(&invitation.welcome));
    joined.await.unwrap().unwrap();
}

/// POOL-6: the process dies while OpenMLS decrypts the forged Welcome. Whether a refresh runs first or not, the genuine
/// one joins.
#[tokio::test]
async fn a_process_that_dies_while_it_joins_does_not_cost_the_key() {
    for refreshed in [false, true] {
        let (world, bob, invitation) = invited().await;
        let pool = bob.open(&world);
        let key_package_ref = &invitation.refs[0];
        let died = tokio::spawn({
            let (refs, forged, bob) = (invitation.refs.clone(), invitation.forged(), bob.clone());
            async move {
                let attempt = || -> Result<(), ()> {
                    bob.attempt(&forged).unwrap_err();
                    panic!("the process dies here");
                };
                pool.join(&refs, attempt).await
            }
        });
        assert!(died.await.unwrap_err().is_panic());
        assert!(!bob.has_key(key_package_ref), "only the copy is left");
        let lifecycle = bob.lifecycle(key_package_ref).await;
        assert!(matches!(lifecycle, Some(Lifecycle::Joining { .. })), "{lifecycle:?}");

        // For a minute the other process may be alive (POOL-7).
        let pool = bob.open(&world);
        let early = pool.join(&invitation.refs, || -> Result<(), ()> { panic!("not to be attempted") });
        let until = world.now().plus(60);
        assert!(matches!(early.await, Err(PoolError::JoinUnderWay { until: at }) if at == until));
        assert_eq!(pool.refresh().await.unwrap().recovered, 0);
        assert!(!bob.has_key(key_package_ref));
        world.clock.set(until);
        if refreshed {
            assert_eq!(pool.refresh().await.unwrap().recovered, 1);
            assert!(bob.has_key(key_package_ref));
            assert_eq!(bob.stored_keys().len(), 34, "the copy stays");
            assert_eq!(pool.refresh().await.unwrap().recovered, 0);
        }
        pool.join(&invitation.refs, || bob.attempt(&invitation.welcome))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(bob.lifecycle(key_package_ref).await, Some(Lifecycle::Spent));
        assert_eq!(bob.stored_keys().len(), 32);
    }
}

/// POOL-9: a package whose join died was handed out, so a server that has lost it does not get it again.
#[tokio::test]
async fn a_package_whose_join_died_never_goes_up_again() {
    let (world, bob, invitation) = invited().await;
    let died = [(invitation.refs[0].clone(), Lifecycle::Joining { mark: None })];
    bob.metadata.update_pool_status(&died, world.now()).await.unwrap();
    world.directory.delete_pool(&bob.pool_id).await.unwrap();
    let pool = bob.open(&world);
    for _ in 0..2 {
        pool.refresh().await.unwrap();
        assert_eq!(bob.lifecycle(&invitation.refs[0]).await, Some(Lifecycle::Reserved));
        assert_eq!(world.status(&bob, &invitation.refs[0]).await, None);
    }
}

/// POOL-6: a join that is dropped before its attempt, at each point where it waits.
#[tokio::test]
async fn a_join_that_is_dropped_does_not_cost_the_key() {
    use std::future::Future as _;
    use std::task::{Context, Waker};

    let (world, bob, invitation) = invited().await;
    let pool = bob.open(&world);
    {
        let mut join = Box::pin(pool.join(&invitation.refs, || bob.attempt(&invitation.welcome)));
        // The ledger is busy.
        let other = bob.clone();
        let busy = pool.join(&invitation.refs, || {
            let polled = join.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending());
            other.attempt(&invitation.forged())
        });
        assert!(busy.await.unwrap().is_err());
    }
    pool.join(&invitation.refs, || bob.attempt(&invitation.welcome))
        .await
        .unwrap()
        .unwrap();
}

/// An expired package is refused before OpenMLS touches its key.
#[tokio::test]
async fn an_expired_package_is_refused_cleanly() {
    let (world, bob, invitation) = invited().await;
    // Only once both clocks have passed its end (POOL-8): the server's did first.
    let phone = ManualClock::at(world.now());
    let plan = CiphersuitePlan::pool(SUITE);
    let pool = bob
        .builder(&world)
        .clock(phone.clone())
        .ciphersuite(plan)
        .build()
        .unwrap();
    world.clock.advance(84 * DAY);
    pool.refresh().await.unwrap();
    phone.advance(84 * DAY);
    let answer = pool.join(&invitation.refs, || -> Result<(), ()> { panic!("not to be attempted") });
    assert!(matches!(answer.await, Err(PoolError::ExpiredPackage)));
    assert!(bob.has_key(&invitation.refs[0]));
    assert_eq!(bob.lifecycle(&invitation.refs[0]).await, Some(Lifecycle::Reserved));
}

#[tokio::test]
async fn a_welcome_that_names_no_package_of_ours_is_refused() {
    let (world, bob, invitation) = invited().await;
    let pool = bob.open(&world);
    let stranger = KeyPackageRef::try_from("somebody else's").unwrap();
    for refs in [vec![], vec![stranger.clone()]] {
        let answer = pool.join(&refs, || -> Result<(), ()> { panic!("not to be attempted") });
        assert!(matches!(answer.await, Err(PoolError::UnknownPackage)));
    }
    // A Welcome for several names the packages of the others, too.
    let refs = [vec![stranger], invitation.refs.clone()].concat();
    pool.join(&refs, || bob.attempt(&invitation.welcome))
        .await
        .unwrap()
        .unwrap();
}

/// Joins again, which must not be attempted, and returns when the package was used.
async fn used_at(pool: &KeyPackagePool<Vault>, invitation: &Invitation) -> Option<Timestamp> {
    let answer = pool.join(&invitation.refs, || -> Result<(), ()> { panic!("not to be attempted") });
    match answer.await {
        Err(PoolError::AlreadyUsed { at }) => at,
        other => panic!("{other:?}"),
    }
}

/// POOL-11: a Welcome that comes twice, and another group's for the same package, find that it was used: also after a refresh,
/// and after a restart.
#[tokio::test]
async fn a_welcome_is_joined_once() {
    let (world, alice, bob) = (World::new(), Alice::new(), Bob::new());
    let pool = bob.open(&world);
    pool.refresh().await.unwrap();
    let package = world.claim(&bob).await;
    let [invitation, other] = [alice.invite(&package), alice.invite(&package)];
    let joined_at = world.now();
    pool.join(&invitation.refs, || bob.attempt(&invitation.welcome))
        .await
        .unwrap()
        .unwrap();
    world.clock.advance(DAY);
    for refreshed in [false, true, true] {
        if refreshed {
            pool.refresh().await.unwrap();
        }
        for pool in [&pool, &bob.open(&world)] {
            assert_eq!(used_at(pool, &invitation).await, Some(joined_at));
            assert_eq!(used_at(pool, &other).await, Some(joined_at));
        }
    }
    assert!(!bob.has_key(&invitation.refs[0]));

    // Until its `not_after`, and before it is said to be expired.
    world.clock.set(package.info.lifetime.not_after());
    assert_eq!(used_at(&pool, &invitation).await, Some(joined_at));
    pool.refresh().await.unwrap();
    let answer = pool.join(&invitation.refs, || -> Result<(), ()> { panic!("not to be attempted") });
    assert!(matches!(answer.await, Err(PoolError::UnknownPackage)));
}

/// POOL-11: rows of used packages are bounded, and no sync names them.
#[tokio::test]
async fn the_newest_thousand_used_packages_are_remembered() {
    let (world, bob) = (World::new(), Bob::new());
    let (info, _) = bob.vault().generate(SUITE, Role::OneTime, world.now()).unwrap();
    let named = |at: u16| KeyPackageRef::try_from(format!("used {at}").as_str()).unwrap();
    let row = |at: u16| KeyPackageMetadata {
        key_package_ref: named(at),
        lifecycle: Lifecycle::Spent,
        spent_at: Some(world.now().plus(at.into())),
        ..KeyPackageMetadata::created(&info, world.now())
    };
    let rows: Vec<_> = (0..1_002).map(row).collect();
    bob.metadata.create_pool_metadata(&rows).await.unwrap();
    let pool = bob.open(&world);
    assert_eq!(pool.cleanup_expired().await.unwrap(), 2);
    let left = bob.rows().await;
    assert_eq!(
        (left.len(), left.contains(&named(1)), left.contains(&named(2))),
        (1_000, false, true)
    );
    let report = pool.refresh().await.unwrap();
    assert_eq!((report.deleted, report.lost, report.uploaded), (0, 0, 33));
}

/// POOL-11: a backup of the MLS library's storage, made before the join or within, brings the key of a used package back, or its
/// copy. The row knows better.
#[tokio::test]
async fn a_key_that_a_backup_brings_back_goes_again() {
    let (world, bob, invitation) = invited().await;
    let stored = || bob.provider.storage().values.read().unwrap().clone();
    let (before, mut within) = (stored(), None);
    let attempt = || {
        let attempted = bob.attempt(&invitation.welcome);
        within = Some(stored());
        attempted
    };
    let joined = bob.open(&world).join(&invitation.refs, attempt).await;
    joined.unwrap().unwrap();
    for (backup, has_key) in [(before, true), (within.unwrap(), false)] {
        *bob.provider.storage().values.write().unwrap() = backup;
        assert_eq!(bob.has_key(&invitation.refs[0]), has_key);
        assert_eq!(bob.stored_keys().len(), 33);
        let pool = bob.open(&world);
        assert_eq!(used_at(&pool, &invitation).await, Some(world.now()));
        pool.refresh().await.unwrap();
        assert!(!bob.has_key(&invitation.refs[0]));
        assert_eq!(bob.stored_keys().len(), 32);
    }
}

/// POOL-11: a Welcome may name several packages of one client. It is joined with those that are left.
#[tokio::test]
async fn a_welcome_that_names_a_used_package_too_is_joined() {
    let (world, bob, first) = invited().await;
    let pool = bob.open(&world);
    let second = Alice::new().invite(&world.claim(&bob).await);
    let third = world.claim(&bob).await.info.key_package_ref;
    pool.join(&first.refs, || bob.attempt(&first.welcome))
        .await
        .unwrap()
        .unwrap();
    let refs = [first.refs.clone(), second.refs.clone(), vec![third.clone()]].concat();
    pool.join(&refs, || bob.attempt(&second.welcome))
        .await
        .unwrap()
        .unwrap();
    assert!(!bob.has_key(&third), "named in the same Welcome, so nobody else has it");
    let again = pool.join(&refs, || -> Result<(), ()> { panic!("not to be attempted") });
    assert!(matches!(again.await, Err(PoolError::AlreadyUsed { .. })));
}

/// The app's storage was reset, and the metadata was not.
#[tokio::test]
async fn a_key_that_is_gone_is_said_to_be() {
    let (world, bob, invitation) = invited().await;
    let pool = bob.open(&world);
    bob.provider.storage().values.write().unwrap().clear();
    let answer = pool.join(&invitation.refs, || -> Result<(), ()> { panic!("not to be attempted") });
    assert!(matches!(answer.await, Err(PoolError::KeyGone)));
    let lifecycle = bob.lifecycle(&invitation.refs[0]).await;
    assert_eq!(lifecycle, Some(Lifecycle::Available), "nobody used it");
}

/// A last resort serves many, one after the other and at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_welcomes_to_one_last_resort_both_join() {
    let (world, alice, bob) = (World::new(), Alice::new(), Bob::new());
    let plan = CiphersuitePlan::last_resort_only(SUITE);
    let pool = bob.builder(&world).ciphersuite(plan).build().unwrap();
    pool.refresh().await.unwrap();
    let (first, second) = (world.claim(&bob).await, world.claim(&bob).await);
    assert_eq!(first, second);
    let invitations = [alice.invite(&first), alice.invite(&second)];

    let joins = invitations.iter().map(|invitation| {
        let (pool, bob) = (pool.clone(), bob.clone());
        let (refs, forged, welcome) = (invitation.refs.clone(), invitation.forged(), invitation.welcome.clone());
        tokio::spawn(async move {
            pool.join(&refs, || bob.attempt(&forged)).await.unwrap().unwrap_err();
            pool.join(&refs, || bob.attempt(&welcome)).await.unwrap().unwrap();
        })
    });
    for join in joins.collect::<Vec<_>>() {
        join.await.unwrap();
    }
    for invitation in &invitations {
        assert!(bob.is_in(invitation.group.group_id()));
    }
    let key_package_ref = &first.info.key_package_ref;
    assert_eq!(bob.stored_keys().len(), 2, "the key, and its copy");
    assert!(bob.has_key(key_package_ref));
    assert_eq!(bob.lifecycle(key_package_ref).await, Some(Lifecycle::Reserved));
    // It was used, so that it is replaced, a day after it was made.
    world.clock.advance(DAY);
    assert_eq!(pool.refresh().await.unwrap().superseded, 1);
}
