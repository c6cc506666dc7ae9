//! Tests what only a real server shows: round trips, restarts, refused settings, hostile ids.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod outcomes;
mod packages;

use std::time::Duration;

use kp_core::server::*;
use kp_core::*;
use kp_redis::RedisStore;
use kp_test_support::servers::Server;
use outcomes::{failed, opened};
use packages::{last_resort, now, package, pool, save, take};

async fn store(server: &Server) -> RedisStore {
    RedisStore::open(server.url()).await.unwrap()
}

/// Returns how often each script command ran since the last reset.
fn calls(server: &Server) -> Vec<(String, u32)> {
    let stats: String = server.command(&["INFO", "commandstats"]).unwrap();
    let ours = stats.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
    });
    ours.filter(|(name, _)| ["fcall", "function|load", "evalsha", "eval"].contains(&name.as_str()))
        .collect()
}

#[tokio::test]
async fn every_call_on_a_pool_is_one_round_trip() {
    let server = Server::start(&[]);
    let store = store(&server).await;
    let bob = pool("bob");
    let everything = async |round: u64| {
        let first = u32::try_from(round * 10).unwrap();
        store
            .save_key_packages(&save(&bob, first..first + 4), now())
            .await
            .unwrap();
        let reserved = store
            .reserve_key_package(&take(&bob, round * 10), OnLapse::Return, now())
            .await
            .unwrap();
        let other = store
            .reserve_key_package(&take(&bob, round * 10 + 1), OnLapse::Return, now())
            .await
            .unwrap();
        let token = reserved.lease.unwrap().token;
        store.spend_key_package(&token, &Spend::default(), now()).await.unwrap();
        store
            .release_key_package(&other.lease.unwrap().token, now())
            .await
            .unwrap();
        store
            .claim_key_package(&take(&bob, round * 10 + 2), None, now())
            .await
            .unwrap();
        store
            .get_key_package(&bob, &token.key_package_ref, now())
            .await
            .unwrap();
        store.get_statuses(&bob, &[token.key_package_ref], now()).await.unwrap();
        store.list_available(&bob, None, 10, now()).await.unwrap();
        store.count_by_status(&bob, now()).await.unwrap();
        store
            .withdraw_key_packages(&bob, &Withdrawal::All, now())
            .await
            .unwrap();
        store.delete_pool(&bob).await.unwrap();
    };
    everything(0).await;
    let () = server.command(&["CONFIG", "RESETSTAT"]).unwrap();
    everything(1).await;
    // Twelve calls, and within them nothing but the script runs from outside.
    let calls = calls(&server);
    let of = |name: &str| {
        calls
            .iter()
            .find(|(found, _)| found == name)
            .map_or(0, |(_, count)| *count)
    };
    let others = ["function|load", "evalsha", "eval"].map(of);
    assert_eq!((of("fcall"), others), (12, [0; 3]), "{calls:?}");

    // A call on many pools sends one command for each, all at once.
    let takes: Vec<_> = (0..50).map(|number| take(&pool(format!("user-{number}")), 1)).collect();
    let () = server.command(&["CONFIG", "RESETSTAT"]).unwrap();
    let answers = store.claim_key_packages(&takes, None, now()).await;
    assert!(
        answers
            .iter()
            .all(|answer| answer.as_ref().unwrap_err().rejection() == Some(&Rejection::PoolExhausted))
    );
    let twice: Vec<_> = (0..20).map(|number| take(&bob, number)).collect();
    let answers = store.claim_key_packages(&twice, None, now()).await;
    assert!(answers.iter().all(Result::is_err));
    assert_eq!(self::calls(&server), [("fcall".to_owned(), 51)]);
}

