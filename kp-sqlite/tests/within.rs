//! Closures of a server in a transaction of the store: with the server's rows or not at all, whatever happens on the way.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

mod closures;

use std::sync::mpsc;

use futures::FutureExt;
use futures::future::join_all;
use kp_core::server::*;
use kp_core::*;
use kp_sqlite::rusqlite::{self, ErrorCode};
use kp_sqlite::{SqliteStore, Within};

use crate::closures::{NOW, Scene, claim, damage_leases, failure_of, package, pool, route, take};

#[tokio::test]
async fn a_claim_and_a_row_are_there_together_or_not_at_all() {
    let scene = Scene::open().await;
    let claimed = scene.store.within(|within| claim(within, 0, 1)).await.unwrap();
    assert_eq!(scene.counted(), (1, 1));
    let undone = scene.store.within(|within| {
        claim(within, 0, 2)?;
        Err::<(), BoxError>("the server has a reason".into())
    });
    assert_eq!(undone.await.unwrap_err().to_string(), "the server has a reason");
    assert_eq!(scene.counted(), (1, 1));
    let next = scene.store.claim_key_package(&take(0, 3), None, NOW).await.unwrap();
    assert_eq!(next, package(1), "the oldest is still the oldest");
    assert_ne!(next, claimed);
    // Neither is its id there.
    let spent = scene.store.claim_key_package(&take(0, 2), None, NOW).await.unwrap();
    assert_eq!(spent, package(2));
}

#[tokio::test]
async fn a_closure_that_panics_is_undone_and_the_store_goes_on() {
    let scene = Scene::open().await;
    let panicked = scene.store.within(|within| -> Result<(), BoxError> {
        claim(within, 0, 1)?;
        panic!("as a test does");
    });
    let failure = failure_of(panicked.await.unwrap_err());
    assert_eq!((failure.effect(), failure.is_transient()), (Effect::NotApplied, false));
    assert_eq!(failure.operation(), "within");
    assert_eq!(scene.counted(), (0, 0));
    scene.store.within(|within| claim(within, 0, 1)).await.unwrap();
    assert_eq!(scene.counted(), (1, 1));
}

/// TX-4: in one closure, all of it one step.
#[tokio::test]
async fn every_call_can_be_made_within_a_closure() {
    let scene = Scene::open().await;
    let seen = scene.path.clone();
    let all = scene.store.within(move |within| {
        let saved = within.save_key_packages(&Save::one(pool(9), package(9_000)), NOW)?;
        assert_eq!(saved, [SaveOutcome::Saved]);
        let takes = [take(9, 1), take(0, 2)];
        let reserved = within.reserve_key_packages(&takes, OnLapse::Return, NOW)?.all()?;
        let tokens: Vec<_> = reserved
            .into_iter()
            .filter_map(|reserved| Some(reserved.lease?.token))
            .collect();
        assert_eq!(within.renew_key_packages(&tokens, takes[0].ttl, NOW)?.all()?.len(), 2);
        within.release_key_packages(&tokens[1..], NOW)?.all()?;
        let spent = within.spend_key_packages(&tokens, &Spend::new(), NOW)?;
        assert!(matches!(
            &spent[..],
            [Ok(_), Err(Error::Rejected(Rejection::NoLiveReservation))]
        ));
        let withdrawn = within.withdraw_key_packages(&pool(0), &Withdrawal::All, NOW)?;
        assert_eq!(withdrawn.len(), 10);
        within.delete_pool(&pool(1))?;
        // Nobody else has seen any of it.
        assert_eq!(Scene::counted_at(&seen), (0, 0));
        Ok::<_, BoxError>(())
    });
    all.await.unwrap();
    assert_eq!(scene.counted().0, 11, "ten withdrawn, one spent");
    let listed = scene.store.list_pools(None, 10).await.unwrap().items;
    assert_eq!(listed, [pool(0), pool(9)]);
}

/// TX-4: nobody waits for a pool, so closures may name pools one after the other, in any order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pools_that_are_named_in_opposite_orders_make_no_circle() {
    let scene = Scene::open().await;
    let other = SqliteStore::open(&scene.path).await.unwrap();
    let both = |store: &SqliteStore, first: u64, number: u64| {
        let store = store.clone();
        async move {
            let claims = store.within(move |within| {
                claim(within, first, number)?;
                claim(within, 1 - first, number)
            });
            claims.await.unwrap();
        }
    };
    let claims = (0..5).flat_map(|number| [both(&scene.store, 0, number), both(&other, 1, 10 + number)]);
    join_all(claims.map(tokio::spawn)).await;
    assert_eq!(scene.counted(), (20, 20));
}

