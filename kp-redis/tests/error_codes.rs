//! The codes of the server's errors reach the link: each call fails as the code says, whatever script raised it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod calls;
mod packages;

use std::error::Error as _;
use std::time::Duration;

use calls::{CALLS, Call, Stores, servers};
use futures::future::join_all;
use kp_core::server::*;
use kp_core::*;
use kp_redis::RedisStore;
use kp_test_support::servers::{Server, until};
use packages::{last_resort, now, take};

const ANSWERED: [&str; 2] = ["claim_again", "spend_refused"];

async fn open(server: &Server, timeout: u64) -> Stores {
    let builder = RedisStore::builder(server.url())
        .buckets(1)
        .timeout(Duration::from_millis(timeout));
    let stores = Stores::open(builder, "bob").await.unwrap();
    stores.prepare().await;
    stores
}

/// A call fails for now and was not applied, and its source has the code.
fn for_now(call: Call, code: &str, failure: &BackendError) {
    let source = failure.source().map(ToString::to_string).unwrap_or_default();
    assert_eq!(
        (failure.effect(), failure.is_transient()),
        (Effect::NotApplied, true),
        "{}: {failure}: {source}",
        call.name
    );
    assert!(source.contains(code), "{}: {failure}: {source}", call.name);
}

#[tokio::test]
async fn a_master_without_its_replicas_fails_every_change_for_now_and_answers_reads() {
    for server in servers(&[]) {
        let stores = open(&server, 10_000).await;
        let () = server
            .command(&["CONFIG", "SET", "min-replicas-to-write", "1"])
            .unwrap();
        for call in CALLS {
            match stores.make(call).await {
                // What changes nothing is answered: reads, replays and refusals.
                Ok(_) => assert!(!call.changes || ANSWERED.contains(&call.name), "{}", call.name),
                Err(failure) => for_now(call, "NOREPLICAS", &failure),
            }
        }
        // It passes.
        let () = server
            .command(&["CONFIG", "SET", "min-replicas-to-write", "0"])
            .unwrap();
        stores.call("claim").await.unwrap();
    }
}

#[tokio::test]
async fn a_master_that_cannot_save_its_data_fails_every_change_for_now_and_answers_reads() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().display().to_string();
    let servers = servers(&["--save", "3600 1", "--dir", &path]);
    let mut opened = Vec::new();
    for server in &servers {
        opened.push(open(server, 10_000).await);
    }
    drop(dir);
    for (server, stores) in servers.iter().zip(opened) {
        let () = server.command(&["BGSAVE"]).unwrap();
        until(|| {
            let info: String = server.command(&["INFO", "persistence"]).ok()?;
            info.contains("rdb_last_bgsave_status:err").then_some(())
        })
        .expect("it has nowhere to save");
        for call in CALLS {
            match stores.make(call).await {
                // What changes nothing is answered: reads, replays and refusals.
                Ok(_) => assert!(!call.changes || ANSWERED.contains(&call.name), "{}", call.name),
                Err(failure) => for_now(call, "MISCONF", &failure),
            }
        }
    }
}

/// What makes a record or a row, or writes one anew.
const GROWS: [&str; 7] = [
    "save",
    "replace",
    "create_rows",
    "update_rows",
    "write_record",
    "lease",
    "release_lease",
];

#[tokio::test]
async fn a_full_server_refuses_what_makes_records_and_goes_on_with_all_else() {
    for server in servers(&[]) {
        let stores = open(&server, 10_000).await;
        let full = |memory: &str| {
            let () = server.command(&["CONFIG", "SET", "maxmemory", memory]).unwrap();
        };
        for call in CALLS {
            full("0");
            stores.prepare_again().await;
            full("1");
            match stores.make(call).await {
                Ok(answer) => assert!(!GROWS.contains(&call.name), "{}: {answer}", call.name),
                Err(failure) => {
                    assert!(GROWS.contains(&call.name), "{}: {failure}", call.name);
                    for_now(call, "OOM", &failure);
                }
            }
        }
        // A lease of a party whose packages are counted: its record becomes longer when it is used.
        full("0");
        stores.prepare_again().await;
        stores
            .store
            .save_key_package(&stores.pool, last_resort(90), now())
            .await
            .unwrap();
        let take = |number: u64, last_resort| {
            let mut take = take(&stores.pool, number);
            take.options.by = Some(Party::try_from([1; 64].as_slice()).unwrap());
            take.options.last_resort = last_resort;
            take
        };
        let mut tokens = Vec::new();
        for number in 30..33 {
            let take = take(number, LastResort::Never);
            let leased = stores.store.reserve_key_package(&take, OnLapse::Return, now()).await;
            tokens.push(leased.unwrap().lease.unwrap().token);
        }
        full("1");
        let group = GroupId::try_from([2; 255].as_slice()).unwrap();
        let claim = take(30, LastResort::Never);
        stores
            .store
            .claim_key_package(&claim, Some(&group), now())
            .await
            .unwrap();
        let mut spend = Spend::new();
        spend.group = Some(group);
        spend.by.clone_from(&claim.options.by);
        stores.store.spend_key_package(&tokens[1], &spend, now()).await.unwrap();
        stores
            .store
            .claim_key_package(&take(40, LastResort::Only), None, now())
            .await
            .unwrap();
        // Recalled: its record becomes longer, and is the only one to write.
        let named = Withdrawal::Refs(vec![tokens[2].key_package_ref.clone()]);
        stores
            .store
            .withdraw_key_packages(&stores.pool, &named, now())
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_call_that_a_running_script_keeps_waiting_ends_for_now() {
    for server in servers(&["--busy-reply-threshold", "1"]) {
        let stores = open(&server, 3_000).await;
        let mut busy = std::net::TcpStream::connect(("127.0.0.1", server.port())).unwrap();
        std::io::Write::write_all(&mut busy, b"EVAL \"while true do end\" 0\r\n").unwrap();
        until(|| server.command::<()>(&["PING"]).is_err().then_some(())).expect("it is busy");
        let calls = ["save", "claim", "spend", "count"];
        let answers = join_all(calls.map(|call| stores.call(call))).await;
        for (call, answer) in calls.into_iter().zip(answers) {
            let failure = answer.unwrap_err();
            assert!(failure.is_transient(), "{call}: {failure}");
        }
        let () = server.command(&["SCRIPT", "KILL"]).unwrap();
        stores.call("claim").await.unwrap();
    }
}
