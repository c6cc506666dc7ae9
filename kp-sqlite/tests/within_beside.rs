//! Closures of the server, and what shares their transaction or the writer's thread with them: one that fails, or leaves something
//! behind, harms no other call.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

mod closures;

use std::sync::mpsc;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use kp_core::server::*;
use kp_core::*;
use kp_sqlite::{SqliteStore, Within};

use crate::closures::{NOW, Scene, claim, damage_leases, failure_of, pool, take};

/// Panics when nobody takes it.
struct Unwanted;

impl Drop for Unwanted {
    fn drop(&mut self) {
        panic!("as a test does");
    }
}

#[tokio::test]
async fn an_answer_that_panics_when_it_is_dropped_leaves_the_store_alive() {
    let scene = Scene::open().await;
    // Nobody waits any more when the answer is there, so that the writer's thread drops it.
    let (go, first) = holding(&scene.store);
    let unwanted = scene.store.within(|_| Ok::<_, Error>(Unwanted));
    assert!(unwanted.now_or_never().is_none(), "it was queued, and is dropped");
    go.send(()).unwrap();
    first.await.unwrap();
    let unwanted = Unwanted;
    let owned = scene.store.within(move |_| {
        let _owned = &unwanted;
        Ok::<_, Error>(())
    });
    failure_of(owned.await.unwrap_err().into());
    scene.store.within(|within| claim(within, 0, 1)).await.unwrap();
}

/// Runs a closure that keeps the writer until it is told to go on.
fn holding(store: &SqliteStore) -> (mpsc::Sender<()>, BoxFuture<'_, Result<()>>) {
    let (go, waits) = mpsc::channel();
    let held = store.within(move |_| waits.recv().map_err(|_| Error::from(Rejection::PoolExhausted)));
    let mut held = held.boxed();
    assert!(held.as_mut().now_or_never().is_none());
    (go, held)
}

/// Queues these behind a closure that waits until all are there, so that they share its transaction. Returns its answer, and
/// theirs.
async fn together<T>(store: &SqliteStore, mut calls: Vec<BoxFuture<'_, T>>) -> (Result<()>, Vec<T>) {
    let (go, first) = holding(store);
    for call in &mut calls {
        assert!(call.now_or_never().is_none(), "it waits for the closure");
    }
    go.send(()).unwrap();
    (first.await, join_all(calls).await)
}

/// ERR-3: a closure or a call that fails leaves the others of the same transaction alone, whoever comes first.
#[tokio::test]
async fn what_fails_in_a_shared_transaction_fails_alone() {
    let scene = Scene::open().await;
    let reserved = scene.store.reserve_key_package(&take(0, 7), OnLapse::Return, NOW).await;
    let token = &reserved.unwrap().lease.unwrap().token;
    damage_leases(&scene);
    let store = &scene.store;
    let plain = |number| async move { store.claim_key_package(&take(1, number), None, NOW).await.is_ok() }.boxed();
    let closure = |number| async move { store.within(move |within| claim(within, 1, number)).await.is_ok() }.boxed();
    let damaged = || async { store.spend_key_package(token, &Spend::new(), NOW).await.is_ok() }.boxed();
    let refused = |number| {
        let refused = store.within(move |within| {
            claim(within, 1, number)?;
            Err::<(), BoxError>("undone".into())
        });
        async { refused.await.is_ok() }.boxed()
    };
    let panics = |number| {
        let panics = store.within(move |within| -> Result<(), BoxError> {
            claim(within, 1, number)?;
            panic!("as a test does");
        });
        async { panics.await.is_ok() }.boxed()
    };
    let calls = vec![
        plain(1),
        closure(2),
        damaged(),
        refused(3),
        plain(4),
        damaged(),
        panics(5),
        closure(6),
        plain(7),
    ];
    let (first, fine) = together(store, calls).await;
    first.unwrap();
    assert_eq!(fine, [true, true, false, false, true, false, false, true, true]);
    assert_eq!(scene.counted().1, 2);
    let left = store.count_by_status(&pool(1), NOW).await.unwrap().of(Ciphersuite(1));
    assert_eq!((left.spent, left.available), (5, 5));
}

/// A transaction that SQLite rolls back takes its closures with it, and no other call.
#[tokio::test]
async fn of_a_lost_transaction_the_calls_run_again_and_the_closures_say_so() {
    let scene = Scene::open().await;
    scene
        .server()
        .execute_batch("INSERT INTO welcomes VALUES (x'00', x'00')")
        .unwrap();
    let store = &scene.store;
    let plain = |number| async move { store.claim_key_package(&take(1, number), None, NOW).await.map(drop) }.boxed();
    let breaks = store.within(|within| {
        within
            .connection()
            .execute("INSERT OR ROLLBACK INTO welcomes VALUES (x'00', x'00')", [])
            .map_err(|_| Rejection::PoolExhausted)?;
        Ok::<_, Error>(())
    });
    let before = async { store.within(|within| claim(within, 1, 2)).await.map(drop) };
    let behind = async { store.within(|within| claim(within, 1, 4)).await.map(drop) };
    let calls = vec![
        plain(1),
        before
            .map(|done| done.map_err(|error| failure_of(error).into()))
            .boxed(),
        breaks.boxed(),
        plain(3),
        behind
            .map(|done| done.map_err(|error| failure_of(error).into()))
            .boxed(),
    ];
    // The closure that holds the transaction open is one of the lost.
    let (first, answers) = together(store, calls).await;
    for lost in [&first, &answers[1], &answers[2]] {
        let Err(Error::Backend(failure)) = lost else {
            panic!("it is lost: {lost:?}")
        };
        assert_eq!((failure.effect(), failure.is_transient()), (Effect::NotApplied, true));
    }
    for fine in [&answers[0], &answers[3], &answers[4]] {
        fine.as_ref().unwrap();
    }
    let left = store.count_by_status(&pool(1), NOW).await.unwrap().of(Ciphersuite(1));
    assert_eq!((left.spent, left.available), (3, 7));
}

