//! No list in a call is longer than it may be: DIR-8.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

mod world;

use kp_core::server::{Answers, ReservationToken, Spend, TakeOptions, Withdrawal};
use kp_core::{Ciphersuite, KeyPackageRef, ManualClock, PoolId, Rejection, Result};
use kp_server::{DirectoryBuilder, KeyPackageDirectory, Take, Upload};
use tokio::sync::mpsc::UnboundedReceiver;
use world::probe::{Probe, Sweeps};
use world::{PlainAdmission, bob, key_package_ref, made, retry_key, start, to_bob};

/// A directory, and the calls that reach its store.
fn directory(
    policy: impl FnOnce(DirectoryBuilder) -> DirectoryBuilder,
) -> (KeyPackageDirectory, UnboundedReceiver<&'static str>) {
    let (probe, calls) = Probe::new(Sweeps::Well);
    let builder = KeyPackageDirectory::builder(probe, PlainAdmission).clock(ManualClock::at(start()));
    (policy(builder).build().unwrap(), calls)
}

fn refused<T: std::fmt::Debug>(answer: Result<T>) {
    assert_eq!(answer.unwrap_err().rejection(), Some(&Rejection::TooManyItems));
}

fn each_refused<T: std::fmt::Debug>(answers: Answers<T>, items: usize) {
    assert_eq!(answers.len(), items, "an answer for each");
    answers.into_iter().for_each(refused);
}

/// The call is judged by what it names, not by how much.
fn each_taken<T>(answers: Answers<T>) {
    for answer in answers {
        let rejection = answer.err().and_then(|error| error.rejection().copied());
        assert_ne!(rejection, Some(Rejection::TooManyItems));
    }
}

fn pools(count: usize) -> Vec<PoolId> {
    vec![bob(); count]
}

fn suites(count: u16) -> Take {
    Take::from(TakeOptions::new().ciphersuites((0..count).map(Ciphersuite)))
}

fn tokens(count: usize) -> Vec<ReservationToken> {
    vec![ReservationToken::new(bob(), key_package_ref("package-0"), retry_key(1)); count]
}

fn refs(count: usize) -> Vec<KeyPackageRef> {
    vec![key_package_ref("package-0"); count]
}

/// Every call, with lists of `most` items: none is refused for its length. With one more, each is, before the store is asked.
async fn check(directory: &KeyPackageDirectory, calls: &mut UnboundedReceiver<&'static str>, most: u16) {
    let (items, over) = (usize::from(most), usize::from(most) + 1);
    each_refused(directory.claim_many(&pools(over), &Take::new()).await, over);
    each_refused(directory.reserve_many(&pools(over), &Take::new()).await, over);
    refused(directory.claim(&bob(), &suites(most.min(64) + 1)).await);
    refused(directory.reserve(&bob(), &suites(most.min(64) + 1)).await);
    each_refused(directory.claim_many(&pools(2), &suites(most.min(64) + 1)).await, 2);
    each_refused(directory.reserve_many(&pools(2), &suites(most.min(64) + 1)).await, 2);
    each_refused(directory.spend(&tokens(over), &Spend::new()).await, over);
    each_refused(directory.release(&tokens(over)).await, over);
    each_refused(directory.renew(&tokens(over), None).await, over);
    refused(directory.sync(&bob(), &refs(over)).await);
    refused(directory.withdraw(&bob(), &Withdrawal::Refs(refs(over))).await);
    assert!(calls.try_recv().is_err(), "nothing was done");

    each_taken(directory.claim_many(&pools(items), &suites(most.min(64))).await);
    each_taken(directory.reserve_many(&pools(items), &suites(most.min(64))).await);
    each_taken(directory.spend(&tokens(items), &Spend::new()).await);
    each_taken(directory.release(&tokens(items)).await);
    each_taken(directory.renew(&tokens(items), None).await);
    directory.sync(&bob(), &refs(items)).await.unwrap();
    directory
        .withdraw(&bob(), &Withdrawal::Refs(refs(items)))
        .await
        .unwrap();
}

/// DIR-8: 1,000 items by default.
#[tokio::test]
async fn a_call_names_at_most_a_thousand_items() {
    let (directory, mut calls) = directory(|policy| policy);
    check(&directory, &mut calls, 1_000).await;
}

/// DIR-8: fewer where the operator says so.
#[tokio::test]
async fn the_bound_is_the_operator_s() {
    let (directory, mut calls) = directory(|policy| policy.max_items(3));
    check(&directory, &mut calls, 3).await;
}

/// DIR-8: a page has no more than that either; the streams go through all pages.
#[tokio::test]
async fn a_page_is_no_longer_than_the_bound() {
    use futures::TryStreamExt as _;

    let (directory, _calls) = directory(|policy| policy.max_items(3));
    directory.upload(to_bob(made(7))).await.unwrap();
    for n in 0..4 {
        let pool = PoolId::try_from(format!("pool-{n}").as_str()).unwrap();
        let upload = Upload::new(pool, kp_core::server::Uploader::unchecked(), made(1));
        directory.upload(upload).await.unwrap();
    }
    let page = directory.list_available(&bob(), None, u32::MAX).await.unwrap();
    assert_eq!((page.items.len(), page.next.is_some()), (3, true));
    let page = directory.list_pools(None, u32::MAX).await.unwrap();
    assert!(page.items.len() <= 3 && page.next.is_some());
    let all: Vec<_> = directory.available(&bob()).try_collect().await.unwrap();
    assert_eq!(all.len(), 7);
    let all: Vec<_> = directory.pools().try_collect().await.unwrap();
    assert_eq!(all.len(), 5);
    assert_eq!(directory.list_available(&bob(), None, 0).await.unwrap().items.len(), 1);
}
