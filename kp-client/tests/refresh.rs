//! A pool keeps itself full: POOL-1 to POOL-4 and POOL-7, with real KeyPackages, Commits and Welcomes.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use kp_client::{CiphersuitePlan, KeyPackagePool, PoolConfigError, PoolError, Sizes};
use kp_core::client::{Lifecycle, PoolMetadataStore as _};
use kp_core::protocol::{Health, KeyPackageTransport, SyncReport, TransportError, UploadOutcome};
use kp_core::{Ciphersuite, KeyPackageBytes, KeyPackageRef, PoolId};
use kp_memory::MemoryMetadata;
use kp_openmls::OpenMlsAdmission;
use kp_server::{KeyPackageDirectory, Take};
use kp_test_support::messenger::{Alice, Bob, DAY, SUITE, World};

fn sizes(target: u32, low: u32, cap: u32) -> CiphersuitePlan {
    CiphersuitePlan::pool(SUITE).one_time(Sizes::new(target, low, cap))
}

/// POOL-1, POOL-2, POOL-7: the main job, 25 of 32 used by real Commits and Welcomes.
#[tokio::test]
async fn a_pool_that_is_used_up_to_its_low_water_mark_is_refilled() {
    let (world, alice, bob) = (World::new(), Alice::new(), Bob::new());
    let pool = bob.open(&world);
    assert!(pool.should_replenish().await.unwrap());
    assert_eq!(pool.get_replenishment_needed(SUITE).await.unwrap(), 32);
    let report = pool.refresh().await.unwrap();
    assert_eq!((report.generated, report.uploaded), (33, 33), "32 and a last resort");
    assert_eq!(pool.get_available_count(SUITE).await.unwrap(), 32);
    assert_eq!(world.available(&bob).await.len(), 32);
    assert!(!pool.should_replenish().await.unwrap());

    for used in 1..=25 {
        let mut invitation = alice.invite(&world.claim(&bob).await);
        let mut group = pool
            .join(&invitation.refs, || bob.attempt(&invitation.welcome))
            .await
            .unwrap()
            .unwrap();
        let message = alice.say(&mut invitation.group, "hello");
        assert_eq!(bob.read(&mut group, message), b"hello");
        assert!(!bob.has_key(&invitation.refs[0]), "a key that was used is gone");
        assert_eq!(pool.get_available_count(SUITE).await.unwrap(), 32 - used);
        assert_eq!(pool.should_replenish().await.unwrap(), used == 25, "below 8, not at 8");
    }
    assert_eq!(pool.get_replenishment_needed(SUITE).await.unwrap(), 25);

    let report = pool.refresh().await.unwrap();
    assert_eq!((report.generated, report.uploaded, report.deleted), (25, 25, 0));
    assert_eq!(pool.get_available_count(SUITE).await.unwrap(), 32);
    assert_eq!(world.available(&bob).await.len(), 32);
    // What OpenMLS's storage holds is what the server can hand out, and nothing else.
    let mut held = world.available(&bob).await;
    held.insert(world.last_resort(&bob).await.unwrap().0);
    assert_eq!(bob.rows().await.len(), 25 + held.len(), "and the rows of what was used");
    assert_eq!(
        bob.stored_keys(),
        held.iter().map(|held| held.as_bytes().to_vec()).collect()
    );
}

/// POOL-4: when all have expired, no key is left. The client's own clock is not enough (POOL-8).
#[tokio::test]
async fn what_expires_leaves_no_key_behind() {
    let (world, bob) = (World::new(), Bob::new());
    let pool = bob.open(&world);
    pool.refresh().await.unwrap();
    world.claim(&bob).await;
    assert_eq!(pool.cleanup_expired().await.unwrap(), 0);
    world.clock.advance(84 * DAY);
    assert_eq!(pool.get_available_count(SUITE).await.unwrap(), 0);
    assert_eq!(
        pool.cleanup_expired().await.unwrap(),
        0,
        "the server did not say so yet"
    );
    let expired = bob.rows().await;
    let report = pool.refresh().await.unwrap();
    assert_eq!((report.deleted, report.generated), (33, 33));
    assert!(!expired.iter().any(|expired| bob.has_key(expired)));
    assert!(bob.rows().await.is_disjoint(&expired));
}