/// SQLite looks at a deferred foreign key when the transaction commits: that fails the closures of it, and no other call.
#[tokio::test]
async fn a_deferred_foreign_key_fails_no_other_call() {
    let scene = Scene::open().await;
    let server = scene.server();
    // SQLite is built to look at foreign keys or not.
    let looks: bool = server
        .pragma_query_value(None, "foreign_keys", |row| row.get(0))
        .unwrap();
    let tables = "CREATE TABLE clients (id INTEGER PRIMARY KEY);
         CREATE TABLE phones (client INTEGER REFERENCES clients DEFERRABLE INITIALLY DEFERRED)";
    server.execute_batch(tables).unwrap();
    let orphan = |within: &mut Within<'_, '_>| -> Result<()> {
        let orphan = "INSERT INTO phones VALUES (1)";
        within.connection().execute(orphan, []).unwrap();
        Ok(())
    };
    let store = &scene.store;
    let alone = store.within(orphan).await;
    let plain = |number| async move { store.claim_key_package(&take(1, number), None, NOW).await.map(drop) }.boxed();
    let calls = vec![plain(1), store.within(orphan).boxed(), plain(2)];
    let (first, answers) = together(store, calls).await;
    answers[0].as_ref().unwrap();
    answers[2].as_ref().unwrap();
    let left = store.count_by_status(&pool(1), NOW).await.unwrap().of(Ciphersuite(1));
    assert_eq!((left.spent, left.available), (2, 8));
    if looks {
        let failure = failure_of(alone.unwrap_err().into());
        assert_eq!((failure.effect(), failure.is_transient()), (Effect::NotApplied, false));
        for lost in [&first, &answers[1]] {
            let failure = failure_of(lost.clone().unwrap_err().into());
            assert_eq!((failure.effect(), failure.is_transient()), (Effect::NotApplied, true));
        }
        let kept: i64 = server
            .query_row("SELECT count(*) FROM phones", [], |row| row.get(0))
            .unwrap();
        assert_eq!(kept, 0);
    }
}

/// A panic whose payload panics in turn, and an answer that nobody may have.
#[tokio::test]
async fn what_panics_when_a_closure_is_undone_leaves_the_store_alive() {
    let scene = Scene::open().await;
    let panicked = scene
        .store
        .within(|_| -> Result<()> { std::panic::panic_any(Unwanted) });
    failure_of(panicked.await.unwrap_err().into());
    let reserved = scene.store.reserve_key_package(&take(0, 7), OnLapse::Return, NOW).await;
    let token = reserved.unwrap().lease.unwrap().token;
    damage_leases(&scene);
    let passed = scene.store.within(move |within| {
        within.spend_key_packages(&[token], &Spend::new(), NOW).unwrap_err();
        Ok::<_, Error>(Unwanted)
    });
    let Err(failure) = passed.await else {
        panic!("it is undone")
    };
    failure_of(failure.into());
    let welcome = "INSERT INTO welcomes VALUES (x'00', x'00')";
    scene.server().execute_batch(welcome).unwrap();
    let rolled_back = scene.store.within(|within| {
        let conflict = "INSERT OR ROLLBACK INTO welcomes VALUES (x'00', x'00')";
        within.connection().execute(conflict, []).unwrap_err();
        Ok::<_, Error>(Unwanted)
    });
    let Err(failure) = rolled_back.await else {
        panic!("it is undone")
    };
    failure_of(failure.into());
    scene.store.within(|within| claim(within, 1, 1)).await.unwrap();
}

/// Calls its store when it is dropped, and tells whether the call would wait.
struct Caller(SqliteStore, mpsc::Sender<bool>);

impl Drop for Caller {
    fn drop(&mut self) {
        let called = self.0.list_pools(None, 1).now_or_never();
        self.1.send(called.is_none()).unwrap();
    }
}

/// TX-4: the writer's thread would wait for itself.
#[tokio::test]
async fn what_a_closure_leaves_behind_does_not_wait_for_the_store() {
    let scene = Scene::open().await;
    let store = &scene.store;
    let (waits, seen) = mpsc::channel();
    let caller = || Caller(store.clone(), waits.clone());
    // Nobody takes the answer.
    let answer = caller();
    let dropped = store.within(move |_| Ok::<_, Error>(answer));
    assert!(dropped.now_or_never().is_none());
    assert!(!seen.recv().unwrap());
    // What a closure owns goes with it, and so do the answer and the reason of one that is undone.
    let owned = caller();
    let owns = store.within(move |_| {
        let _owned = &owned;
        Ok::<_, Error>(())
    });
    owns.await.unwrap();
    assert!(!seen.recv().unwrap());
    let payload = caller();
    let panics = store.within(move |_| -> Result<()> { std::panic::panic_any(payload) });
    panics.await.unwrap_err();
    assert!(!seen.recv().unwrap());
}
