//! What happens while the server has not answered yet: POOL-3, POOL-6 and POOL-7.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use kp_client::{CiphersuitePlan, KeyPackagePool};
use kp_core::client::Lifecycle;
use kp_core::protocol::{KeyPackageTransport, SyncReport, TransportError, UploadOutcome};
use kp_core::{KeyPackageBytes, KeyPackageRef};
use kp_test_support::messenger::{Alice, Bob, SUITE, Vault, World};
use tokio::sync::Semaphore;

/// The server does what it is asked, and answers when it is let.
struct Slow {
    inner: Arc<dyn KeyPackageTransport>,
    asked: Semaphore,
    let_go: Semaphore,
    syncs: AtomicU32,
}

impl Slow {
    async fn answer<T>(&self, answer: T) -> T {
        self.asked.add_permits(1);
        self.let_go.acquire().await.unwrap().forget();
        answer
    }

    /// Waits until the server has done something, and has not answered.
    async fn is_asked(&self) {
        self.asked.acquire().await.unwrap().forget();
    }

    fn answers(&self, answers: usize) {
        self.let_go.add_permits(answers);
    }
}

#[async_trait]
impl KeyPackageTransport for Slow {
    async fn upload(&self, packages: &[KeyPackageBytes]) -> Result<Vec<UploadOutcome>, TransportError> {
        let answer = self.inner.upload(packages).await;
        self.answer(answer).await
    }

    async fn sync(&self, mine: &[KeyPackageRef]) -> Result<SyncReport, TransportError> {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        let answer = self.inner.sync(mine).await;
        self.answer(answer).await
    }

    async fn withdraw(&self, refs: &[KeyPackageRef]) -> Result<(), TransportError> {
        self.inner.withdraw(refs).await
    }
}

fn slow(world: &World, bob: &Bob) -> (KeyPackagePool<Vault>, Arc<Slow>) {
    let slow = Arc::new(Slow {
        inner: bob.transport(world),
        asked: Semaphore::new(0),
        let_go: Semaphore::new(0),
        syncs: AtomicU32::new(0),
    });
    let pool = KeyPackagePool::builder(bob.vault(), Arc::new(bob.metadata.clone()), slow.clone())
        .clock(world.clock.clone())
        .ciphersuite(CiphersuitePlan::pool(SUITE))
        .build()
        .unwrap();
    (pool, slow)
}

/// POOL-6: a Welcome does not wait for the server, and comes before the answer to the upload of its package.
#[tokio::test]
async fn a_join_does_not_wait_for_a_slow_upload() {
    let (world, alice, bob) = (World::new(), Alice::new(), Bob::new());
    let (pool, server) = slow(&world, &bob);
    let refresh = tokio::spawn({
        let pool = pool.clone();
        async move { pool.refresh().await.unwrap() }
    });
    server.is_asked().await;
    server.answers(1);
    server.is_asked().await;

    let (used, taken) = (world.claim(&bob).await, world.claim(&bob).await);
    let [used, taken] = [alice.invite(&used), alice.invite(&taken)];
    assert_eq!(bob.lifecycle(&used.refs[0]).await, Some(Lifecycle::Created));
    pool.join(&used.refs, || bob.attempt(&used.welcome))
        .await
        .unwrap()
        .unwrap();
    pool.join(&taken.refs, || bob.attempt(&taken.forged()))
        .await
        .unwrap()
        .unwrap_err();
    server.answers(1);
    refresh.await.unwrap();
    assert_eq!(
        bob.lifecycle(&used.refs[0]).await,
        Some(Lifecycle::Spent),
        "the verdict comes too late"
    );
    assert_eq!(
        bob.lifecycle(&taken.refs[0]).await,
        Some(Lifecycle::Reserved),
        "it was handed out"
    );
    assert!(!bob.has_key(&used.refs[0]) && bob.has_key(&taken.refs[0]));
}

/// POOL-3: a refresh that is dropped while it waits is a crash there.
#[tokio::test]
async fn a_refresh_that_is_dropped_is_made_up_for() {
    let (world, bob) = (World::new(), Bob::new());
    let (pool, server) = slow(&world, &bob);
    for answers in [0, 1] {
        server.answers(answers);
        let mut refresh = Box::pin(pool.refresh());
        for _ in 0..=answers {
            tokio::select! {
                _ = &mut refresh => panic!("it has no answer"),
                () = server.is_asked() => {}
            }
        }
    }
    let rows = bob.rows().await;
    assert_eq!(world.available(&bob).await.len(), 32, "uploaded, and not known to be");
    assert_eq!(pool.get_available_count(SUITE).await.unwrap(), 0);
    server.answers(10);
    pool.refresh().await.unwrap();
    assert_eq!(bob.rows().await, rows);
    assert_eq!(pool.get_available_count(SUITE).await.unwrap(), 32);
}

/// POOL-7: those who wait for a round which began after they asked share it.
#[tokio::test]
async fn refreshes_at_once_share_a_round() {
    let (world, bob) = (World::new(), Bob::new());
    let (pool, server) = slow(&world, &bob);
    let first = tokio::spawn({
        let pool = pool.clone();
        async move { pool.refresh().await.unwrap() }
    });
    server.is_asked().await;
    // The first round may have looked at what they ask about already.
    let mut others: Vec<_> = (0..10).map(|_| Box::pin(pool.refresh())).collect();
    for other in &mut others {
        let polled = other.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Pending));
    }
    server.answers(100);
    assert_eq!(first.await.unwrap().uploaded, 33);
    for other in others {
        assert_eq!(other.await.unwrap().uploaded, 0);
    }
    assert_eq!(server.syncs.load(Ordering::SeqCst), 2);
    pool.refresh().await.unwrap();
    assert_eq!(server.syncs.load(Ordering::SeqCst), 3, "asked later");
}
