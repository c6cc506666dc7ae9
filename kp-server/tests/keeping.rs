//! `status`, `sync`, `withdraw`, `delete_pool`, and the operator's calls (DIR-1).

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

mod world;

use std::collections::BTreeSet;
use std::time::Duration;

use futures::TryStreamExt as _;
use kp_core::protocol::Health;
use kp_core::server::{TakeOptions, WithdrawOutcome, Withdrawal};
use kp_core::{Cause, Counts, PoolId, Status};
use kp_server::{Take, Upload};
use world::{DAY, Made, OTHER_SUITE, SUITE, World, bob, key_package_ref, made, start};

async fn health(world: &World) -> Health {
    world.directory.status(&bob()).await.unwrap().health()
}

/// DIR-1, DIR-2: good, low at 25 % of the cap, exhausted, and last resort used until it is replaced.
#[tokio::test]
async fn health_goes_from_good_to_worse() {
    let world = World::with(|policy| policy.cap_per_ciphersuite(8));
    assert_eq!(health(&world).await, Health::Exhausted, "a pool never seen");
    world.upload(made(3)).await;
    world.upload(vec![Made::new("last").last_resort().bytes()]).await;
    let mut seen = vec![health(&world).await];
    for _ in 0..4 {
        world.directory.claim(&bob(), &Take::new()).await.unwrap();
        seen.push(health(&world).await);
    }
    use Health::{Exhausted, Good, LastResortUsed, Low};
    assert_eq!(seen, [Good, Low, Low, Exhausted, LastResortUsed]);

    let fresh: Vec<_> = (0..5).map(|i| Made::new(format!("fresh-{i}")).bytes()).collect();
    world.upload(fresh).await;
    assert_eq!(health(&world).await, LastResortUsed, "until it is replaced");
    world.upload(vec![Made::new("new-last").last_resort().bytes()]).await;
    assert_eq!(health(&world).await, Good);
}

/// DIR-1: counts, how many to upload, and how many expire soon, by ciphersuite.
#[tokio::test]
async fn a_status_says_what_to_do() {
    let world = World::with(|policy| {
        policy
            .cap_per_ciphersuite(10)
            .expiring_soon(Duration::from_secs(2 * DAY))
    });
    let (mut brief, mut ahead, mut other) = (Made::new("brief"), Made::new("ahead"), Made::new("other"));
    brief.not_after = start().plus(2 * DAY);
    ahead.not_before = start().plus(DAY);
    other.suite = OTHER_SUITE;
    world.upload(made(4)).await;
    world.upload(vec![brief.bytes(), ahead.bytes(), other.bytes()]).await;
    let suite = |suite| Take::from(TakeOptions::new().ciphersuites([suite]));
    world.directory.reserve(&bob(), &suite(SUITE)).await.unwrap();
    world.directory.claim(&bob(), &suite(SUITE)).await.unwrap();

    let status = world.directory.status(&bob()).await.unwrap();
    let first = &status.ciphersuites[&SUITE];
    let mut counts = Counts::default();
    (counts.available, counts.reserved, counts.spent, counts.not_yet_valid) = (3, 1, 1, 1);
    assert_eq!(first.counts, counts);
    assert_eq!((first.upload, first.expiring_soon), (5, 1));
    let second = &status.ciphersuites[&OTHER_SUITE];
    assert_eq!(
        (second.counts.available, second.upload, second.expiring_soon),
        (1, 9, 0)
    );
    assert_eq!(status.ciphersuites.len(), 2);
}

/// DIR-1: a client learns what was used, what is unknown to the server, and what the server has of which it knows not.
#[tokio::test]
async fn sync_tells_both_sides() {
    let world = World::new();
    world.upload(made(3)).await;
    world.directory.claim(&bob(), &Take::new()).await.unwrap();
    let yours = ["package-0", "never-uploaded", "package-1"].map(key_package_ref);
    let report = world.directory.sync(&bob(), &yours).await.unwrap();
    let spent = Status::Spent {
        at: start(),
        cause: Cause::Used,
    };
    assert_eq!(report.yours, [Some(spent), None, Some(Status::Available)]);
    assert_eq!(report.unknown_to_you, [key_package_ref("package-2")]);
    assert_eq!(report.status, world.directory.status(&bob()).await.unwrap());
}

