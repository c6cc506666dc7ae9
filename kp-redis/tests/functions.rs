//! The scripts as functions of the server: chosen at opening, and found again wherever they are gone.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod calls;
mod packages;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use calls::{CALLS, Stores, servers};
use kp_core::server::*;
use kp_redis::RedisStore;
use kp_test_support::servers::Server;
use packages::{now, pool, save, take};
use redis::{FromRedisValue, Value};

/// How often the server ran each of these commands since the last reset.
fn ran<const N: usize>(server: &Server, names: [&str; N]) -> [u32; N] {
    let stats: String = server.command(&["INFO", "commandstats"]).unwrap();
    names.map(|name| {
        let calls = stats
            .lines()
            .find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:calls=")));
        calls.map_or(0, |rest| rest.split(',').next().unwrap().parse().unwrap())
    })
}

/// The libraries that the server has: the name and the code of each.
fn libraries(server: &Server) -> Vec<(String, String)> {
    let listed: Vec<HashMap<String, Value>> = server.command(&["FUNCTION", "LIST", "WITHCODE"]).unwrap();
    let text = |value: &Value| String::from_redis_value(value.clone()).unwrap();
    let pair = |library: &HashMap<_, _>| (text(&library["library_name"]), text(&library["library_code"]));
    listed.iter().map(pair).collect()
}

#[tokio::test]
async fn functions_are_chosen_where_the_user_may_load_and_call_them() {
    for server in servers(&[]) {
        for (denied, functions) in [("", true), ("-function", false), ("-fcall", false)] {
            let words = ["ACL", "SETUSER", "app", "reset", "on", ">pw", "~*", "+@all", denied];
            let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
            let () = server.command(&words).unwrap();
            let () = server.command(&["FUNCTION", "FLUSH"]).unwrap();
            let url = format!("redis://app:pw@127.0.0.1:{}/", server.port());
            let stores = Stores::open(RedisStore::builder(url).buckets(1), "bob").await.unwrap();
            assert_eq!(stores.store.server().functions, functions, "{denied}");
            stores.prepare_again().await;
            let () = server.command(&["CONFIG", "RESETSTAT"]).unwrap();
            stores.call("claim").await.unwrap();
            let [fcall, evalsha] = ran(&server, ["fcall", "evalsha"]);
            assert_eq!((fcall > 0, evalsha > 0), (functions, !functions), "{denied}");
        }
        // A user who may call them, but not load them, has those that another has loaded.
        let words = [
            "ACL",
            "SETUSER",
            "app",
            "reset",
            "on",
            ">pw",
            "~*",
            "+@all",
            "-function",
        ];
        let () = server.command(&words).unwrap();
        let admin = RedisStore::builder(server.url()).buckets(1).open().await.unwrap();
        assert!(admin.server().functions);
        let url = format!("redis://app:pw@127.0.0.1:{}/", server.port());
        let store = RedisStore::builder(url).buckets(1).open().await.unwrap();
        assert!(store.server().functions);
        // Once they are gone, its scripts are sent whole.
        let () = server.command(&["FUNCTION", "FLUSH"]).unwrap();
        store
            .claim_key_package(&take(&pool("bob"), 40), None, now())
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_that_are_flushed_under_load_are_loaded_again() {
    for server in servers(&[]) {
        // A machine that is starved is no failure.
        let builder = RedisStore::builder(server.url()).timeout(Duration::from_secs(60));
        let store = builder.open().await.unwrap();
        for worker in 0..4 {
            let bob = pool(format!("bob/{worker}"));
            store.save_key_packages(&save(&bob, 0..100), now()).await.unwrap();
        }
        let () = server.command(&["CONFIG", "RESETSTAT"]).unwrap();
        // One is missed, however late the thread begins.
        let () = server.command(&["FUNCTION", "FLUSH"]).unwrap();
        let working = Arc::new(AtomicBool::new(true));
        let flushing = {
            let (url, working) = (server.url(), Arc::clone(&working));
            std::thread::spawn(move || {
                let mut connection = redis::Client::open(url).unwrap().get_connection().unwrap();
                while working.load(Ordering::Relaxed) {
                    let () = redis::cmd("FUNCTION").arg("FLUSH").query(&mut connection).unwrap();
                    let () = redis::cmd("SCRIPT").arg("FLUSH").query(&mut connection).unwrap();
                }
            })
        };
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let store = store.clone();
                tokio::spawn(async move {
                    let bob = pool(format!("bob/{worker}"));
                    let mut refs = BTreeSet::new();
                    for number in 0..100 {
                        let claimed = store.claim_key_package(&take(&bob, number), None, now()).await;
                        refs.insert(claimed.unwrap().info.key_package_ref);
                    }
                    refs.len()
                })
            })
            .collect();
        for worker in workers {
            assert_eq!(worker.await.unwrap(), 100);
        }
        working.store(false, Ordering::Relaxed);
        flushing.join().unwrap();
        let [loaded] = ran(&server, ["function|load"]);
        assert!(loaded > 0, "no function was missed");
        // FLUSHALL takes the pools, and at most the functions beside them.
        let () = server.command(&["FLUSHALL"]).unwrap();
        let counts = store.count_by_status(&pool("bob/0"), now()).await.unwrap();
        assert!(counts.ciphersuites.is_empty());
    }
}

