//! The commit that closures share with the calls beside them: counted and failed by a hook in the writer's connection.

#![allow(
    clippy::let_unit_value,
    reason = "rusqlite 0.37 sets a hook without a result, 0.41 with one"
)]
#![allow(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use futures::FutureExt;
use futures::future::join_all;
use kp_core::server::*;
use kp_core::*;

use crate::pools::store::SqliteStore;
use crate::tests::packages::test_package;

fn now() -> Timestamp {
    Timestamp::try_from(1_700_000_000).unwrap()
}

fn pool() -> PoolId {
    PoolId::try_from("bob/phone").unwrap()
}

fn take(number: u8) -> TakeRequest {
    let minute = Ttl::try_from(60).unwrap();
    TakeRequest::new(pool(), ReservationId::from_bytes([number; 16]), minute)
}

/// Opens a store with these packages whose commits are counted, and fail if the hook says so.
async fn opened(dir: &tempfile::TempDir, commits: &Arc<AtomicUsize>, fails: bool) -> SqliteStore {
    let path = dir.path().join("pools.db");
    let lifetime = Lifetime::new(now(), now().plus(86_400)).unwrap();
    let packages = (0..100_u8).map(|number| test_package(&[number], lifetime, &[7; 300]));
    let store = SqliteStore::open(&path).await.unwrap();
    let save = Save::new(pool(), packages).unwrap();
    store.save_key_packages(&save, now()).await.unwrap();
    store.close().await.unwrap();
    let commits = Arc::clone(commits);
    let counted = SqliteStore::builder(path).open_with(move |connection| {
        let _ = connection.commit_hook(Some(move || {
            commits.fetch_add(1, Ordering::SeqCst);
            fails
        }));
    });
    counted.await.unwrap()
}

fn claim(within: &mut crate::Within<'_, '_>, number: u8) -> Result<KeyPackage> {
    within.claim_key_packages(&[take(number)], None, now())?.only()
}

/// Makes calls and closures behind one that waits until all are in the queue.
async fn together(store: &SqliteStore) -> Vec<Result<()>> {
    let (go, waits) = mpsc::channel::<()>();
    let mut first = Box::pin(store.within(move |within| {
        let _ = waits.recv();
        claim(within, 0).map(drop)
    }));
    assert!(first.as_mut().now_or_never().is_none());
    let mut calls = Vec::new();
    for number in 1..=90 {
        let call = match number % 3 {
            0 => async move { store.claim_key_package(&take(number), None, now()).await.map(drop) }.boxed(),
            1 => store.within(move |within| claim(within, number).map(drop)).boxed(),
            _ => {
                let refused = store.within(move |within| {
                    claim(within, number)?;
                    Err::<(), _>(Rejection::PoolExhausted.into())
                });
                refused.boxed()
            }
        };
        calls.push(call);
    }
    for call in &mut calls {
        assert!(call.now_or_never().is_none(), "it waits for the closure");
    }
    go.send(()).unwrap();
    let mut answers = vec![first.await];
    answers.extend(join_all(calls).await);
    answers
}

/// COST-1: one sync of the disk for all that wait, closures among them.
#[tokio::test]
async fn closures_share_the_commit_of_the_calls_beside_them() {
    let (dir, commits) = (tempfile::tempdir().unwrap(), Arc::new(AtomicUsize::new(0)));
    let store = opened(&dir, &commits, false).await;
    let answers = together(&store).await;
    assert_eq!(commits.load(Ordering::SeqCst), 1);
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 61);
    let left = store.count_by_status(&pool(), now()).await.unwrap().of(Ciphersuite(1));
    assert_eq!((left.spent, left.available), (61, 39));
}

/// TX-2: nothing of a transaction that is not committed is told, not even the error of a closure, which it may have from what
/// others did in the transaction.
#[tokio::test]
async fn a_failed_commit_fails_every_closure_in_it() {
    let (dir, commits) = (tempfile::tempdir().unwrap(), Arc::new(AtomicUsize::new(0)));
    let store = opened(&dir, &commits, true).await;
    let answers = together(&store).await;
    assert_eq!((commits.load(Ordering::SeqCst), answers.len()), (1, 91));
    for answer in answers {
        let Err(Error::Backend(failure)) = answer else {
            panic!("it is told: {answer:?}")
        };
        assert_eq!(failure.effect(), Effect::Unknown);
    }
    let left = store.count_by_status(&pool(), now()).await.unwrap().of(Ciphersuite(1));
    assert_eq!((left.spent, left.available), (0, 100));
}