/// DIR-1: status and sync see a pool that is larger than one page.
#[tokio::test]
async fn a_large_pool_is_seen_whole() {
    let world = World::with(|policy| policy.cap_per_ciphersuite(2_000).max_upload(1_000));
    let all = made(1_100);
    world.upload(all[..1_000].to_vec()).await;
    world.upload(all[1_000..].to_vec()).await;
    world.clock.advance(29 * DAY);
    let report = world.directory.sync(&bob(), &[]).await.unwrap();
    assert_eq!(report.unknown_to_you.len(), 1_100);
    assert_eq!(report.status.ciphersuites[&SUITE].expiring_soon, 1_100);
}

/// DIR-1: the owner withdraws.
#[tokio::test]
async fn an_owner_removes_packages() {
    let world = World::new();
    world.upload(made(2)).await;
    let refs = ["package-0", "nobodys"].map(key_package_ref).to_vec();
    let removed = world.directory.withdraw(&bob(), &Withdrawal::Refs(refs)).await.unwrap();
    let outcomes: Vec<_> = removed.into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(outcomes, [WithdrawOutcome::Withdrawn, WithdrawOutcome::NotFound]);
    let removed = world.directory.withdraw(&bob(), &Withdrawal::All).await.unwrap();
    assert_eq!(removed, [(key_package_ref("package-1"), WithdrawOutcome::Withdrawn)]);
    assert_eq!(health(&world).await, Health::Exhausted);
}

/// DIR-1: a device that is gone leaves nothing.
#[tokio::test]
async fn a_deleted_pool_is_gone() {
    let world = World::new();
    world.upload(made(2)).await;
    assert_eq!(world.directory.list_pools(None, 10).await.unwrap().items, [bob()]);
    world.directory.delete_pool(&bob()).await.unwrap();
    assert!(world.directory.status(&bob()).await.unwrap().ciphersuites.is_empty());
    assert!(world.directory.list_pools(None, 10).await.unwrap().items.is_empty());
}

/// DEL-2: after a restore everything older is retired, in all pools.
#[tokio::test]
async fn a_restore_retires_what_is_older() {
    let world = World::new();
    // More pools than one step walks.
    for n in 0..600 {
        let pool = PoolId::try_from(format!("pool-{n}").as_str()).unwrap();
        let upload = Upload::new(pool, kp_core::server::Uploader::unchecked(), made(1));
        world.directory.upload(upload).await.unwrap();
    }
    let pools: BTreeSet<_> = world.directory.pools().try_collect().await.unwrap();
    assert_eq!(pools.len(), 600, "a stream goes through every page");
    world.clock.advance(1);
    world.upload(made(1)).await;
    assert_eq!(world.directory.retire_unspent(start().plus(1)).await.unwrap(), 600);
    assert_eq!(world.directory.retire_unspent(start().plus(1)).await.unwrap(), 0);
    world.directory.claim(&bob(), &Take::new()).await.unwrap();
}

/// What clients are told has a form on the wire.
#[tokio::test]
async fn reports_can_be_sent() {
    let world = World::new();
    world.upload(made(1)).await;
    let report = world.directory.sync(&bob(), &[]).await.unwrap();
    let json = serde_json::to_string(&report).unwrap();
    assert!(json.contains(r#""health":"low""#), "{json}");
    assert_eq!(
        serde_json::from_str::<kp_core::protocol::SyncReport>(&json).unwrap(),
        report
    );
}

/// The stream of what could be handed out is in that order; a pool never seen is an empty stream.
#[tokio::test]
async fn what_is_available_is_streamed() {
    let world = World::new();
    world.upload(made(4)).await;
    let infos: Vec<_> = world.directory.available(&bob()).try_collect().await.unwrap();
    let refs: Vec<_> = infos.into_iter().map(|info| info.key_package_ref).collect();
    let expected: Vec<_> = (0..4).map(|n| key_package_ref(&format!("package-{n}"))).collect();
    assert_eq!(refs, expected);
    let nobody: Vec<_> = world
        .directory
        .available(&PoolId::try_from("nobody").unwrap())
        .try_collect()
        .await
        .unwrap();
    assert!(nobody.is_empty());
}