/// The library of another release lies beside this one's, its functions under names of their own.
#[tokio::test]
async fn two_releases_share_a_server() {
    for server in servers(&[]) {
        let store = RedisStore::open(server.url()).await.unwrap();
        let [(name, code)] = libraries(&server).try_into().unwrap();
        assert!(name.starts_with("kp_redis_0_"), "{name}");
        let another = code.replace(&name, "kp_redis_another");
        let () = server.command(&["FUNCTION", "LOAD", &another]).unwrap();
        assert_eq!(libraries(&server).len(), 2);
        let () = server.command(&["CONFIG", "RESETSTAT"]).unwrap();
        store.count_by_status(&pool("bob"), now()).await.unwrap();
        RedisStore::open(server.url()).await.unwrap();
        // Those that are there are not loaded again.
        let [fcall, loaded] = ran(&server, ["fcall", "function|load"]);
        assert_eq!((fcall, loaded), (2, 0));
    }
}

#[tokio::test]
async fn a_replica_has_the_functions_of_its_master() {
    let master = Server::start(&["--repl-diskless-sync-delay", "0"]);
    let replica = Server::start_replica(&master);
    let store = RedisStore::builder(master.url()).replicas(1).open().await.unwrap();
    let bob = pool("bob");
    store.save_key_packages(&save(&bob, 0..2), now()).await.unwrap();
    assert_eq!(libraries(&replica), libraries(&master));
    let () = replica.command(&["REPLICAOF", "NO", "ONE"]).unwrap();
    let promoted = RedisStore::open(replica.url()).await.unwrap();
    promoted.claim_key_package(&take(&bob, 1), None, now()).await.unwrap();
    let [loaded] = ran(&replica, ["function|load"]);
    // The one that its master sent.
    assert!(promoted.server().functions && loaded <= 1, "{loaded}");
}

/// A server without room takes no functions. Reads, and what makes room, go on by scripts that are sent whole.
#[tokio::test]
async fn a_full_server_that_has_lost_its_functions_goes_on() {
    for server in servers(&[]) {
        let stores = Stores::open(RedisStore::builder(server.url()).buckets(1), "bob")
            .await
            .unwrap();
        stores.prepare_again().await;
        assert!(stores.store.server().functions);
        let () = server.command(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
        let () = server.command(&["FUNCTION", "FLUSH"]).unwrap();
        for name in ["count", "get", "claim", "spend", "release"] {
            stores.call(name).await.unwrap();
        }
        assert!(stores.call("save").await.unwrap_err().is_transient());
        let opened = RedisStore::builder(server.url()).buckets(1).open().await.unwrap();
        assert!(!opened.server().functions);
        opened.count_by_status(&stores.pool, now()).await.unwrap();
    }
}

/// Both forms of the scripts answer alike.
#[tokio::test]
async fn every_call_is_answered_alike_in_both_forms() {
    for server in servers(&[]) {
        let words = ["ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", "-fcall"];
        let () = server.command(&words).unwrap();
        let scripted = format!("redis://app:pw@127.0.0.1:{}/", server.port());
        let mut answers = Vec::new();
        for (url, functions) in [(server.url(), true), (scripted, false)] {
            let stores = Stores::open(RedisStore::builder(url).buckets(1), "bob").await.unwrap();
            assert_eq!(stores.store.server().functions, functions);
            let mut of_form = Vec::new();
            for call in CALLS {
                stores.prepare_again().await;
                of_form.push((call.name, stores.make(call).await.unwrap()));
            }
            answers.push(of_form);
        }
        assert_eq!(answers[0], answers[1]);
    }
}
