//! `status`, `sync`, `withdraw`, `delete_pool`, and the operator's calls (DIR-1).

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

mod world;

use std::collections::BTreeSet;
use std::time::Duration;

use futures::TryStreamExt as _;
use kp_core::protocol::{Health, HeldKeyPackage, UploadOutcome};
use kp_core::rules::Limits;
use kp_core::server::{TakeOptions, WithdrawOutcome, Withdrawal};
use kp_core::{Cause, Counts, ManualClock, PoolId, Role, Status};
use kp_memory::MemoryStore;
use kp_server::{KeyPackageDirectory, Take, Upload};
use world::{DAY, Made, OTHER_SUITE, PlainAdmission, SUITE, World, bob, key_package_ref, made, start, to_bob};

async fn health(world: &World) -> Health {
    world.directory.status(&bob()).await.unwrap().health()
}

/// DIR-1, DIR-2: good, low below the mark, exhausted, and last resort used until it is replaced.
#[tokio::test]
async fn health_goes_from_good_to_worse() {
    let world = World::with(|policy| policy.low_below(3));
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

/// DIR-5: the mark is a number of packages, 8 by default, whatever the cap is; a lower cap is the mark itself.
#[tokio::test]
async fn fewer_than_eight_packages_are_low() {
    for cap in [100, 8, 5] {
        let world = World::with(|policy| policy.cap_per_ciphersuite(cap));
        world.upload(made(cap)).await;
        let mark = cap.min(8);
        for left in (1..=cap).rev() {
            let expected = if left < mark { Health::Low } else { Health::Good };
            assert_eq!(health(&world).await, expected, "{left} of {cap}");
            world.directory.claim(&bob(), &Take::new()).await.unwrap();
        }
        assert_eq!(health(&world).await, Health::Exhausted);
    }
}

/// DIR-5: a pool that is its last resort and nothing else is not called exhausted, unless it had more a while ago.
#[tokio::test]
async fn a_pool_of_a_last_resort_alone_has_a_health_of_its_own() {
    let world = World::new();
    world.upload(vec![Made::new("last").last_resort().bytes()]).await;
    assert_eq!(health(&world).await, Health::LastResortOnly);

    let mut brief = Made::new("brief");
    brief.not_after = start().plus(DAY);
    world.upload(vec![brief.bytes()]).await;
    assert_eq!(health(&world).await, Health::Low);
    world.directory.claim(&bob(), &Take::new()).await.unwrap();
    assert_eq!(health(&world).await, Health::Exhausted, "one was used");
    world.clock.advance(DAY);
    assert_eq!(health(&world).await, Health::LastResortOnly, "its record has expired");
    world.directory.claim(&bob(), &Take::new()).await.unwrap();
    assert_eq!(health(&world).await, Health::LastResortUsed);
}

/// DIR-5: of several ciphersuites the worst counts; one of a last resort alone is better than one that is low.
#[tokio::test]
async fn a_pool_is_as_well_as_its_worst_ciphersuite() {
    let world = World::new();
    let mut last = Made::new("last").last_resort();
    last.suite = OTHER_SUITE;
    world.upload(made(8)).await;
    assert_eq!(health(&world).await, Health::Good);
    world.upload(vec![last.bytes()]).await;
    assert_eq!(health(&world).await, Health::LastResortOnly);
    world.directory.claim(&bob(), &Take::new()).await.unwrap();
    assert_eq!(health(&world).await, Health::Low);
}

/// DIR-5: `upload` is what a save would take: recalled packages do not count.
#[tokio::test]
async fn what_is_withdrawn_on_loan_leaves_room() {
    let world = World::with(|policy| policy.cap_per_ciphersuite(10));
    world.upload(made(10)).await;
    let pools = vec![bob(); 4];
    for pool in &pools {
        world.directory.reserve(pool, &Take::new()).await.unwrap();
    }
    let upload = async || world.directory.status(&bob()).await.unwrap().ciphersuites[&SUITE].upload;
    assert_eq!(upload().await, 0);
    world.directory.withdraw(&bob(), &Withdrawal::All).await.unwrap();
    assert_eq!(upload().await, 10);
    let fresh: Vec<_> = (0..11).map(|i| Made::new(format!("fresh-{i}")).bytes()).collect();
    let outcomes = world.upload(fresh).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_held()).count(), 10);
}

