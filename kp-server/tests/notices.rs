//! A server is told when a pool runs low: DIR-7.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

mod world;

use std::sync::Arc;

use futures::FutureExt as _;
use kp_core::rules::Limits;
use kp_core::server::{LastResort, TakeOptions, Uploader};
use kp_core::{ManualClock, PoolId};
use kp_memory::MemoryStore;
use kp_server::{KeyPackageDirectory, Notice, NoticeKind, Notices, Take, Upload, notices};
use world::probe::{Probe, Sweeps};
use world::{DAY, Made, OTHER_SUITE, PlainAdmission, SUITE, World, bob, made, start, to_bob};

const HOUR: u64 = 3_600;

fn world() -> (World, Notices) {
    let (subscriber, notices) = notices(100);
    (World::with(|policy| policy.low_below(3).notify(subscriber)), notices)
}

/// What was told since the last time: nothing here waits, as the memory store never does.
fn told(notices: &mut Notices) -> Vec<Notice> {
    // Tokio would make a test that receives often wait for its turn.
    let next = || tokio::task::unconstrained(notices.recv()).now_or_never().flatten();
    std::iter::from_fn(next).collect()
}

fn kinds(notices: &mut Notices) -> Vec<NoticeKind> {
    told(notices).into_iter().map(|notice| notice.kind).collect()
}

async fn claim(directory: &KeyPackageDirectory) {
    // Whatever comes of it.
    let _ = directory.claim(&bob(), &Take::new()).await;
}

fn fresh(count: u32, batch: &str) -> Vec<Vec<u8>> {
    (0..count).map(|n| Made::new(format!("{batch}-{n}")).bytes()).collect()
}

/// DIR-7: each kind is told once, after the call by which the pool came to stand so.
#[tokio::test]
async fn a_pool_that_is_drained_is_told_step_by_step() {
    use NoticeKind::{Exhausted, LastResortUsed, Low};

    let (world, mut notices) = world();
    world.upload(made(20)).await;
    world.upload(vec![Made::new("last").last_resort().bytes()]).await;
    assert_eq!(kinds(&mut notices), []);
    let mut seen = Vec::new();
    for taken in 1..=25 {
        claim(&world.directory).await;
        seen.extend(told(&mut notices).into_iter().map(|notice| (taken, notice)));
    }
    let kinds: Vec<_> = seen.iter().map(|(taken, notice)| (*taken, notice.kind)).collect();
    assert_eq!(kinds, [(18, Low), (20, Exhausted), (21, LastResortUsed)]);
    let about = |(_, notice): &(i32, Notice)| notice.pool == bob() && notice.ciphersuite == Some(SUITE);
    assert!(seen.iter().all(about));
}

/// DIR-7: reservations are told like claims, and each ciphersuite by itself.
#[tokio::test]
async fn each_ciphersuite_is_told() {
    let (world, mut notices) = world();
    let mut other = Made::new("other");
    other.suite = OTHER_SUITE;
    world.upload(made(3)).await;
    world.upload(vec![other.bytes()]).await;
    told(&mut notices);
    let take = |suite| Take::from(TakeOptions::new().ciphersuites([suite]));
    world.directory.reserve(&bob(), &take(SUITE)).await.unwrap();
    let low: Vec<_> = told(&mut notices)
        .into_iter()
        .map(|it| (it.kind, it.ciphersuite))
        .collect();
    assert_eq!(low, [(NoticeKind::Low, Some(SUITE))]);
    world
        .directory
        .reserve_many(&[bob()], &take(OTHER_SUITE))
        .await
        .all()
        .unwrap();
    let exhausted: Vec<_> = told(&mut notices)
        .into_iter()
        .map(|it| (it.kind, it.ciphersuite))
        .collect();
    assert_eq!(exhausted, [(NoticeKind::Exhausted, Some(OTHER_SUITE))]);
}

/// DIR-7: the last resort is told also when it was asked for by name, while the pool is well.
#[tokio::test]
async fn a_last_resort_that_was_asked_for_is_told() {
    let (world, mut notices) = world();
    world.upload(made(20)).await;
    world.upload(vec![Made::new("last").last_resort().bytes()]).await;
    told(&mut notices);
    let only = Take::from(TakeOptions::new().last_resort(LastResort::Only));
    for expected in [vec![NoticeKind::LastResortUsed], vec![], vec![]] {
        world.directory.claim(&bob(), &only).await.unwrap();
        assert_eq!(kinds(&mut notices), expected);
    }
}

