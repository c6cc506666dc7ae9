//! A master is replaced while connections to it stay open: every call leaves it, reads, replays and refusals too.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod calls;
mod forwarder;
mod packages;

use std::time::Duration;

use calls::{CALLS, Stores, binaries};
use forwarder::Forwarder;
use futures::future::join_all;
use kp_core::server::KeyPackageStore;
use kp_core::*;
use kp_redis::RedisStore;
use kp_test_support::servers::{Server, until};
use packages::pool;

/// Three servers in a row: the master, the replica that replaces it, and the replica's own.
struct Row {
    master: Server,
    next: Server,
    _last: Server,
}

impl Row {
    fn start(binary: &std::path::Path) -> Self {
        let start = || Server::start_binary(binary.to_owned(), &["--repl-diskless-sync-delay", "0"]);
        let (master, next, last) = (start(), start(), start());
        next.follow(&master);
        last.follow(&next);
        Self {
            master,
            next,
            _last: last,
        }
    }

    /// The replica becomes a master; waits until it has all that the master was told.
    fn promote(&self) {
        let offset = |server: &Server, name: &str| -> Option<u64> {
            let info: String = server.command(&["INFO", "replication"]).ok()?;
            let line = info.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().parse().ok()
        };
        let told = offset(&self.master, "master_repl_offset:").unwrap();
        until(|| (offset(&self.next, "slave_repl_offset:")? >= told).then_some(())).expect("it follows");
        let () = self.next.command(&["REPLICAOF", "NO", "ONE"]).unwrap();
    }
}

/// Opens stores for each call, each with connections of its own, and fills their pools.
async fn open_each(url: &str, replicas: u32) -> Vec<Stores> {
    let mut opened = Vec::new();
    for call in CALLS {
        let prefix = format!("{}:{replicas}:", call.name);
        let builder = RedisStore::builder(url)
            .prefix(prefix)
            .buckets(1)
            .replicas(replicas)
            .timeout(Duration::from_secs(20));
        let stores = Stores::open(builder, "bob").await.unwrap();
        stores.prepare().await;
        opened.push(stores);
    }
    opened
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_leaves_a_demoted_master_at_once() {
    for binary in binaries() {
        for replicas in [0, 1] {
            let row = Row::start(&binary);
            let forwarder = Forwarder::to(&row.master).await;
            let opened = open_each(&forwarder.url(), replicas).await;
            row.promote();
            // What the old master would answer is wrong: here a claim was made, and where a call needs no packages the
            // pool is gone.
            let mut direct = Vec::new();
            for call in CALLS {
                let builder = RedisStore::builder(row.next.url())
                    .prefix(format!("{}:{replicas}:", call.name))
                    .buckets(1);
                let stores = Stores::open(builder, "bob").await.unwrap();
                match call.name {
                    "claim_again" | "spend_refused" => stores.call("delete_pool").await.map(drop).unwrap(),
                    _ => stores.call("claim").await.map(drop).unwrap(),
                }
                stores.call("delete_rows").await.unwrap();
                direct.push(stores);
            }
            // It follows nobody, and so never learns of all that.
            let () = row.master.command(&["REPLICAOF", "127.0.0.1", "1"]).unwrap();
            forwarder.point_at(&row.next);
            for ((call, stores), direct) in CALLS.into_iter().zip(opened).zip(direct) {
                let before = forwarder.accepted();
                let answer = stores.make(call).await;
                let answer = answer.unwrap_or_else(|failure| panic!("{}: {failure:?}", call.name));
                assert!(forwarder.accepted() > before, "{} stayed", call.name);
                if !call.changes {
                    assert_eq!(answer, direct.make(call).await.unwrap(), "{}", call.name);
                }
                match call.name {
                    "claim_again" => assert!(answer.contains("PoolExhausted"), "{answer}"),
                    "spend_refused" => assert!(answer.contains("NotFound"), "{answer}"),
                    _ => {}
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_on_a_demoted_master_that_has_no_successor_yet_was_not_applied() {
    for binary in binaries() {
        let server = Server::start_binary(binary, &[]);
        let builder = RedisStore::builder(server.url())
            .buckets(1)
            .timeout(Duration::from_secs(3));
        let stores = Stores::open(builder, "bob").await.unwrap();
        stores.prepare().await;
        let () = server.command(&["REPLICAOF", "127.0.0.1", "1"]).unwrap();
        let answers = join_all(CALLS.map(|call| stores.make(call))).await;
        for (call, answer) in CALLS.into_iter().zip(answers) {
            let failure = answer.expect_err(call.name);
            assert!(failure.is_transient(), "{}: {failure:?}", call.name);
        }
        // None of them was: it has all that it had.
        let () = server.command(&["REPLICAOF", "NO", "ONE"]).unwrap();
        let counts = stores
            .store
            .count_by_status(&pool("bob"), packages::now())
            .await
            .unwrap()
            .of(Ciphersuite(1));
        assert_eq!((counts.available, counts.reserved, counts.spent), (8, 3, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_was_cut_off_is_left_within_one_time_out() {
    for binary in binaries() {
        let timeout = Duration::from_secs(3);
        let row = Row::start(&binary);
        let forwarder = Forwarder::to(&row.master).await;
        let open = |url| RedisStore::builder(url).buckets(1).timeout(timeout);
        let stores = Stores::open(open(forwarder.url()), "bob").await.unwrap();
        stores.prepare().await;
        // It goes on as a master, and its connections stay.
        row.promote();
        forwarder.point_at(&row.next);
        let direct = Stores::open(open(row.next.url()), "bob").await.unwrap();
        direct.call("withdraw").await.unwrap();
        // The time-out is the promise: this is no wait for something to happen.
        tokio::time::sleep(timeout).await;
        for call in CALLS.into_iter().filter(|call| !call.changes) {
            assert_eq!(
                stores.make(call).await.unwrap(),
                direct.make(call).await.unwrap(),
                "{}",
                call.name
            );
        }
    }
}
