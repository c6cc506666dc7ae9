//! What the store answers reaches the caller: ERR-1, ERR-3.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

mod world;

use std::sync::atomic::Ordering;

use kp_core::ManualClock;
use kp_core::server::{Spend, Withdrawal};
use kp_core::{BackendError, Effect, Error, Result};
use kp_server::{KeyPackageDirectory, Take, UploadError};
use world::{Outage, PlainAdmission, bob, key_package_ref, made, retry_key, start, to_bob};

fn world() -> (Outage, KeyPackageDirectory) {
    let outage = Outage::new();
    let directory = KeyPackageDirectory::builder(outage.faulty(), PlainAdmission)
        .clock(ManualClock::at(start()))
        .build();
    (outage, directory.unwrap())
}

fn failure<T: std::fmt::Debug>(answer: Result<T>) -> BackendError {
    match answer.unwrap_err() {
        Error::Backend(failure) => failure,
        other => panic!("{other:?} is no failure"),
    }
}

/// ERR-1, ERR-3: every call passes the store's failure on as it is.
#[tokio::test]
async fn an_outage_reaches_every_caller() {
    let (outage, directory) = world();
    outage.gone.store(false, Ordering::SeqCst);
    directory.upload(to_bob(made(2))).await.unwrap();
    let lease = directory.reserve(&bob(), &Take::new()).await.unwrap().lease;
    let tokens = [lease.unwrap().token];
    outage.gone.store(true, Ordering::SeqCst);

    let one = failure(directory.claim(&bob(), &Take::new()).await);
    assert_eq!((one.backend(), one.operation()), ("faulty", "claim_key_packages"));
    assert_eq!(one.effect(), Effect::Unknown);
    assert!(one.is_transient());
    let cause = std::error::Error::source(&one).unwrap();
    assert_eq!(cause.to_string(), "the call was dropped on its way");

    failure(directory.reserve(&bob(), &Take::new()).await);
    for answer in directory.claim_many(&[bob(), bob()], &Take::new()).await {
        failure(answer);
    }
    for answer in directory.reserve_many(&[bob(), bob()], &Take::new()).await {
        failure(answer);
    }
    for answer in directory.spend(&tokens, &Spend::default()).await {
        failure(answer);
    }
    for answer in directory.release(&tokens).await {
        failure(answer);
    }
    for answer in directory.renew(&tokens, None).await {
        failure(answer);
    }
    failure(directory.get(&bob(), &key_package_ref("package-0")).await);
    failure(directory.list_available(&bob(), None, 1).await);
    failure(directory.status(&bob()).await);
    failure(directory.sync(&bob(), &[]).await);
    failure(directory.withdraw(&bob(), &Withdrawal::All).await);
    failure(directory.delete_pool(&bob()).await);
    failure(directory.list_pools(None, 1).await);
    failure(directory.retire_unspent(start()).await);
    failure(directory.sweep().await);
    let upload = directory.upload(to_bob(made(1))).await.unwrap_err();
    assert!(matches!(upload, UploadError::Store(Error::Backend(_))));
}

/// An upload of which nothing is admitted needs no store.
#[tokio::test]
async fn a_refused_upload_is_answered_in_an_outage() {
    let (_, directory) = world();
    let verdicts = directory.upload(to_bob(vec![b"nonsense".to_vec()])).await.unwrap();
    assert_eq!(verdicts[0].code(), "malformed");
}

/// ERR-1: after a failure the same request, with the same id, is the way to find out.
#[tokio::test]
async fn the_same_request_finds_out() {
    let (outage, directory) = world();
    let ask = Take::new().id(retry_key(1));
    failure(directory.claim(&bob(), &ask).await);
    outage.gone.store(false, Ordering::SeqCst);
    directory.upload(to_bob(made(2))).await.unwrap();
    let first = directory.claim(&bob(), &ask).await.unwrap();
    outage.gone.store(true, Ordering::SeqCst);
    failure(directory.claim(&bob(), &ask).await);
    outage.gone.store(false, Ordering::SeqCst);
    assert_eq!(directory.claim(&bob(), &ask).await.unwrap(), first);
}
