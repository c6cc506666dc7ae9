//! A user who may do what docs/redis-user.md says, and nothing else.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod calls;
mod packages;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use calls::{CALLS, Stores, servers};
use kp_core::OpenError;
use kp_redis::{RedisBuilder, RedisStore};
use kp_test_support::servers::Server;

const LONG: Duration = Duration::from_secs(20);

fn in_crate(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The command of the page that makes the user, word by word.
fn acl() -> Vec<String> {
    let page = std::fs::read_to_string(in_crate("../docs/redis-user.md")).unwrap();
    let block = page.split("```").nth(1).unwrap();
    block.split_whitespace().skip(1).map(str::to_owned).collect()
}

fn set_user(server: &Server, words: &[String], more: &[&str]) {
    let words: Vec<_> = words.iter().map(String::as_str).chain(more.iter().copied()).collect();
    let () = server.command(&words).unwrap();
}

fn as_user(server: &Server) -> RedisBuilder {
    RedisStore::builder(format!("redis://pools:secret@127.0.0.1:{}/", server.port()))
        .buckets(2)
        .timeout(LONG)
}

/// The commands in capitals that follow these words in a text.
fn commands(text: &str, before: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for before in before {
        for rest in text.split(before).skip(1) {
            let name: String = rest.chars().take_while(char::is_ascii_uppercase).collect();
            if !name.is_empty() {
                found.insert(name.to_lowercase());
            }
        }
    }
    found
}

fn files(path: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn the_probe_and_the_page_name_every_command_that_is_sent() {
    let mut sources = Vec::new();
    files(&in_crate("lua"), &mut sources);
    let sent: BTreeSet<_> = sources
        .iter()
        .flat_map(|source| {
            let text = std::fs::read_to_string(source).unwrap();
            commands(&text, &["redis.call('", "redis.pcall('"])
        })
        .collect();
    let mut sources = Vec::new();
    files(&in_crate("src"), &mut sources);
    let beside: BTreeSet<_> = sources
        .iter()
        .flat_map(|source| {
            commands(
                &std::fs::read_to_string(source).unwrap(),
                &["cmd(\"", "bucket, \"", "operation, \"", "\"get\", \""],
            )
        })
        .collect();
    let probe = commands(
        &std::fs::read_to_string(in_crate("lua/link/probe.lua")).unwrap(),
        &["{'"],
    );
    assert!(sent.is_subset(&probe), "{:?}", sent.difference(&probe));

    let listed: BTreeSet<_> = acl()
        .into_iter()
        .filter_map(|word| word.strip_prefix('+').map(str::to_owned))
        .collect();
    let scripted = ["eval", "evalsha", "wait"].map(str::to_owned);
    assert_eq!(listed, probe.iter().cloned().chain(scripted).collect::<BTreeSet<_>>());
    let opening = ["asking", "info", "hello", "config", "fcall", "function"].map(str::to_owned);
    let auditing = ["scan", "cluster"].map(str::to_owned);
    let known: BTreeSet<_> = listed.iter().cloned().chain(opening).chain(auditing).collect();
    assert!(beside.is_subset(&known), "{:?}", beside.difference(&known));
    assert!(beside.contains("zrangebylex") && beside.contains("hmget"), "{beside:?}");
}

#[tokio::test]
async fn the_user_of_the_page_makes_every_call() {
    let arguments = ["--repl-diskless-sync-delay", "0"];
    for (server, replica) in servers(&arguments).into_iter().zip(servers(&[])) {
        replica.follow(&server);
        set_user(&server, &acl(), &[]);
        for replicas in [0, 1] {
            let prefix = format!("kp:{replicas}:");
            let builder = as_user(&server).prefix(prefix).replicas(replicas);
            let stores = Stores::open(builder, "bob").await.unwrap();
            let told = stores.store.server();
            assert_eq!(
                told.unchecked,
                ["maxmemory-policy", "appendonly", "appendfsync", "connected_slaves"]
            );
            assert!(told.version.contains('.'), "{}", told.version);
            assert!(!told.functions);
            set_user(&server, &acl(), &["+fcall", "+function|load"]);
            let builder = as_user(&server).prefix(format!("kp:{replicas}:")).replicas(replicas);
            let with_functions = Stores::open(builder, "bob").await.unwrap();
            assert!(with_functions.store.server().functions);
            for stores in [stores, with_functions] {
                for call in CALLS {
                    stores.prepare_again().await;
                    let answer = stores.make(call).await;
                    assert!(answer.is_ok(), "{}: {answer:?}", call.name);
                }
            }
            set_user(&server, &acl(), &["-fcall", "-function|load"]);
        }
        // What is told is checked.
        set_user(&server, &acl(), &["+config|get"]);
        let store = as_user(&server).open().await.unwrap();
        assert_eq!(store.server().unchecked, ["connected_slaves"]);
        let () = server
            .command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"])
            .unwrap();
        let refused = as_user(&server).open().await.unwrap_err();
        assert!(
            matches!(&refused, OpenError::UnsafeConfiguration(why) if why.contains("allkeys-lru")),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn a_command_that_the_user_may_not_run_is_named_at_opening() {
    for server in servers(&[]) {
        let whole = acl();
        for denied in whole.iter().filter(|word| word.starts_with('+')) {
            let words: Vec<_> = whole.iter().filter(|word| *word != denied).cloned().collect();
            set_user(
                &server,
                &["ACL".to_owned(), "DELUSER".to_owned(), "pools".to_owned()],
                &[],
            );
            set_user(&server, &words, &[]);
            let name = denied.trim_start_matches('+');
            match as_user(&server).open().await {
                Err(OpenError::UnsafeConfiguration(why)) => assert!(why.to_lowercase().contains(name), "{name}: {why}"),
                other => panic!("{name}: {other:?}"),
            }
        }
        // Keys that are not the store's.
        set_user(&server, &whole, &[]);
        let refused = as_user(&server).prefix("other:").open().await;
        assert!(
            matches!(&refused, Err(OpenError::UnsafeConfiguration(why)) if why.contains("key")),
            "{refused:?}"
        );
        // Nothing is left of it all.
        let keys: Vec<String> = server.command(&["KEYS", "*probe*"]).unwrap();
        assert_eq!(keys, Vec::<String>::new());
    }
    for server in servers(&["--rename-command", "ZADD", ""]) {
        let refused = RedisStore::open(server.url()).await.unwrap_err();
        assert!(
            matches!(&refused, OpenError::UnsafeConfiguration(why) if why.contains("ZADD")),
            "{refused}"
        );
    }
    for server in servers(&["--rename-command", "WAIT", ""]) {
        let refused = RedisStore::open(server.url()).await.unwrap_err();
        assert!(
            matches!(&refused, OpenError::UnsafeConfiguration(why) if why.contains("WAIT")),
            "{refused}"
        );
    }
}

#[cfg(feature = "cluster")]
#[tokio::test]
async fn each_master_of_a_cluster_is_probed() {
    let cluster = kp_test_support::servers::Cluster::start(kp_test_support::servers::redis());
    let of_cluster = ["+cluster|slots", "+ping", "+asking"];
    for node in &cluster.nodes {
        set_user(node, &acl(), &of_cluster);
    }
    let url = cluster
        .url()
        .replace("redis-cluster://", "redis-cluster://pools:secret@");
    let builder = || RedisStore::builder(&url).timeout(LONG);
    let stores = Stores::open(builder(), "bob").await.unwrap();
    for call in CALLS {
        stores.prepare_again().await;
        let answer = stores.make(call).await;
        assert!(answer.is_ok(), "{}: {answer:?}", call.name);
    }
    for node in &cluster.nodes {
        set_user(node, &acl(), &[&of_cluster[..], &["-zrem"]].concat());
        let refused = builder().open().await;
        assert!(
            matches!(&refused, Err(OpenError::UnsafeConfiguration(why)) if why.contains("ZREM")),
            "{refused:?}"
        );
        set_user(node, &acl(), &of_cluster);
    }
}