/// POOL-1: what was handed out and never joined does not count towards the cap, and keeps its key.
#[tokio::test]
async fn a_pool_whose_packages_are_taken_and_never_used_still_refills() {
    let (world, alice, bob) = (World::new(), Alice::new(), Bob::new());
    let pool = bob.open(&world);
    pool.refresh().await.unwrap();
    pool.generate_and_update_pool(SUITE, 1_000).await.unwrap();
    assert_eq!(world.available(&bob).await.len(), 64, "the cap");
    assert_eq!(pool.generate_and_update_pool(SUITE, 1).await.unwrap().generated, 0);
    let mut taken = Vec::new();
    for _ in 0..64 {
        taken.push(world.claim(&bob).await);
    }
    assert_eq!(pool.refresh().await.unwrap().generated, 32);
    assert_eq!(world.available(&bob).await.len(), 32);
    // A Welcome that comes late still finds its key.
    let late = alice.invite(&taken[0]);
    pool.join(&late.refs, || bob.attempt(&late.welcome))
        .await
        .unwrap()
        .unwrap();
}

/// POOL-1: without asking the server, nobody knows what it still holds; so making more asks.
#[tokio::test]
async fn making_more_learns_first_what_was_handed_out() {
    let (world, bob) = (World::new(), Bob::new());
    let pool = bob.builder(&world).ciphersuite(sizes(4, 1, 4)).build().unwrap();
    assert_eq!(
        pool.generate_and_update_pool(SUITE, 3).await.unwrap().generated,
        4,
        "3 and a last resort"
    );
    for _ in 0..2 {
        world.claim(&bob).await;
    }
    assert_eq!(
        pool.generate_and_update_pool(SUITE, 10).await.unwrap().generated,
        3,
        "1 is left of a cap of 4"
    );
    let unknown = pool.generate_and_update_pool(Ciphersuite(0x0003), 1).await;
    assert!(matches!(unknown, Err(PoolError::NotPlanned(Ciphersuite(0x0003)))));
}

/// A transport whose answers to uploads are lost for a while.
struct Lossy {
    inner: Arc<dyn KeyPackageTransport>,
    losses: AtomicU32,
    /// Whether the upload arrives all the same.
    arrives: bool,
    metadata: MemoryMetadata,
}

#[async_trait]
impl KeyPackageTransport for Lossy {
    async fn upload(&self, packages: &[KeyPackageBytes]) -> Result<Vec<UploadOutcome>, TransportError> {
        let rows = self.metadata.list().await.unwrap();
        assert!(rows.iter().all(|row| row.offered_at.is_some()), "META-1: before it");
        if self.losses.load(Ordering::SeqCst) == 0 {
            return self.inner.upload(packages).await;
        }
        self.losses.fetch_sub(1, Ordering::SeqCst);
        if self.arrives {
            self.inner.upload(packages).await?;
        }
        Err(TransportError::new("the connection was reset"))
    }

    async fn sync(&self, mine: &[KeyPackageRef]) -> Result<SyncReport, TransportError> {
        if self.losses.load(Ordering::SeqCst) % 2 == 1 {
            // The server answers from a replica that has not seen the upload yet.
            let mut report = self.inner.sync(mine).await?;
            report.yours.fill(None);
            return Ok(report);
        }
        self.inner.sync(mine).await
    }

    async fn withdraw(&self, refs: &[KeyPackageRef]) -> Result<(), TransportError> {
        self.inner.withdraw(refs).await
    }
}

