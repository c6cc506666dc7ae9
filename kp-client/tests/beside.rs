//! A round of one process meets a join of another: POOL-6 and POOL-7, with real keys and Welcomes.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

use kp_client::KeyPackagePool;
use kp_core::client::{KeyPackageMetadata, Lifecycle, PoolMetadataStoreExt as _};
use kp_core::rules::MAX_ITEMS;
use kp_core::{CredentialHash, KeyPackageInfo, KeyPackageRef, Lifetime, Status};
use kp_server::Take;
use kp_test_support::messenger::{Alice, Bob, DAY, SUITE, Vault, World};

/// What the other process does while this one joins. It runs on a thread of its own, since an attempt does not wait.
fn meanwhile(other: &KeyPackagePool<Vault>, rounds: u32) {
    std::thread::scope(|scope| {
        let rounds = async {
            for _ in 0..rounds {
                other.refresh().await.unwrap();
                other.cleanup_expired().await.unwrap();
                other.generate_and_update_pool(SUITE, 1).await.unwrap();
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        scope.spawn(move || runtime.block_on(rounds)).join().unwrap();
    });
}

/// What another process began a moment ago is left alone: its second copy, too.
#[tokio::test]
async fn a_round_of_another_process_costs_no_join_its_key() {
    for rounds in [1, 3] {
        for last_resort in [false, true] {
            let (world, bob, alice) = (World::new(), Bob::new(), Alice::new());
            let (first, other) = (bob.open(&world), bob.open(&world));
            first.refresh().await.unwrap();
            if last_resort {
                for _ in 0..32 {
                    world.claim(&bob).await;
                }
            }
            let package = world.claim(&bob).await;
            assert_eq!(package.info.role.is_last_resort(), last_resort);
            let invitation = alice.invite(&package);
            let forged = invitation.forged();
            // Before the library deletes the key, and after.
            for before in [true, false] {
                let attempt = || {
                    if before {
                        meanwhile(&other, rounds);
                    }
                    let refused = bob.attempt(&forged);
                    if !before {
                        meanwhile(&other, rounds);
                    }
                    refused
                };
                first.join(&invitation.refs, attempt).await.unwrap().unwrap_err();
                assert!(bob.has_key(&invitation.refs[0]), "a forged Welcome cost the key");
            }
            let attempt = || {
                meanwhile(&other, rounds);
                let joined = bob.attempt(&invitation.welcome);
                meanwhile(&other, rounds);
                joined
            };
            first.join(&invitation.refs, attempt).await.unwrap().unwrap();
            assert_eq!(bob.has_key(&invitation.refs[0]), last_resort);
            let lifecycle = bob.lifecycle(&invitation.refs[0]).await;
            assert_eq!(lifecycle == Some(Lifecycle::Spent), !last_resort, "{lifecycle:?}");
            assert_eq!(
                bob.copies().len(),
                usize::from(last_resort),
                "a copy as long as the key"
            );
        }
    }
}

/// DIR-6, DIR-8: a client of many rows names them in runs. What a later run names is no stranger to the first, also while a join
/// of another process has its key: a lease ended, the server has the package again, and a Welcome for it comes after all.
#[tokio::test]
async fn a_round_of_many_rows_leaves_what_another_process_joins_with() {
    let (world, bob, alice) = (World::new(), Bob::new(), Alice::new());
    let (first, other) = (bob.open(&world), bob.open(&world));
    first.refresh().await.unwrap();
    let package = world
        .directory
        .reserve(&bob.pool_id, &Take::new())
        .await
        .unwrap()
        .package;
    let invitation = alice.invite(&package);
    world.clock.advance(60);
    // They are the first run: other processes are about to store their keys.
    let lifetime = Lifetime::new(world.now(), world.now().plus(84 * DAY)).unwrap();
    let before_all = |n: usize| {
        let named = KeyPackageRef::try_from(n.to_be_bytes().as_slice()).unwrap();
        let info = KeyPackageInfo::new(named, SUITE, lifetime, CredentialHash([0; 32]));
        KeyPackageMetadata::created(&info, world.now())
    };
    let rows: Vec<_> = (0..MAX_ITEMS).map(before_all).collect();
    bob.metadata.create_pool_metadata(&rows).await.unwrap();

    let attempt = || {
        let refused = bob.attempt(&invitation.forged());
        assert!(!bob.has_key(&invitation.refs[0]), "OpenMLS deleted it");
        meanwhile(&other, 1);
        refused
    };
    first.join(&invitation.refs, attempt).await.unwrap().unwrap_err();
    let status = world.status(&bob, &invitation.refs[0]).await;
    assert_eq!(status, Some(Status::Available), "{status:?}");
    assert!(bob.has_key(&invitation.refs[0]));
}