#[tokio::test]
async fn scripts_that_the_server_forgot_are_sent_again() {
    let server = Server::start(&["--user", "default", "on", "nopass", "~*", "&*", "+@all", "-fcall"]);
    let store = store(&server).await;
    assert!(!store.server().functions);
    let bob = pool("bob");
    store.save_key_packages(&save(&bob, 0..2), now()).await.unwrap();
    for number in 0..2 {
        let () = server.command(&["SCRIPT", "FLUSH"]).unwrap();
        store.claim_key_package(&take(&bob, number), None, now()).await.unwrap();
        let () = server.command(&["SCRIPT", "FLUSH"]).unwrap();
        assert_eq!(store.count_by_status(&bob, now()).await.unwrap().ciphersuites.len(), 1);
    }
}

#[tokio::test]
async fn a_store_goes_on_after_its_server_was_restarted() {
    let server = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let store = store(&server).await;
    assert!(store.server().append_only);
    assert_eq!(store.server().append_fsync.as_deref(), Some("always"));
    let bob = pool("bob");
    store.save_key_packages(&save(&bob, 0..3), now()).await.unwrap();
    let reserved = store
        .reserve_key_package(&take(&bob, 1), OnLapse::Return, now())
        .await
        .unwrap();

    server.kill();
    // Refused at the door, so certainly not applied; the connection that was lost may have carried it.
    let error = store.claim_key_package(&take(&bob, 2), None, now()).await.unwrap_err();
    assert!(
        matches!(&error, Error::Backend(failure) if failure.is_transient()),
        "{error}"
    );
    let error = store.claim_key_package(&take(&bob, 2), None, now()).await.unwrap_err();
    let Error::Backend(failure) = &error else {
        panic!("{error}")
    };
    assert_eq!(
        (failure.effect(), failure.is_transient()),
        (Effect::NotApplied, true),
        "{error}"
    );

    server.restart();
    let token = reserved.lease.unwrap().token;
    store.spend_key_package(&token, &Spend::default(), now()).await.unwrap();
    store.claim_key_package(&take(&bob, 2), None, now()).await.unwrap();
    let counts = store.count_by_status(&bob, now()).await.unwrap().of(Ciphersuite(1));
    assert_eq!((counts.available, counts.spent), (1, 2));
}

#[tokio::test]
async fn a_call_ends_at_the_time_out_and_its_outcome_is_unknown() {
    let server = Server::start(&[]);
    let bob = pool("bob");
    let patient = RedisStore::open(server.url()).await.unwrap();
    patient.save_key_packages(&save(&bob, 0..1), now()).await.unwrap();
    let hasty = RedisStore::builder(server.url()).timeout(Duration::from_millis(300));
    let store = opened(|| hasty.clone().open()).await;
    // Far longer than both calls take on any machine: the server ends with the test.
    let () = server.command(&["CLIENT", "PAUSE", "600000", "ALL"]).unwrap();
    let failure = failed(async || store.claim_key_package(&take(&bob, 1), None, now()).await).await;
    assert_eq!((failure.effect(), failure.is_transient()), (Effect::Unknown, true));
    // A read changes nothing, whatever became of it.
    let Err(Error::Backend(failure)) = store.count_by_status(&bob, now()).await else {
        panic!("it answers in its pause")
    };
    assert_eq!(failure.effect(), Effect::NotApplied);
}

#[tokio::test]
async fn what_is_not_there_is_not_made_if_nothing_may_be() {
    let server = Server::start(&[]);
    let open = |prefix: &str| RedisStore::builder(server.url()).prefix(prefix).create(false).open();
    assert!(matches!(open("kp:").await, Err(OpenError::Missing)));
    assert_eq!(server.command::<u64>(&["DBSIZE"]).unwrap(), 0);
    RedisStore::open(server.url()).await.unwrap();
    open("kp:").await.unwrap();
    assert!(matches!(open("apart:").await, Err(OpenError::Missing)));
}

