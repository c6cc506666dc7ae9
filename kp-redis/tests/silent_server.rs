//! A server that hangs, and connections that swallow what is sent: a call ends at its time-out, and the next one has a
//! fresh connection.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod calls;
mod forwarder;
mod packages;

use std::time::Duration;

use calls::{CALLS, Call, Stores, binaries, servers};
use forwarder::Forwarder;
use futures::future::join_all;
use kp_core::*;
use kp_redis::RedisStore;
use kp_test_support::servers::Server;

const TIMEOUT: Duration = Duration::from_secs(5);

/// A time that a busy machine never reaches.
const LONG: Duration = Duration::from_secs(30);

async fn open(url: String, replicas: u32, prefix: &str, timeout: Duration) -> Stores {
    let builder = RedisStore::builder(url)
        .prefix(prefix)
        .buckets(1)
        .replicas(replicas)
        .timeout(timeout);
    let stores = Stores::open(builder, "bob").await.unwrap();
    stores.prepare().await;
    stores
}

/// Opens stores for each call, each with connections of its own, and fills their pools.
async fn open_each(url: &str, replicas: u32) -> Vec<(Call, Stores)> {
    let open = async |call: Call| (call, open(url.to_owned(), replicas, call.name, TIMEOUT).await);
    join_all(CALLS.map(open)).await
}

/// Makes a call that has nobody to answer it, and returns its failure. `None`: on a busy machine the connection was older
/// than the time-out already, and the call made another.
async fn ends_at_its_time_out(stores: &Stores, call: Call) -> Option<Effect> {
    let begin = tokio::time::Instant::now();
    let answer = stores.make(call).await;
    let took = begin.elapsed();
    assert!(took < TIMEOUT + LONG, "{} took {took:?}", call.name);
    let failure = answer.err()?;
    assert!(failure.is_transient(), "{}: {failure:?}", call.name);
    assert!(
        call.changes || failure.effect() == Effect::NotApplied,
        "{}: {failure:?}",
        call.name
    );
    Some(failure.effect())
}

/// Makes these calls at once: most were sent, and nobody knows what became of them.
async fn end_at_their_time_outs(opened: &[(Call, Stores)]) {
    let effects = join_all(opened.iter().map(|(call, stores)| ends_at_its_time_out(stores, *call))).await;
    assert!(effects.contains(&Some(Effect::Unknown)), "{effects:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_connection_that_swallows_each_call_has_a_fresh_one() {
    for binary in binaries() {
        for replicas in [0, 1] {
            let master = Server::start_binary(binary.clone(), &["--repl-diskless-sync-delay", "0"]);
            let replica = Server::start_binary(binary.clone(), &[]);
            replica.follow(&master);
            let forwarder = Forwarder::to(&master).await;
            let opened = open_each(&forwarder.url(), replicas).await;
            // Where calls wait, each store has several connections.
            for (call, stores) in &opened {
                let warm = join_all((0..4).map(|_| stores.call("claim_again"))).await;
                assert!(warm.iter().all(Result::is_ok), "{}: {warm:?}", call.name);
            }
            forwarder.swallow();
            end_at_their_time_outs(&opened).await;
            for (call, stores) in &opened {
                let again = join_all((0..4).map(|_| stores.make(*call))).await;
                assert!(again.iter().all(Result::is_ok), "{}: {again:?}", call.name);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_server_is_given_up_at_the_time_out_and_found_again() {
    for server in servers(&[]) {
        let opened = open_each(&server.url(), 0).await;
        server.pause();
        end_at_their_time_outs(&opened).await;
        // The system accepts the next connection, and then nothing comes.
        join_all(opened.iter().map(|(call, stores)| fails_connecting(stores, *call))).await;
        server.resume();
        for (call, stores) in &opened {
            let again = stores.make(*call).await;
            assert!(again.is_ok(), "{}: {again:?}", call.name);
        }
    }
}

async fn fails_connecting(stores: &Stores, call: Call) {
    let failure = stores.make(call).await.expect_err(call.name);
    assert_eq!(
        (failure.effect(), failure.is_transient()),
        (Effect::NotApplied, true),
        "{}: {failure:?}",
        call.name
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_connection_is_left_also_when_no_caller_waits_for_the_time_out() {
    for server in servers(&[]) {
        for (replicas, call) in [(0, "count"), (0, "claim_again"), (0, "rows")] {
            let forwarder = Forwarder::to(&server).await;
            let stores = open(forwarder.url(), replicas, call, TIMEOUT).await;
            stores.call(call).await.unwrap();
            forwarder.swallow();
            // Each caller is gone long before its call times out.
            let begin = tokio::time::Instant::now();
            let mut dropped = 0;
            while tokio::time::timeout(TIMEOUT / 2, stores.call(call)).await.is_err() {
                dropped += 1;
                assert!(begin.elapsed() < LONG, "{call}: it is never left");
            }
            assert!(dropped > 0, "{call}: it swallowed nothing");
            stores.call(call).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_attempt_that_hangs_is_bounded() {
    let server = Server::start(&[]);
    let forwarder = Forwarder::to(&server).await;
    let opened = open_each(&forwarder.url(), 0).await;
    forwarder.swallow_all();
    end_at_their_time_outs(&opened).await;
    join_all(opened.iter().map(|(call, stores)| fails_connecting(stores, *call))).await;
    let builder = RedisStore::builder(forwarder.url()).timeout(TIMEOUT);
    assert!(matches!(builder.open().await, Err(OpenError::Unreachable(_))));
    forwarder.swallow();
    for (call, stores) in &opened {
        stores.make(*call).await.unwrap();
    }
}