/// TX-2: who wants to tell a refusal commits.
#[tokio::test]
async fn a_refusal_is_an_answer_and_the_closure_goes_on() {
    let scene = Scene::open().await;
    let claims = scene.store.within(|within| {
        let claimed = within.claim_key_packages(&[take(5, 1), take(0, 1)], None, NOW)?;
        route(within, 0, claimed[1].as_ref().map_err(Clone::clone)?)?;
        Ok::<_, BoxError>(claimed)
    });
    let claimed = claims.await.unwrap();
    assert!(matches!(
        &claimed[..],
        [Err(Error::Rejected(Rejection::PoolExhausted)), Ok(_)]
    ));
    assert_eq!(scene.counted(), (1, 1));
    // A list that is too long did nothing, so the closure goes on too.
    let long = scene.store.within(|within| {
        let takes: Vec<_> = (0..2_000).map(|number| take(0, 100 + number)).collect();
        let refused = within.claim_key_packages(&takes, None, NOW).unwrap_err();
        assert!(
            matches!(refused, Error::Rejected(Rejection::TooManyItems)),
            "{refused:?}"
        );
        claim(within, 0, 2)
    });
    long.await.unwrap();
    assert_eq!(scene.counted(), (2, 2));
}

/// TX-1, TX-3: each would change the transaction under the store, or the store's rows.
#[tokio::test]
async fn statements_that_would_break_the_step_are_refused() {
    let scene = Scene::open().await;
    let server = scene.server();
    server
        .execute_batch(
            "CREATE TABLE traps (a);
             CREATE TABLE tickets (id INTEGER PRIMARY KEY AUTOINCREMENT);
             CREATE TRIGGER trap AFTER INSERT ON traps BEGIN DELETE FROM keypackage_pools; END;",
        )
        .unwrap();
    for refused in [
        "COMMIT",
        "END",
        "ROLLBACK",
        "BEGIN",
        "SAVEPOINT mine",
        "RELEASE keypackage_pool_part",
        "ROLLBACK TO keypackage_pool_part",
        "PRAGMA synchronous = OFF",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA wal_checkpoint",
        "PRAGMA writable_schema = ON",
        "PRAGMA data_version = 1",
        "ATTACH ':memory:' AS other",
        "DETACH main",
        "UPDATE keypackage_pool_packages SET state = 0",
        "DELETE FROM KEYPACKAGE_POOLS",
        "INSERT INTO keypackage_pools DEFAULT VALUES",
        "WITH a AS (SELECT 1) DELETE FROM keypackage_pool_leases",
        "DELETE FROM sqlite_sequence",
        "DROP TABLE keypackage_pools",
        "ALTER TABLE welcomes RENAME TO others",
        "CREATE TABLE others (a)",
        "CREATE TEMP TABLE keypackage_pools (a)",
        "CREATE TRIGGER mine AFTER INSERT ON keypackage_pools BEGIN DELETE FROM welcomes; END",
        "CREATE INDEX mine ON keypackage_pools (records)",
        "REINDEX",
        "ANALYZE",
        "INSERT INTO traps VALUES (1)",
        "INSERT INTO welcomes VALUES (x'00', x'00'); COMMIT",
    ] {
        let before = scene.counted();
        let tried = scene.store.within(move |within| {
            claim(within, 0, 1)?;
            within.connection().execute_batch(refused)?;
            Ok::<_, BoxError>(())
        });
        let error = tried.await.expect_err(refused);
        let code = error
            .downcast_ref::<rusqlite::Error>()
            .and_then(rusqlite::Error::sqlite_error_code);
        assert_eq!(
            code,
            Some(ErrorCode::AuthorizationForStatementDenied),
            "{refused}: {error}"
        );
        assert_eq!(scene.counted(), before, "{refused}");
    }
    // Who passes over it has done nothing with it.
    let passed = scene.store.within(|within| {
        within.connection().execute_batch("COMMIT").unwrap_err();
        claim(within, 0, 1)
    });
    passed.await.unwrap();
    assert_eq!(scene.counted(), (1, 1));
    // The store itself may do all of it.
    scene.store.delete_pool(&pool(0)).await.unwrap();
}

#[tokio::test]
async fn a_closure_reads_all_rows_and_searches_text() {
    let scene = Scene::open().await;
    let made = scene
        .server()
        .execute_batch("CREATE VIRTUAL TABLE notes USING fts5(text)");
    // SQLite is built with or without.
    let has_search = made.is_ok();
    let tickets = "CREATE TABLE tickets (id INTEGER PRIMARY KEY AUTOINCREMENT)";
    scene.server().execute_batch(tickets).unwrap();
    let read = scene.store.within(move |within| {
        let rows = within.connection();
        if has_search {
            rows.execute("INSERT INTO notes VALUES ('a phone and a laptop')", [])?;
            let search = "SELECT count(*) FROM notes WHERE notes MATCH 'laptop'";
            assert_eq!(rows.query_row(search, [], |row| row.get::<_, i64>(0))?, 1);
        }
        rows.execute("INSERT INTO tickets DEFAULT VALUES", [])?;
        let mut held = rows.prepare_cached(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3)
             SELECT count(*), max(abs(i)) FROM keypackage_pool_packages, n",
        )?;
        assert_eq!(held.query_row([], |row| row.get::<_, i64>(0))?, 3 * 20);
        Ok::<_, BoxError>(())
    });
    read.await.unwrap();
}