/// DIR-7: at most once an hour for a pool, ciphersuite and kind, and then again.
#[tokio::test]
async fn the_same_is_told_once_an_hour() {
    let (world, mut notices) = world();
    let mut told_after = Vec::new();
    for (batch, after) in [("a", 0), ("b", 600), ("c", HOUR - 1), ("d", HOUR), ("e", 2 * HOUR)] {
        world.clock.set(start().plus(after));
        world.upload(fresh(3, batch)).await;
        for _ in 0..3 {
            claim(&world.directory).await;
            told_after.extend(kinds(&mut notices).into_iter().map(|kind| (after, kind)));
        }
    }
    use NoticeKind::{Exhausted, Low};
    let expected = [0, HOUR, 2 * HOUR].map(|after| [(after, Low), (after, Exhausted)]);
    assert_eq!(told_after, expected.concat());
}

/// DIR-7: what was kept back within the hour is told at the first look after it.
#[tokio::test]
async fn what_was_kept_back_is_told_after_the_hour() {
    let (world, mut notices) = world();
    let mut told = Vec::new();
    for (uploaded, after) in [(3, 0), (1, 600), (0, HOUR)] {
        world.clock.set(start().plus(after));
        world.upload(fresh(uploaded, &format!("{after}"))).await;
        claim(&world.directory).await;
        told.push(kinds(&mut notices));
    }
    assert_eq!(told, [vec![NoticeKind::Low], vec![], vec![NoticeKind::Low]]);
}

/// DIR-7: a pool that holds nothing is no owner's who could upload.
#[tokio::test]
async fn a_pool_that_holds_nothing_is_not_told() {
    let (world, mut notices) = world();
    for _ in 0..3 {
        claim(&world.directory).await;
        world.clock.advance(2 * HOUR);
    }
    // One of a last resort alone is not called exhausted either.
    world.upload(vec![Made::new("last").last_resort().bytes()]).await;
    let never = Take::from(TakeOptions::new().last_resort(LastResort::Never));
    world.directory.claim(&bob(), &never).await.unwrap_err();
    assert_eq!(kinds(&mut notices), []);
}

/// DIR-7: a full memory is told, of the whole pool.
#[tokio::test]
async fn a_full_memory_is_told() {
    let (subscriber, mut notices) = notices(100);
    let store = MemoryStore::with_limits(Limits::default().max_records(12));
    let builder = KeyPackageDirectory::builder(store, PlainAdmission).clock(ManualClock::at(start()));
    let directory = builder.low_below(0).notify(subscriber).build().unwrap();
    directory.upload(to_bob(made(11))).await.unwrap();
    assert_eq!(kinds(&mut notices), []);
    directory.upload(to_bob(fresh(1, "a"))).await.unwrap();
    let full: Vec<_> = told(&mut notices)
        .into_iter()
        .map(|it| (it.kind, it.ciphersuite))
        .collect();
    assert_eq!(full, [(NoticeKind::MemoryFull, None)]);
    directory.upload(to_bob(fresh(2, "b"))).await.unwrap();
    assert_eq!(kinds(&mut notices), []);
}

/// DIR-7: a memory that another node has filled is told when nothing can be saved.
#[tokio::test]
async fn a_memory_that_another_node_filled_is_told() {
    let store = Arc::new(MemoryStore::with_limits(Limits::default().max_records(3)));
    let node = || KeyPackageDirectory::builder(Arc::clone(&store), PlainAdmission).clock(ManualClock::at(start()));
    let other = node().build().unwrap();
    other.upload(to_bob(made(3))).await.unwrap();
    let (subscriber, mut notices) = notices(100);
    let directory = node().low_below(0).notify(subscriber).build().unwrap();
    directory.upload(to_bob(fresh(1, "a"))).await.unwrap();
    assert_eq!(kinds(&mut notices), [NoticeKind::MemoryFull]);
}

/// DIR-7: no answer waits for the look at the pool, and nothing is looked at if nobody receives.
#[tokio::test]
async fn no_answer_waits_for_a_notice() {
    let (subscriber, mut notices) = notices(100);
    let (probe, mut calls) = Probe::new(Sweeps::Well);
    let builder = KeyPackageDirectory::builder(probe, PlainAdmission).clock(ManualClock::at(start()));
    let directory = builder.notify(subscriber).build().unwrap();
    directory.upload(to_bob(made(3))).await.unwrap();
    claim(&directory).await;
    let made: Vec<_> = std::iter::from_fn(|| calls.try_recv().ok()).collect();
    assert_eq!(made, ["save_key_packages", "claim_key_packages"]);
    assert_eq!(kinds(&mut notices), [NoticeKind::Low]);
    let made: Vec<_> = std::iter::from_fn(|| calls.try_recv().ok()).collect();
    assert_eq!(made, ["count_by_status"]);
}

