//! A pooler before the server: it is noticed, nothing is left in its sessions, and nothing that others left there counts.

mod scene;

use std::time::Duration;

use kp_core::server::{KeyPackageStore, KeyPackageStoreExt};
use kp_core::{Effect, Error, OpenError};
use kp_postgres::PostgresStore;
use kp_test_support::pgbouncer::{PgBouncer, PoolMode};
use kp_test_support::postgres::Postgres;
use tokio_postgres::{Client, NoTls};

use crate::scene::{NOW, connect, fill, pool, take};

/// Connects through the pooler, as another of its clients.
async fn another(pooler: &PgBouncer) -> Client {
    let connected = tokio_postgres::connect(&pooler.url(), NoTls).await;
    let (client, connection) = connected.expect("the pooler is there");
    tokio::spawn(connection);
    client
}

#[tokio::test]
async fn a_pooler_is_noticed_in_either_mode() {
    let server = Postgres::start(&[]);
    let direct = PostgresStore::connect(server.url()).await.expect("it connects");
    assert!(!direct.server().is_pooled);
    for mode in [PoolMode::Session, PoolMode::Transaction] {
        let pooler = PgBouncer::start(&server, mode, 8);
        let store = PostgresStore::connect(pooler.url()).await.expect("it connects");
        assert!(store.server().is_pooled, "{mode:?}");
    }
}

/// What a transaction of the store finds set, written down by a trigger.
const WITNESS: &str = "
    CREATE TABLE seen (setting text);
    CREATE FUNCTION witness() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO seen SELECT name || '=' || current_setting(name) FROM unnest('{synchronous_commit,
            enable_seqscan, enable_hashjoin, plan_cache_mode, transaction_isolation, lock_timeout}'::text[]) AS name;
        RETURN NULL;
    END $$;
    CREATE TRIGGER witness AFTER INSERT OR UPDATE ON keypackage_pool_leases EXECUTE FUNCTION witness()";

#[tokio::test]
async fn what_a_session_was_left_with_does_not_count_and_nothing_is_left_in_it() {
    let server = Postgres::start(&[]);
    // One session for all.
    let pooler = PgBouncer::start(&server, PoolMode::Transaction, 1);
    let store = PostgresStore::connect(pooler.url()).await.expect("it connects");
    fill(&store, 1, 10).await;
    connect(&server)
        .await
        .batch_execute(WITNESS)
        .await
        .expect("it is set up");
    let other = another(&pooler).await;
    let left = "SET synchronous_commit = off; SET default_transaction_isolation = 'serializable';
        SET enable_seqscan = on; SET lock_timeout = '77s'; SET default_transaction_read_only = on";
    other.batch_execute(left).await.expect("the settings are right");
    let claimed = store.claim_key_packages(&[take(0, 1)], None, NOW).await;
    claimed.only().expect("a package is free");
    store.count_by_status(&pool(0), NOW).await.expect("reads go on");
    let seen = connect(&server)
        .await
        .query("SELECT setting FROM seen ORDER BY setting", &[])
        .await;
    let seen: Vec<String> = seen.expect("it answers").iter().map(|row| row.get(0)).collect();
    for needed in [
        "enable_hashjoin=off",
        "enable_seqscan=off",
        "plan_cache_mode=force_generic_plan",
        "synchronous_commit=on",
        "transaction_isolation=read committed",
    ] {
        assert!(seen.iter().any(|seen| seen == needed), "{needed} is not in {seen:?}");
    }
    assert!(!seen.contains(&"lock_timeout=77s".to_owned()), "{seen:?}");
    for (setting, value) in [
        ("synchronous_commit", "off"),
        ("enable_seqscan", "on"),
        ("lock_timeout", "77s"),
    ] {
        let found = other
            .simple_query(&format!("SHOW {setting}"))
            .await
            .expect("it answers");
        let found = found.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        assert_eq!(found.as_deref(), Some(value), "{setting} is as it was left");
    }
    // Who connects now is told of what was left: whether the others are so, nobody knows.
    let OpenError::UnsafeConfiguration(why) = PostgresStore::connect(pooler.url()).await.expect_err("it is refused")
    else {
        panic!("another kind of refusal")
    };
    assert!(why.contains("read-only") || why.contains("synchronous_commit"), "{why}");
}