/// POOL-3, META-1: the answer to an upload is lost 100 times, whether it arrived or not: the same packages go out again.
#[tokio::test]
async fn an_upload_without_an_answer_is_repeated_with_the_same_packages() {
    for arrives in [false, true] {
        let (world, bob) = (World::new(), Bob::new());
        let lossy = Arc::new(Lossy {
            inner: bob.transport(&world),
            losses: AtomicU32::new(100),
            arrives,
            metadata: bob.metadata.clone(),
        });
        let begun = world.now();
        let pool = KeyPackagePool::builder(bob.vault(), Arc::new(bob.metadata.clone()), lossy.clone())
            .clock(world.clock.clone())
            .ciphersuite(CiphersuitePlan::pool(SUITE))
            .build()
            .unwrap();
        let mut first = None;
        while lossy.losses.load(Ordering::SeqCst) > 0 {
            let before = lossy.losses.load(Ordering::SeqCst);
            match pool.refresh().await {
                Err(PoolError::Transport(_)) => {}
                // It had arrived, so that there was nothing to upload.
                Ok(_) => {
                    assert!(arrives);
                    lossy.losses.store(before - 1, Ordering::SeqCst);
                }
                other => panic!("{other:?}"),
            }
            let rows = bob.rows().await;
            assert_eq!(*first.get_or_insert_with(|| rows.clone()), rows);
            assert_eq!(bob.stored_keys().len(), 33);
            world.clock.advance(1);
        }
        pool.refresh().await.unwrap();
        let offered = bob.metadata.list().await.unwrap();
        assert!(offered.iter().all(|row| row.offered_at == Some(begun)), "META-1: once");
        assert_eq!(world.available(&bob).await.len(), 32);
        assert_eq!(bob.rows().await, first.unwrap());
        assert_eq!(pool.get_available_count(SUITE).await.unwrap(), 32);
    }
}

/// POOL-3: a server that lost its packages gets the same ones.
#[tokio::test]
async fn a_server_that_forgot_everything_gets_the_same_packages_again() {
    let (world, bob) = (World::new(), Bob::new());
    let pool = bob.open(&world);
    pool.refresh().await.unwrap();
    let (before, slot) = (world.available(&bob).await, world.last_resort(&bob).await);
    world.directory.delete_pool(&bob.pool_id).await.unwrap();
    let report = pool.refresh().await.unwrap();
    assert_eq!((report.generated, report.uploaded), (0, 33));
    assert_eq!(world.available(&bob).await, before);
    assert_eq!(world.last_resort(&bob).await, slot);
}

/// POOL-7: a reservation that lapses brings the package back.
#[tokio::test]
async fn what_the_server_took_back_is_available_again() {
    let (world, bob) = (World::new(), Bob::new());
    let pool = bob.open(&world);
    pool.refresh().await.unwrap();
    let reserved = world.directory.reserve(&bob.pool_id, &Take::new()).await.unwrap();
    let key_package_ref = reserved.package.info.key_package_ref;
    pool.refresh().await.unwrap();
    assert_eq!(bob.lifecycle(&key_package_ref).await, Some(Lifecycle::Reserved));
    assert_eq!(pool.get_available_count(SUITE).await.unwrap(), 31);
    world.clock.advance(60);
    pool.refresh().await.unwrap();
    assert_eq!(bob.lifecycle(&key_package_ref).await, Some(Lifecycle::Available));
}

/// POOL-1: what the server has no room for waits, and counts.
#[tokio::test]
async fn a_smaller_cap_of_the_server_is_lived_with() {
    let (world, bob) = (World::new(), Bob::new());
    let directory = KeyPackageDirectory::builder(Arc::new(world.store.clone()), OpenMlsAdmission::new())
        .clock(world.clock.clone())
        .cap_per_ciphersuite(20)
        .build()
        .unwrap();
    let world = World { directory, ..world };
    let pool = bob.open(&world);
    let report = pool.refresh().await.unwrap();
    assert_eq!((report.generated, report.uploaded, report.refused.len()), (33, 21, 12));
    assert!(
        report
            .refused
            .iter()
            .all(|(_, verdict)| *verdict == UploadOutcome::PoolFull)
    );
    for _ in 0..5 {
        world.claim(&bob).await;
    }
    let report = pool.refresh().await.unwrap();
    assert_eq!((report.generated, report.uploaded, report.refused.len()), (0, 5, 7));
    assert_eq!(world.available(&bob).await.len(), 20);
}

fn with_mark(world: World, mark: u32) -> World {
    let builder = KeyPackageDirectory::builder(Arc::new(world.store.clone()), OpenMlsAdmission::new());
    let directory = builder.clock(world.clock.clone()).low_below(mark).build().unwrap();
    World { directory, ..world }
}

async fn health(world: &World, bob: &Bob) -> Health {
    world.directory.status(&bob.pool_id).await.unwrap().health()
}