#[tokio::test]
async fn an_unsafe_or_foreign_server_is_refused() {
    let server = Server::start(&["--maxmemory-policy", "allkeys-lru"]);
    let refused = RedisStore::open(server.url()).await.unwrap_err();
    assert!(
        matches!(&refused, OpenError::UnsafeConfiguration(why) if why.contains("allkeys-lru")),
        "{refused}"
    );
    let cache = RedisStore::builder(server.url()).allow_eviction().open().await.unwrap();
    assert_eq!(cache.server().eviction.as_deref(), Some("allkeys-lru"));

    let open = |buckets| {
        RedisStore::builder(server.url())
            .allow_eviction()
            .buckets(buckets)
            .open()
    };
    assert!(matches!(open(512).await, Err(OpenError::UnsafeConfiguration(why)) if why.contains("1024")));
    assert!(matches!(open(0).await, Err(OpenError::UnsafeConfiguration(_))));
    let () = server.command(&["SET", "kp:{schema}", "kp-redis 4 1024"]).unwrap();
    assert!(matches!(
        open(1024).await,
        Err(OpenError::NewerSchema { found: 4, known: 3 })
    ));
    let () = server.command(&["SET", "kp:{schema}", "theirs"]).unwrap();
    assert!(matches!(open(1024).await, Err(OpenError::NotADatabase(_))));

    let braces = RedisStore::builder(server.url()).prefix("{a}").open().await;
    assert!(matches!(braces, Err(OpenError::UnsafeConfiguration(_))));
    for url in [
        "nonsense",
        "http://127.0.0.1/",
        "redis-sentinel://127.0.0.1",
        "redis-else://127.0.0.1/",
    ] {
        assert!(
            matches!(RedisStore::open(url).await, Err(OpenError::Unreachable(_))),
            "{url}"
        );
    }
    server.kill();
    assert!(matches!(
        RedisStore::open(server.url()).await,
        Err(OpenError::Unreachable(_))
    ));
}

#[tokio::test]
async fn a_server_without_config_is_taken_and_says_less() {
    let server = Server::start(&["--rename-command", "CONFIG", ""]);
    let store = store(&server).await;
    assert_eq!(store.server().append_fsync, None);
    assert_eq!(store.server().eviction.as_deref(), Some("noeviction"));
    assert!(store.server().version.starts_with("redis 7") || store.server().version.starts_with("redis 8"));
}

#[tokio::test]
async fn a_password_is_used_and_never_printed() {
    let server = Server::start(&[]);
    let () = server
        .command(&["ACL", "SETUSER", "pools", "on", ">open-sesame", "~*", "&*", "+@all"])
        .unwrap();
    let url = format!("redis://pools:open-sesame@127.0.0.1:{}/", server.port());
    let builder = RedisStore::builder(&url);
    assert!(!format!("{builder:?}").contains("sesame"));
    let store = builder.open().await.unwrap();
    assert!(!format!("{store:?}").contains("sesame"));
    let wrong = format!("redis://pools:guess@127.0.0.1:{}/", server.port());
    let refused = RedisStore::open(wrong).await.unwrap_err();
    assert!(matches!(refused, OpenError::Unreachable(_)), "{refused}");
}

#[tokio::test]
async fn hostile_ids_are_bytes_like_others() {
    let server = Server::start(&[]);
    let store = store(&server).await;
    let hostile: [&[u8]; 8] = [
        b"\0",
        b"{}",
        b"}{",
        b"{other}",
        b"a\r\nFLUSHALL\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        &[0xFF; 255],
        b"unreadable",
    ];
    for (number, name) in hostile.iter().enumerate() {
        let bob = pool(name);
        let mut package = package(0);
        let length = name.len().min(64);
        package.info.key_package_ref = KeyPackageRef::try_from(&name[..length]).unwrap();
        package.bytes = KeyPackageBytes::try_from(*name).unwrap();
        assert_eq!(
            store.save_key_package(&bob, package.clone(), now()).await.unwrap(),
            SaveOutcome::Saved
        );
        let mut take = take(&bob, 1);
        take.options.by = Some(Party::try_from(&name[..length]).unwrap());
        let group = GroupId::try_from(*name).unwrap();
        assert_eq!(
            store.claim_key_package(&take, Some(&group), now()).await.unwrap(),
            package
        );
        assert_eq!(
            store.claim_key_package(&take, Some(&group), now()).await.unwrap(),
            package
        );
        let named = vec![package.info.key_package_ref.clone()];
        let withdrawn = store
            .withdraw_key_packages(&bob, &Withdrawal::Refs(named.clone()), now())
            .await
            .unwrap();
        assert_eq!(withdrawn, [(named[0].clone(), WithdrawOutcome::AlreadySpent)]);
        let pools = store.list_pools(None, 100).await.unwrap().items;
        assert_eq!(pools.len(), number + 1);
        assert!(pools.contains(&bob));
    }
}

