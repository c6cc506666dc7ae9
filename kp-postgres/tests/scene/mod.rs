//! Pools, packages and requests, as the tests of this engine use them.
#![allow(dead_code)] // Each test takes what it needs of it.

use std::future::Future;
use std::task::Poll;

use kp_core::server::{KeyPackageStore, Save, TakeRequest};
use kp_core::{
    Ciphersuite, CredentialHash, KeyPackage, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Lifetime, PoolId,
    ReservationId, Timestamp, Ttl,
};
use kp_postgres::PostgresStore;
use kp_test_support::postgres::Postgres;
use tokio_postgres::{Client, NoTls};

pub(crate) const NOW: Timestamp = match Timestamp::new(1_700_000_000) {
    Some(now) => now,
    None => Timestamp::MIN,
};

/// Returns how often something is done, unless the environment says otherwise.
pub(crate) fn number_of(variable: &str, default: u64) -> u64 {
    let named = std::env::var(variable).ok();
    named.map_or(default, |number| number.parse().expect("the variable is a number"))
}

pub(crate) fn pool(n: u64) -> PoolId {
    PoolId::try_from(format!("pool/{n}").as_str()).expect("a short name is an id")
}

pub(crate) fn package(n: u64) -> KeyPackage {
    let mut name = [7; 32];
    name[..8].copy_from_slice(&n.to_be_bytes());
    let lifetime = Lifetime::new(NOW, NOW.plus(86_400)).expect("it begins before it ends");
    let named = KeyPackageRef::try_from(name.as_slice()).expect("32 bytes are a ref");
    let info = KeyPackageInfo::new(named, Ciphersuite(1), lifetime, CredentialHash([0; 32]));
    KeyPackage::new(
        info,
        KeyPackageBytes::try_from(vec![1; 295]).expect("295 bytes are a package"),
    )
}

/// Saves packages in each of the first pools.
pub(crate) async fn fill(store: &PostgresStore, pools: u64, packages: u64) {
    for n in 0..pools {
        let all: Vec<_> = (0..packages).map(|k| package(n * packages + k)).collect();
        for some in all.chunks(1_000) {
            let save = Save::new(pool(n), some.to_vec()).expect("so many are a save");
            let saved = store.save_key_packages(&save, NOW).await.expect("they are saved");
            assert!(saved.iter().all(|outcome| outcome.is_held()));
        }
    }
}

/// Asks for a package of a pool; `number` is the request's own.
pub(crate) fn take(n: u64, number: u64) -> TakeRequest {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    let hour = Ttl::seconds(3_600).expect("an hour is a ttl");
    TakeRequest::new(pool(n), ReservationId::from_bytes(id), hour)
}

/// Connects as a server does, beside the store.
pub(crate) async fn connect(server: &Postgres) -> Client {
    let connected = tokio_postgres::connect(&server.url(), NoTls).await;
    let (client, connection) = connected.expect("the server is there");
    tokio::spawn(connection);
    client
}

/// Waits until this holds on the server.
pub(crate) async fn until(server: &Postgres, holds: &str) {
    let client = connect(server).await;
    while !client
        .query_one(holds, &[])
        .await
        .expect("it answers")
        .get::<_, bool>(0)
    {
        tokio::task::yield_now().await;
    }
}

/// TX-1: what makes a transaction unfit for a call, and what the refusal names.
pub(crate) const UNFIT: [(&str, &str); 5] = [
    ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "repeatable read"),
    ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "serializable"),
    ("SET TRANSACTION READ ONLY", "read-only"),
    ("SET LOCAL synchronous_commit = off", "synchronous_commit is off"),
    ("SET LOCAL synchronous_commit = local", "synchronous_commit is local"),
];

/// Polls a future so often, each time when it is woken, and drops it. Returns whether it was done before.
pub(crate) async fn dropped_after<F: Future>(polls: usize, future: F) -> bool {
    let (mut future, mut left) = (Box::pin(future), polls);
    std::future::poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(true),
            Poll::Pending if left == 0 => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