/// DIR-5: by default, client and server mean the same by low.
#[tokio::test]
async fn the_marks_of_client_and_server_fit() {
    let (world, bob) = (World::new(), Bob::new());
    let pool = bob.open(&world);
    pool.refresh().await.unwrap();
    for left in (7..32).rev() {
        assert_eq!(health(&world, &bob).await, Health::Good, "{left}");
        world.claim(&bob).await;
        let refilled = pool.refresh().await.unwrap().generated;
        assert_eq!(refilled, if left == 7 { 25 } else { 0 }, "{left}");
    }
    assert_eq!(health(&world, &bob).await, Health::Good);
}

/// DIR-5: told low, a client refills up to its own target, whatever its own mark, and no further.
#[tokio::test]
async fn a_client_that_is_told_low_refills() {
    let (world, bob) = (with_mark(World::new(), 50), Bob::new());
    let pool = bob.open(&world);
    pool.refresh().await.unwrap();
    assert_eq!(health(&world, &bob).await, Health::Low);
    assert_eq!(pool.refresh().await.unwrap().generated, 0, "32 are its target");
    world.claim(&bob).await;
    assert_eq!(pool.refresh().await.unwrap().generated, 1);
}

/// A transport whose server hands out the last one-time package while it answers: it says of each where it stands, and then how
/// the pool is doing.
struct Drained {
    inner: Arc<dyn KeyPackageTransport>,
    directory: KeyPackageDirectory,
    pool_id: PoolId,
    last: AtomicU32,
}

#[async_trait]
impl KeyPackageTransport for Drained {
    async fn upload(&self, packages: &[KeyPackageBytes]) -> Result<Vec<UploadOutcome>, TransportError> {
        self.inner.upload(packages).await
    }

    async fn sync(&self, mine: &[KeyPackageRef]) -> Result<SyncReport, TransportError> {
        let mut report = self.inner.sync(mine).await?;
        if self.last.swap(0, Ordering::SeqCst) == 1 {
            self.directory.claim(&self.pool_id, &Take::new()).await.unwrap();
            report.status = self.inner.sync(mine).await?.status;
        }
        Ok(report)
    }

    async fn withdraw(&self, refs: &[KeyPackageRef]) -> Result<(), TransportError> {
        self.inner.withdraw(refs).await
    }
}

/// DIR-5: and also where the server calls the pool exhausted, and the client still counts as many as its own mark.
#[tokio::test]
async fn a_client_that_is_told_exhausted_refills() {
    let (world, bob) = (with_mark(World::new(), 1), Bob::new());
    let transport = Arc::new(Drained {
        inner: bob.transport(&world),
        directory: world.directory.clone(),
        pool_id: bob.pool_id.clone(),
        last: AtomicU32::new(0),
    });
    let pool = KeyPackagePool::builder(bob.vault(), Arc::new(bob.metadata.clone()), transport.clone())
        .clock(world.clock.clone())
        .ciphersuite(sizes(4, 1, 8))
        .build()
        .unwrap();
    pool.refresh().await.unwrap();
    for _ in 0..3 {
        world.claim(&bob).await;
    }
    assert_eq!(
        pool.refresh().await.unwrap().generated,
        0,
        "one is left, and one is enough"
    );
    transport.last.store(1, Ordering::SeqCst);
    assert_eq!(pool.refresh().await.unwrap().generated, 3);
    assert_eq!(world.available(&bob).await.len(), 3);
}

/// DIR-5: a pool that is planned as a last resort alone is not called exhausted.
#[tokio::test]
async fn a_pool_planned_as_a_last_resort_is_not_exhausted() {
    let (world, bob) = (World::new(), Bob::new());
    let plan = CiphersuitePlan::last_resort_only(SUITE);
    let pool = bob.builder(&world).ciphersuite(plan).build().unwrap();
    pool.refresh().await.unwrap();
    assert_eq!(health(&world, &bob).await, Health::LastResortOnly);
    assert_eq!(pool.refresh().await.unwrap().generated, 0);
}

/// A transport that keeps a list of how many refs each call names.
struct Counting {
    inner: Arc<dyn KeyPackageTransport>,
    syncs: Mutex<Vec<usize>>,
    withdrawals: Mutex<Vec<usize>>,
}