/// DIR-5: what the pool's memory still takes is shared by its ciphersuites; when it takes nothing, the status says so.
#[tokio::test]
async fn a_full_memory_is_told() {
    let store = MemoryStore::with_limits(Limits::default().max_records(12));
    let builder = KeyPackageDirectory::builder(store, PlainAdmission).clock(ManualClock::at(start()));
    let directory = builder.cap_per_ciphersuite(10).build().unwrap();
    let mut other = Made::new("other");
    other.suite = OTHER_SUITE;
    let mut packages = made(7);
    packages.extend([other.bytes(), Made::new("last").last_resort().bytes()]);
    directory.upload(to_bob(packages)).await.unwrap();

    let status = directory.status(&bob()).await.unwrap();
    assert_eq!(
        (status.room, status.is_memory_full()),
        (4, false),
        "a last resort takes none of it"
    );
    let uploads: Vec<_> = status.ciphersuites.values().map(|suite| suite.upload).collect();
    assert_eq!(uploads, [3, 4], "the cap's rest, and the room");

    for _ in 0..7 {
        directory
            .claim(&bob(), &Take::from(TakeOptions::new().ciphersuites([SUITE])))
            .await
            .unwrap();
    }
    let fresh = (0..5).map(|i| Made::new(format!("fresh-{i}")).bytes()).collect();
    let outcomes = directory.upload(to_bob(fresh)).await.unwrap();
    assert_eq!(outcomes.last(), Some(&UploadOutcome::PoolFull));
    let status = directory.status(&bob()).await.unwrap();
    assert_eq!((status.room, status.is_memory_full()), (0, true));
    assert!(status.ciphersuites.values().all(|suite| suite.upload == 0));
    assert_eq!(status.health(), Health::Low, "beside the health");
    let last = Made::new("new-last").last_resort().bytes();
    assert_eq!(
        directory.upload(to_bob(vec![last])).await.unwrap(),
        [UploadOutcome::Saved]
    );
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

/// DIR-2: in the last seven days of its lifetime a package expires soon, unless the server says otherwise.
#[tokio::test]
async fn a_package_expires_soon_in_its_last_week() {
    let world = World::new();
    let ends_in = |name, seconds| {
        let mut made = Made::new(name);
        made.not_after = start().plus(seconds);
        made.bytes()
    };
    let packages = vec![ends_in("week", 7 * DAY), ends_in("longer", 7 * DAY + 1)];
    world.upload(packages).await;
    let status = world.directory.status(&bob()).await.unwrap();
    assert_eq!(status.ciphersuites[&SUITE].expiring_soon, 1);
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
    let unknown = HeldKeyPackage::new(key_package_ref("package-2"), Role::OneTime, start());
    assert_eq!(report.unknown_to_you, [unknown]);
    assert_eq!(report.status, world.directory.status(&bob()).await.unwrap());
}

/// DIR-6: a sync names the last resorts that the client did not, beside the one-time packages, each with its role and the time
/// when it was first saved.
#[tokio::test]
async fn sync_names_slots_that_the_client_did_not() {
    let world = World::new();
    let mut other = Made::new("other-last").last_resort();
    other.suite = OTHER_SUITE;
    world.upload(vec![Made::new("last").last_resort().bytes()]).await;
    world.clock.advance(10);
    world.upload(vec![other.bytes()]).await;
    world.clock.advance(10);
    world.upload(made(2)).await;
    // Saved again: the time of the first save stays. A lease that lapsed is as good as none.
    world.clock.advance(10);
    world.upload(made(1)).await;
    world.directory.reserve(&bob(), &Take::new()).await.unwrap();
    world.clock.advance(60);

    let unknown = async |yours: &[&str]| {
        let yours: Vec<_> = yours.iter().map(|name| key_package_ref(name)).collect();
        world.directory.sync(&bob(), &yours).await.unwrap().unknown_to_you
    };
    let one_time = |name, after| HeldKeyPackage::new(key_package_ref(name), Role::OneTime, start().plus(after));
    let last = |name, after| HeldKeyPackage::new(key_package_ref(name), Role::LastResort, start().plus(after));
    let all = [
        one_time("package-0", 20),
        one_time("package-1", 20),
        last("last", 0),
        last("other-last", 10),
    ];
    assert_eq!(unknown(&[]).await, all);
    assert_eq!(unknown(&["package-0", "last"]).await, [all[1].clone(), all[3].clone()]);
    world.upload(vec![Made::new("new-last").last_resort().bytes()]).await;
    let named = ["package-0", "package-1", "other-last"];
    assert_eq!(unknown(&named).await, [last("new-last", 90)]);
    world.clock.set(Made::new("any").not_after);
    assert_eq!(unknown(&[]).await, []);
}

/// DIR-6: a sync carries the server's time, and the restore point where there is one.
#[tokio::test]
async fn sync_carries_the_server_s_time_and_restore_point() {
    let world = World::new();
    world.clock.advance(7);
    let report = world.directory.sync(&bob(), &[]).await.unwrap();
    assert_eq!(
        (report.server_time, report.restore_point),
        (Some(start().plus(7)), None)
    );
    let world = World::with(|policy| policy.restore_point(start().minus(5)));
    let report = world.directory.sync(&bob(), &[]).await.unwrap();
    assert_eq!(report.restore_point, Some(start().minus(5)));
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

/// DIR-1: one record, with its bytes while the package is unspent.
#[tokio::test]
async fn one_record_is_read() {
    let world = World::new();
    world.upload(made(1)).await;
    let get = async |name| world.directory.get(&bob(), &key_package_ref(name)).await.unwrap();
    let stored = get("package-0").await.unwrap();
    assert_eq!(stored.status, Status::Available);
    assert_eq!(stored.bytes.unwrap().as_ref(), made(1)[0]);
    world.directory.claim(&bob(), &Take::new()).await.unwrap();
    let spent = get("package-0").await.unwrap();
    let cause = Cause::Used;
    assert_eq!(
        (spent.status, spent.bytes),
        (Status::Spent { at: start(), cause }, None)
    );
    assert_eq!(get("nobodys").await, None);
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