#[tokio::test]
async fn nothing_is_left_of_a_pool_that_is_gone() {
    let server = Server::start(&[]);
    let store = store(&server).await;
    for (number, name) in ["swept", "deleted"].iter().enumerate() {
        let bob = pool(name);
        store.save_key_packages(&save(&bob, 0..20), now()).await.unwrap();
        store.save_key_package(&bob, last_resort(90), now()).await.unwrap();
        for taken in 0..6 {
            store.claim_key_package(&take(&bob, taken), None, now()).await.unwrap();
        }
        store
            .reserve_key_package(&take(&bob, 7), OnLapse::Retire, now())
            .await
            .unwrap();
        if number == 0 {
            assert_eq!(store.cleanup_expired(now().plus(100_000), 1_000).await.unwrap(), 21);
        } else {
            store.delete_pool(&bob).await.unwrap();
        }
        let left: Vec<Vec<u8>> = server.command(&["KEYS", "*"]).unwrap();
        assert_eq!(left, [b"kp:{schema}"], "{name}");
    }
}

/// A store of an earlier layout is refused as it is, and says how it is moved.
#[tokio::test]
async fn a_store_of_an_earlier_layout_is_refused() {
    let server = Server::start(&[]);
    for earlier in ["kp-redis 1 1024", "kp-redis 2 1024", "kp-redis 2 64"] {
        let () = server.command(&["SET", "kp:{schema}", earlier]).unwrap();
        let refused = RedisStore::open(server.url()).await.unwrap_err();
        assert!(
            matches!(&refused, OpenError::UnsafeConfiguration(why) if why.contains("docs/moving.md")),
            "{refused}"
        );
        let left: String = server.command(&["GET", "kp:{schema}"]).unwrap();
        assert_eq!(left, earlier);
    }
}

/// A lease and its end, and a claim and the end of its window, write beside the record what took the package: the record stays,
/// until it drops the package.
#[tokio::test]
async fn a_package_is_written_once() {
    let server = Server::start(&[]);
    let store = store(&server).await;
    let bob = pool("bob");
    store.save_key_packages(&save(&bob, 0..2), now()).await.unwrap();
    let keys: Vec<String> = server.command(&["KEYS", "kp:*:r:bob"]).unwrap();
    let records = || -> Vec<(Vec<u8>, Vec<u8>)> { server.command(&["HGETALL", &keys[0]]).unwrap() };
    let saved = records();

    let leased = store.reserve_key_package(&take(&bob, 1), OnLapse::Return, now()).await;
    let token = leased.unwrap().lease.unwrap().token;
    store
        .renew_key_package(&token, Ttl::seconds(90).unwrap(), now())
        .await
        .unwrap();
    store.claim_key_package(&take(&bob, 2), None, now()).await.unwrap();
    assert_eq!(records(), saved);
    let taken: u32 = server.command(&["HLEN", &keys[0].replace(":r:", ":t:")]).unwrap();
    assert_eq!(taken, 2);
    store.release_key_package(&token, now()).await.unwrap();
    store.claim_key_package(&take(&bob, 1), None, now()).await.unwrap();
    assert_eq!(records(), saved);

    store.release_expired_reservations(now().plus(60), 1).await.unwrap();
    let lengths = |records: Vec<(Vec<u8>, Vec<u8>)>| records.iter().map(|(_, value)| value.len()).sum::<usize>();
    assert!(lengths(records()) < lengths(saved) - 2 * 295 + 2 * 40);
    let keys: Vec<String> = server.command(&["KEYS", "kp:*:t:bob"]).unwrap();
    assert_eq!(keys, Vec::<String>::new());
}