impl Counting {
    fn new(inner: Arc<dyn KeyPackageTransport>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            syncs: Mutex::default(),
            withdrawals: Mutex::default(),
        })
    }
}

#[async_trait]
impl KeyPackageTransport for Counting {
    async fn upload(&self, packages: &[KeyPackageBytes]) -> Result<Vec<UploadOutcome>, TransportError> {
        self.inner.upload(packages).await
    }

    async fn sync(&self, mine: &[KeyPackageRef]) -> Result<SyncReport, TransportError> {
        self.syncs.lock().unwrap().push(mine.len());
        self.inner.sync(mine).await
    }

    async fn withdraw(&self, refs: &[KeyPackageRef]) -> Result<(), TransportError> {
        self.withdrawals.lock().unwrap().push(refs.len());
        self.inner.withdraw(refs).await
    }
}

/// DIR-8: a server answers calls of up to 1,000 items, so a client names its packages in runs; what one run does not name is
/// no stray.
#[tokio::test]
async fn a_large_pool_is_synced_and_withdrawn_in_runs() {
    let (world, bob) = (World::new(), Bob::new());
    let builder = KeyPackageDirectory::builder(Arc::new(world.store.clone()), OpenMlsAdmission::new());
    let directory = builder
        .clock(world.clock.clone())
        .cap_per_ciphersuite(2_000)
        .build()
        .unwrap();
    let world = World { directory, ..world };
    let open = |bob: &Bob, plan| {
        let transport = Counting::new(bob.transport(&world));
        let pool = KeyPackagePool::builder(bob.vault(), Arc::new(bob.metadata.clone()), transport.clone());
        (
            pool.clock(world.clock.clone()).ciphersuite(plan).build().unwrap(),
            transport,
        )
    };
    let (pool, transport) = open(&bob, sizes(1_001, 8, 1_100));
    assert_eq!(pool.refresh().await.unwrap().uploaded, 1_002);
    world.claim(&bob).await;
    let report = pool.refresh().await.unwrap();
    assert_eq!((report.withdrawn, report.generated), (0, 0));
    assert_eq!(*transport.syncs.lock().unwrap(), [0, 1_000, 2]);

    // Another installation has the key of none of them.
    let new = Bob::new();
    let (pool, transport) = open(&new, sizes(4, 2, 8));
    assert_eq!(pool.refresh().await.unwrap().withdrawn, 1_001);
    assert_eq!(*transport.withdrawals.lock().unwrap(), [1_000, 1]);
    assert_eq!(world.available(&new).await.len(), 4);
}

/// POOL-7: calls at once share a round.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn refreshes_at_once_fill_the_pool_once() {
    let (world, bob) = (World::new(), Bob::new());
    let pool = bob.open(&world);
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.refresh().await.unwrap() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(world.available(&bob).await.len(), 32);
    assert_eq!(bob.stored_keys().len(), 33);
}

/// TIME-3: a clock that steps back changes nothing, and one that was wrong does no lasting harm.
#[tokio::test]
async fn a_clock_that_steps_back_is_harmless() {
    let (world, bob) = (World::new(), Bob::new());
    let pool = bob.open(&world);
    pool.refresh().await.unwrap();
    let (now, rows) = (world.now(), bob.metadata.list().await.unwrap());
    for back in [1, DAY, 365 * DAY] {
        world.clock.set(now.minus(back));
        let report = pool.refresh().await.unwrap();
        assert_eq!((report.generated, report.deleted, report.withdrawn), (0, 0, 0));
        assert_eq!(pool.cleanup_expired().await.unwrap(), 0);
        assert_eq!(bob.metadata.list().await.unwrap(), rows);
    }
    world.clock.set(now);
    let report = pool.refresh().await.unwrap();
    assert_eq!((report.generated, report.uploaded, report.deleted), (0, 0, 0));
    assert_eq!(bob.metadata.list().await.unwrap(), rows);
}