/// DIR-7: a pool is looked at seldom while it is far from its marks, and once it stands badly.
#[tokio::test]
async fn a_busy_pool_is_looked_at_seldom() {
    let (subscriber, mut notices) = notices(100);
    let (probe, mut calls) = Probe::new(Sweeps::Well);
    let builder = KeyPackageDirectory::builder(probe, PlainAdmission).clock(ManualClock::at(start()));
    let directory = builder.notify(subscriber).build().unwrap();
    directory.upload(to_bob(made(100))).await.unwrap();
    directory
        .upload(to_bob(vec![Made::new("last").last_resort().bytes()]))
        .await
        .unwrap();
    let mut seen = 0;
    for _ in 0..500 {
        claim(&directory).await;
        seen += told(&mut notices).len();
    }
    let looks = std::iter::from_fn(|| calls.try_recv().ok()).filter(|call| *call == "count_by_status");
    let looks = looks.count();
    assert_eq!(seen, 3);
    assert!(looks <= 20, "{looks} looks");
}

/// DIR-7: another node may take as many, so a node looks after half of what it could take alone.
#[tokio::test]
async fn two_nodes_that_take_alike_tell_in_time() {
    let (world, mut notices) = world();
    let other_node = KeyPackageDirectory::builder(world.store.clone(), PlainAdmission);
    let other_node = other_node.clock(world.clock.clone()).build().unwrap();
    world.upload(made(100)).await;
    let mut seen = kinds(&mut notices);
    for _ in 0..49 {
        claim(&world.directory).await;
        claim(&other_node).await;
        seen.extend(kinds(&mut notices));
    }
    claim(&world.directory).await;
    seen.extend(kinds(&mut notices));
    assert_eq!(seen, [NoticeKind::Low]);
}

/// DIR-7: other nodes take too, so a pool is looked at again after a minute.
#[tokio::test]
async fn what_other_nodes_took_is_seen_after_a_minute() {
    let (world, mut notices) = world();
    let other_node = KeyPackageDirectory::builder(world.store.clone(), PlainAdmission);
    let other_node = other_node.clock(world.clock.clone()).build().unwrap();
    world.upload(made(100)).await;
    told(&mut notices);
    claim(&world.directory).await;
    told(&mut notices);
    for _ in 0..96 {
        claim(&other_node).await;
    }
    world.clock.advance(60);
    claim(&world.directory).await;
    assert_eq!(kinds(&mut notices), [NoticeKind::Low]);
}

fn pool(n: u32) -> PoolId {
    PoolId::try_from(format!("pool-{n}").as_str()).unwrap()
}

async fn stock(world: &World, pool: &PoolId) {
    let upload = Upload::new(pool.clone(), Uploader::unchecked(), made(3));
    world.directory.upload(upload).await.unwrap();
}

/// DIR-7: the queue is bounded. What overflows is dropped, and told after a later call.
#[tokio::test]
async fn a_queue_that_is_full_drops_what_comes() {
    let (subscriber, mut notices) = notices(1);
    let world = World::with(|policy| policy.low_below(3).notify(subscriber));
    for n in 0..3 {
        stock(&world, &pool(n)).await;
        told(&mut notices);
    }
    for n in 0..3 {
        world.directory.claim(&pool(n), &Take::new()).await.unwrap();
    }
    let of = |notices: &mut Notices| told(notices).into_iter().map(|notice| notice.pool).collect::<Vec<_>>();
    assert_eq!(of(&mut notices), [pool(0)]);
    world.directory.claim(&pool(2), &Take::new()).await.unwrap();
    assert_eq!(of(&mut notices), [pool(2)]);
}

/// DIR-7: 10,000 pools are remembered; one that is forgotten may be told again.
#[tokio::test]
async fn the_memory_of_what_was_told_is_bounded() {
    let (subscriber, mut notices) = notices(100);
    let world = World::with(|policy| policy.low_below(10).notify(subscriber));
    world.upload(made(10)).await;
    let mut drained = async |pools: u32| {
        claim(&world.directory).await;
        let seen = kinds(&mut notices);
        for n in 0..pools {
            world.directory.claim(&pool(n), &Take::new()).await.unwrap_err();
            told(&mut notices);
        }
        world.clock.advance(61);
        seen
    };
    assert_eq!(drained(9_999).await, [NoticeKind::Low]);
    assert_eq!(drained(10_000).await, [], "it was remembered");
    assert_eq!(drained(0).await, [NoticeKind::Low], "it was forgotten");
}

/// DIR-7: the end of the directory is the end of its notices, and the end of the receiver is none of the directory's business.
#[tokio::test]
async fn notices_end_with_the_directory() {
    let (world, mut notices) = world();
    world.upload(made(3)).await;
    claim(&world.directory).await;
    drop(world);
    assert_eq!(notices.recv().await.unwrap().kind, NoticeKind::Low);
    assert_eq!(notices.recv().await, None);

    let (world, notices) = self::world();
    drop(notices);
    world.upload(made(3)).await;
    world.clock.advance(DAY);
    claim(&world.directory).await;
}