/// Two processes would have statements of the same name, and of another text.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_stores_share_few_sessions() {
    let server = Postgres::start(&[]);
    let pooler = PgBouncer::start(&server, PoolMode::Transaction, 2);
    let store = PostgresStore::connect(pooler.url()).await.expect("it connects");
    fill(&store, 8, 100).await;
    let calls = (0..8).map(|n| {
        let url = pooler.url();
        tokio::spawn(async move {
            let store = PostgresStore::connect(url).await.expect("it connects");
            for number in 0..50 {
                let take = take((n + number) % 8, n * 1_000 + number);
                let claimed = store.claim_key_package(&take, None, NOW);
                let (claimed, listed) = tokio::join!(claimed, store.list_pools(None, 100));
                claimed.expect("a package is free");
                assert_eq!(listed.expect("it answers").items.len(), 8);
            }
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.expect("no call fails");
    }
    let mut spent = 0;
    for n in 0..8 {
        let counts = store.count_by_status(&pool(n), NOW).await.expect("it answers");
        spent += counts.ciphersuites.values().map(|counts| counts.spent).sum::<u32>();
    }
    assert_eq!(spent, 400, "each claim took one");
    let named = "SELECT count(*) FROM pg_prepared_statements WHERE name <> ''";
    let prepared = another(&pooler)
        .await
        .query_typed_one(named, &[])
        .await
        .expect("it answers");
    assert_eq!(
        prepared.get::<_, i64>(0),
        0,
        "nothing is prepared in a session of others"
    );
}

#[tokio::test]
async fn a_pooler_that_comes_back_is_found_again() {
    let server = Postgres::start(&[]);
    let pooler = PgBouncer::start(&server, PoolMode::Transaction, 2);
    let store = PostgresStore::connect(pooler.url()).await.expect("it connects");
    fill(&store, 1, 10).await;
    pooler.stop();
    pooler.restart();
    let claimed = store.claim_key_packages(&[take(0, 1)], None, NOW).await;
    claimed.only().expect("a package is free");
    // And a server behind it.
    server.kill();
    server.restart();
    let claimed = store.claim_key_packages(&[take(0, 2)], None, NOW).await;
    claimed.only().expect("a package is free");
}

/// The pooler's clients stay connected, so nothing is connected anew, and nothing checked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_turns_to_a_standby_answers_nothing() {
    let server = Postgres::start(&[]);
    let standby = server.standby();
    let pooler = PgBouncer::start(&server, PoolMode::Transaction, 2);
    let builder = PostgresStore::builder(pooler.url()).timeout(Duration::from_secs(1));
    let store = builder.connect().await.expect("it connects");
    fill(&store, 1, 10).await;
    pooler.turn_to(&standby);
    let other = another(&pooler).await;
    let standby_answers = "SELECT pg_is_in_recovery()";
    loop {
        let answer = other.query_typed_one(standby_answers, &[]).await;
        if answer.expect("it answers").get(0) {
            break;
        }
    }
    let claimed = store.claim_key_package(&take(0, 1), None, NOW).await.map(drop);
    let counted = store.count_by_status(&pool(0), NOW).await.map(drop);
    for answer in [claimed, counted] {
        let Err(Error::Backend(failure)) = answer else {
            panic!("a standby may be behind, and takes no changes")
        };
        assert_eq!(
            (failure.effect(), failure.is_transient()),
            (Effect::NotApplied, true),
            "{failure}"
        );
    }
    pooler.turn_to(&server);
    let claimed = loop {
        match store.claim_key_package(&take(0, 1), None, NOW).await {
            Err(Error::Backend(failure)) if failure.effect() == Effect::NotApplied => {}
            claimed => break claimed,
        }
    };
    claimed.expect("a package is free");
}