/// POOL-7: answers that are not for each package are no answers.
#[tokio::test]
async fn a_server_that_leaves_answers_out_is_not_believed() {
    struct Short(Arc<dyn KeyPackageTransport>);

    #[async_trait]
    impl KeyPackageTransport for Short {
        async fn upload(&self, packages: &[KeyPackageBytes]) -> Result<Vec<UploadOutcome>, TransportError> {
            let mut verdicts = self.0.upload(packages).await?;
            verdicts.pop();
            Ok(verdicts)
        }

        async fn sync(&self, mine: &[KeyPackageRef]) -> Result<SyncReport, TransportError> {
            self.0.sync(mine).await
        }

        async fn withdraw(&self, refs: &[KeyPackageRef]) -> Result<(), TransportError> {
            self.0.withdraw(refs).await
        }
    }

    let (world, bob) = (World::new(), Bob::new());
    let short = Arc::new(Short(bob.transport(&world)));
    let pool = KeyPackagePool::builder(bob.vault(), Arc::new(bob.metadata.clone()), short)
        .ciphersuite(CiphersuitePlan::pool(SUITE))
        .clock(world.clock.clone())
        .build()
        .unwrap();
    let answer = pool.refresh().await;
    assert!(matches!(
        answer,
        Err(PoolError::AnswersMissing { asked: 33, found: 32 })
    ));
    assert_eq!(pool.get_available_count(SUITE).await.unwrap(), 0);
    // The next sync tells that they had arrived.
    assert_eq!(pool.refresh().await.unwrap().uploaded, 0);
    assert_eq!(pool.get_available_count(SUITE).await.unwrap(), 32);
}

#[test]
fn a_plan_that_makes_no_sense_is_refused() {
    let world = World::new();
    let build = |plans: &[CiphersuitePlan]| {
        let bob = Bob::new();
        let builder = plans
            .iter()
            .fold(bob.builder(&world), |builder, plan| builder.ciphersuite(*plan));
        builder.build().map(drop)
    };
    let nothing = CiphersuitePlan::last_resort_only(SUITE).last_resort(false);
    assert_eq!(build(&[]), Err(PoolConfigError::NoSuite));
    assert_eq!(build(&[nothing]), Err(PoolConfigError::Nothing(SUITE)));
    let twice = [CiphersuitePlan::pool(SUITE), CiphersuitePlan::last_resort_only(SUITE)];
    assert_eq!(build(&twice), Err(PoolConfigError::Twice(SUITE)));
    for zero in [sizes(0, 0, 0), sizes(32, 0, 64), sizes(0, 8, 64)] {
        assert_eq!(build(&[zero]), Err(PoolConfigError::Zero(SUITE)));
    }
    let expected = PoolConfigError::LowAboveTarget {
        suite: SUITE,
        low: 33,
        target: 32,
    };
    assert_eq!(build(&[sizes(32, 33, 64)]), Err(expected));
    let expected = PoolConfigError::CapBelowTarget {
        suite: SUITE,
        cap: 31,
        target: 32,
    };
    assert_eq!(build(&[sizes(32, 8, 31)]), Err(expected));
    let never = Bob::new()
        .builder(&world)
        .ciphersuite(CiphersuitePlan::pool(SUITE))
        .rotate_last_resort(Duration::ZERO);
    assert_eq!(never.build().map(drop), Err(PoolConfigError::RotateEvery));
    assert_eq!(build(&[sizes(1, 1, 1)]), Ok(()));
}

/// POOL-7: a server that takes fewer at once than the client sends is asked for less, and the pool is filled all the same.
#[tokio::test]
async fn a_server_that_takes_few_at_once_is_asked_for_less() {
    let (world, bob) = (World::new(), Bob::new());
    let few = KeyPackageDirectory::builder(world.store.clone(), OpenMlsAdmission::default())
        .clock(world.clock.clone())
        .max_upload(7)
        .build()
        .unwrap();
    let transport = few.transport(bob.pool_id.clone(), kp_core::server::Uploader::identity("bob"));
    let pool = KeyPackagePool::builder(bob.vault(), Arc::new(bob.metadata.clone()), Arc::new(transport))
        .clock(world.clock.clone())
        .ciphersuite(CiphersuitePlan::pool(SUITE))
        .build()
        .unwrap();
    let report = pool.refresh().await.unwrap();
    assert_eq!((report.generated, report.uploaded), (33, 33));
    assert_eq!(world.available(&bob).await.len(), 32);
}