/// Nothing after it is there either, though each statement would now be a transaction of its own.
#[tokio::test]
async fn a_statement_that_rolls_the_transaction_back_leaves_nothing() {
    let scene = Scene::open().await;
    scene
        .server()
        .execute_batch("INSERT INTO welcomes VALUES (x'00', x'00')")
        .unwrap();
    for swallows in [false, true] {
        let rolled_back = scene.store.within(move |within| {
            let earlier = claim(within, 0, 1)?;
            let conflict = within
                .connection()
                .execute("INSERT OR ROLLBACK INTO welcomes VALUES (x'00', x'00')", [])
                .unwrap_err();
            within
                .connection()
                .execute("INSERT INTO welcomes VALUES (x'01', x'01')", [])
                .expect_err("it would be committed");
            if swallows {
                return Ok::<_, BoxError>(earlier);
            }
            within.claim_key_packages(&[take(0, 2)], None, NOW).unwrap_err();
            Err(conflict.into())
        });
        let failure = failure_of(rolled_back.await.unwrap_err());
        assert_eq!((failure.effect(), failure.is_transient()), (Effect::NotApplied, true));
        assert_eq!(scene.counted(), (0, 1), "the row of before");
    }
    let next = scene.store.claim_key_package(&take(0, 1), None, NOW).await.unwrap();
    assert_eq!(next, package(0));
}

/// TX-3: whatever the closure makes of the failure.
#[tokio::test]
async fn a_closure_that_passes_over_a_failed_call_is_undone() {
    let scene = Scene::open().await;
    let reserved = scene.store.reserve_key_package(&take(0, 7), OnLapse::Return, NOW).await;
    let token = reserved.unwrap().lease.unwrap().token;
    damage_leases(&scene);
    let passed = scene.store.within(move |within| {
        claim(within, 1, 1)?;
        within.spend_key_packages(&[token], &Spend::new(), NOW).unwrap_err();
        // Nothing runs any more.
        within.claim_key_packages(&[take(1, 2)], None, NOW).unwrap_err();
        Ok::<_, BoxError>(())
    });
    let failure = failure_of(passed.await.unwrap_err());
    assert_eq!((failure.effect(), failure.is_transient()), (Effect::NotApplied, false));
    let why = std::error::Error::source(&failure).unwrap().to_string();
    assert!(why.contains("damaged"), "{why}");
    assert_eq!(scene.counted().1, 0);
    let next = scene.store.claim_key_package(&take(1, 3), None, NOW).await.unwrap();
    assert_eq!(next, package(100), "the claim before is undone");
}

/// A future has one await. Before it, nothing runs; behind it, the closure is there as a whole.
#[tokio::test]
async fn a_future_that_is_dropped_leaves_a_whole_or_nothing() {
    let scene = Scene::open().await;
    drop(scene.store.within(|within| claim(within, 0, 1)));
    // Whoever comes later is answered later.
    scene.store.within(|_| Ok::<_, Error>(())).await.unwrap();
    assert_eq!(scene.counted(), (0, 0));
    let (go, waits) = mpsc::channel();
    let queued = scene.store.within(move |within| {
        waits.recv().map_err(|_| Error::from(Rejection::PoolExhausted))?;
        claim(within, 0, 1)
    });
    assert!(queued.now_or_never().is_none());
    go.send(()).unwrap();
    scene.store.within(|_| Ok::<_, Error>(())).await.unwrap();
    assert_eq!(scene.counted(), (1, 1));
}

/// TX-4: it would wait for itself.
#[tokio::test]
async fn a_call_on_a_store_within_a_closure_is_refused() {
    let scene = Scene::open().await;
    let (store, other) = (scene.store.clone(), SqliteStore::open(&scene.path).await.unwrap());
    let tried = scene.store.within(move |within| {
        let refused = [
            store
                .claim_key_package(&take(0, 9), None, NOW)
                .now_or_never()
                .map(|done| done.map(drop)),
            other
                .claim_key_package(&take(0, 9), None, NOW)
                .now_or_never()
                .map(|done| done.map(drop)),
            store.list_pools(None, 1).now_or_never().map(|done| done.map(drop)),
            store.within(|within| within.delete_pool(&pool(0))).now_or_never(),
            store.close().now_or_never().map(|done| done.map_err(Error::from)),
        ];
        for refused in refused {
            let Some(Err(Error::Backend(failure))) = refused else {
                panic!("it waits: {refused:?}")
            };
            assert_eq!((failure.effect(), failure.is_transient()), (Effect::NotApplied, false));
        }
        claim(within, 0, 1)
    });
    tried.await.unwrap();
    assert_eq!(scene.counted(), (1, 1));
}

/// The compiler sees that a closure may be a function.
#[tokio::test]
async fn a_function_is_a_closure() {
    fn count(within: &mut Within<'_, '_>) -> Result<i64, BoxError> {
        let count = "SELECT count(*) FROM welcomes";
        Ok(within.connection().query_row(count, [], |row| row.get(0))?)
    }
    let scene = Scene::open().await;
    assert_eq!(scene.store.within(count).await.unwrap(), 0);
    assert_eq!(
        format!(
            "{:?}",
            scene
                .store
                .within(|within| Ok::<_, Error>(format!("{within:?}")))
                .await
                .unwrap()
        ),
        "\"Within { .. }\""
    );
}
