//! What becomes of calls when SQLite fails: the faults are injected into the writer's connection.

#![allow(
    clippy::let_unit_value,
    reason = "rusqlite 0.37 sets a hook without a result, 0.41 with one"
)]
#![allow(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;
use kp_core::server::*;
use kp_core::*;
use rusqlite::Connection;

use crate::file::calls::{self, Message, Session};
use crate::file::connection::Opened;
use crate::file::error::Failure;
use crate::file::place::Place;
use crate::file::writer;
use crate::pools::store::SqliteStore;
use crate::tests::packages::test_package;

fn at(seconds: i64) -> Timestamp {
    Timestamp::try_from(1_700_000_000 + seconds).unwrap()
}

fn package(name: &str, size: usize) -> KeyPackage {
    let lifetime = Lifetime::new(at(0), at(10_000)).unwrap();
    test_package(name.as_bytes(), lifetime, &vec![7; size])
}

fn pool() -> PoolId {
    PoolId::try_from("bob/phone").unwrap()
}

fn take(number: u8) -> TakeRequest {
    TakeRequest::new(
        pool(),
        ReservationId::from_bytes([number; 16]),
        Ttl::try_from(60).unwrap(),
    )
}

/// A connection whose files nobody watches.
fn without_a_file(connection: Connection) -> Opened {
    Opened {
        connection,
        place: std::sync::Arc::new(Place::default()),
        marker: None,
    }
}

fn failure<T>(answer: Result<T>) -> BackendError {
    match answer.err().expect("a failure") {
        Error::Backend(failure) => failure,
        other => panic!("not a failure: {other}"),
    }
}

/// ERR-5: a shared commit that fails fails every call in it, refusals too, and none of them had an answer before.
#[tokio::test]
async fn a_failed_commit_fails_every_call_in_it() {
    static ANSWERED: AtomicUsize = AtomicUsize::new(0);
    static ANSWERED_AT_COMMIT: AtomicUsize = AtomicUsize::new(usize::MAX);
    static COMMITS: AtomicUsize = AtomicUsize::new(0);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pools.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let packages = (0..4).map(|number| package(&format!("{number}"), 300));
    store
        .save_key_packages(&Save::new(pool(), packages).unwrap(), at(0))
        .await
        .unwrap();

    let failing = SqliteStore::builder(&path)
        .open_with(|connection| {
            let _ = connection.commit_hook(Some(|| {
                COMMITS.fetch_add(1, Ordering::SeqCst);
                ANSWERED_AT_COMMIT.store(ANSWERED.load(Ordering::SeqCst), Ordering::SeqCst);
                true
            }));
        })
        .await
        .unwrap();
    // One call with six items: all are in the queue before its first answer is waited for.
    let takes: Vec<_> = (0..6).map(take).collect();
    let answers = failing.reserve_key_packages(&takes, OnLapse::Return, at(1)).await;
    ANSWERED.fetch_add(answers.len(), Ordering::SeqCst);
    for answer in answers {
        let failure = failure(answer);
        assert_eq!((failure.effect(), failure.is_transient()), (Effect::Unknown, false));
        assert_eq!(
            (failure.backend(), failure.operation()),
            ("sqlite", "reserve_key_packages")
        );
    }
    assert_eq!(ANSWERED_AT_COMMIT.load(Ordering::SeqCst), 0);
    assert!(COMMITS.load(Ordering::SeqCst) > 0);
    // It was rolled back, and the same requests find that out.
    assert_eq!(
        store
            .count_by_status(&pool(), at(1))
            .await
            .unwrap()
            .of(Ciphersuite(1))
            .available,
        4
    );
    let again = store.reserve_key_packages(&takes, OnLapse::Return, at(1)).await;
    assert_eq!(again.iter().filter(|answer| answer.is_ok()).count(), 4);
}

/// ERR-5, without a thread in between: the batch is one commit, and the answers are empty while it runs.
#[test]
fn no_answer_leaves_before_the_commit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pools.db");
    #[allow(
        unused_mut,
        reason = "rusqlite 0.37 hooks a shared connection, 0.41 an exclusive one"
    )]
    let mut connection = crate::file::connection::Connector {
        path,
        survives: crate::file::connection::Survives::PowerCut,
        timeout: std::time::Duration::ZERO,
        check: false,
        create: true,
        tables: &crate::file::migrations::POOLS,
    }
    .writer()
    .unwrap()
    .connection;
    let commits = std::sync::Arc::new(AtomicUsize::new(0));
    let seen = std::sync::Arc::clone(&commits);
    let _ = connection.commit_hook(Some(move || {
        seen.fetch_add(1, Ordering::SeqCst);
        true
    }));
    let (queue, messages) = calls::Queue::<()>::new();
    let counted = std::sync::Arc::clone(&commits);
    let replies: Vec<_> = (0..10)
        .map(|_| {
            let commits = std::sync::Arc::clone(&counted);
            queue.submit("test", move |session| {
                session
                    .statements
                    .connection()
                    .execute_batch("CREATE TABLE IF NOT EXISTS written (a)")?;
                Ok(commits.load(Ordering::SeqCst))
            })
        })
        .collect();
    drop(queue);
    writer::write(without_a_file(connection), messages, std::time::Duration::ZERO);
    assert_eq!(commits.load(Ordering::SeqCst), 1, "ten calls, one commit");
    for reply in replies {
        let failure = futures_block_on(reply.wait()).unwrap_err();
        assert_eq!(failure.effect(), Effect::Unknown);
    }
}

fn write(session: &mut Session<'_, ()>) -> std::result::Result<usize, Failure> {
    Ok(session
        .statements
        .connection()
        .execute("INSERT INTO written VALUES (1)", [])?)
}

/// Whoever comes while a transaction is under way is in it.
#[test]
fn calls_that_come_meanwhile_share_the_commit() {
    #[allow(
        unused_mut,
        reason = "rusqlite 0.37 hooks a shared connection, 0.41 an exclusive one"
    )]
    let mut connection = Connection::open_in_memory().unwrap();
    connection.execute_batch("CREATE TABLE written (a)").unwrap();
    let commits = std::sync::Arc::new(AtomicUsize::new(0));
    let seen = std::sync::Arc::clone(&commits);
    let _ = connection.commit_hook(Some(move || {
        seen.fetch_add(1, Ordering::SeqCst);
        false
    }));
    let (queue, messages) = calls::Queue::<()>::new();
    let (comes, late) = std::sync::mpsc::channel();
    let early = queue.submit("test", {
        let queue = queue.clone();
        move |session| {
            comes.send(queue.submit("test", write)).unwrap();
            write(session)
        }
    });
    drop(queue);
    writer::write(without_a_file(connection), messages, std::time::Duration::ZERO);
    assert_eq!(futures_block_on(early.wait()).unwrap(), 1);
    assert_eq!(futures_block_on(late.recv().unwrap().wait()).unwrap(), 1);
    assert_eq!(commits.load(Ordering::SeqCst), 1);
}

fn futures_block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

/// A bad call fails alone: its neighbours in the batch are run again and answered, also the only one.
#[test]
fn a_failed_call_fails_alone() {
    for calls in [2, 10] {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE written (a)").unwrap();
        let (queue, messages) = calls::Queue::<()>::new();
        let bad = calls / 2;
        let replies: Vec<_> = (0..calls)
            .map(|number| {
                queue.submit("test", move |session| {
                    let connection = session.statements.connection();
                    connection.execute("INSERT INTO written VALUES (?1)", [number])?;
                    if number == bad {
                        connection.execute("INSERT INTO nowhere VALUES (1)", [])?;
                    }
                    Ok(connection.query_row("SELECT count(*) FROM written", [], |row| row.get::<_, i64>(0))?)
                })
            })
            .collect();
        drop(queue);
        writer::write(without_a_file(connection), messages, std::time::Duration::ZERO);
        let answers: Vec<_> = replies
            .into_iter()
            .map(|reply| futures_block_on(reply.wait()))
            .collect();
        let counts: Vec<_> = answers.iter().flatten().copied().collect();
        let in_order: Vec<_> = (1..calls).collect();
        assert_eq!(counts, in_order, "each once, in order");
        let failed = answers.into_iter().find_map(Result::err).unwrap();
        assert_eq!(failed.effect(), Effect::NotApplied);
    }
}

/// A full disk: not applied, nothing stored, and the rest is served.
#[tokio::test]
async fn a_full_disk_refuses_what_does_not_fit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pools.db");
    let store = SqliteStore::builder(&path)
        .open_with(|connection| {
            let pages: i64 = connection
                .query_row("PRAGMA max_page_count = 40", [], |row| row.get(0))
                .unwrap();
            assert_eq!(pages, 40);
        })
        .await
        .unwrap();
    let small = Save::one(pool(), package("small", 300));
    assert_eq!(
        store.save_key_packages(&small, at(0)).await.unwrap(),
        [SaveOutcome::Saved]
    );
    let large = |number| Save::one(pool(), package(&format!("large {number}"), 60_000));
    let saves: Vec<_> = (0..8).map(large).collect();
    let answers = join_all(saves.iter().map(|save| store.save_key_packages(save, at(0)))).await;
    let mut stored = 1;
    for (save, answer) in saves.iter().zip(answers) {
        let key_package_ref = &save.packages()[0].package.info.key_package_ref;
        let found = store.get_key_package(&pool(), key_package_ref, at(0)).await.unwrap();
        match answer {
            Ok(outcomes) => {
                assert_eq!(outcomes, [SaveOutcome::Saved]);
                assert!(found.is_some());
                stored += 1;
            }
            Err(error) => {
                assert_eq!(failure(Err::<(), _>(error)).effect(), Effect::NotApplied);
                assert_eq!(found, None);
            }
        }
    }
    assert!(stored > 1 && stored < 9, "some fitted, and some did not: {stored}");
    assert_eq!(
        store
            .count_by_status(&pool(), at(0))
            .await
            .unwrap()
            .of(Ciphersuite(1))
            .available,
        stored
    );
    let oldest = store.claim_key_package(&take(1), None, at(0)).await.unwrap();
    assert_eq!(oldest, package("small", 300));
    store.close().await.unwrap();
}

/// A thread that dies does not leave its callers waiting.
#[tokio::test]
async fn a_lost_reply_is_a_failure() {
    let (queue, messages) = calls::Queue::<()>::new();
    let reply = queue.submit("test", |_| Ok(()));
    assert!(matches!(messages.recv().unwrap(), Message::Call(_)));
    let failure = reply.wait().await.unwrap_err();
    assert_eq!(failure.effect(), Effect::Unknown);
    drop(messages);
    let failure = queue.submit("test", |_| Ok(())).wait().await.unwrap_err();
    assert_eq!(failure.effect(), Effect::NotApplied);
}

/// Counts the attempts of a connection that meets a lock. An attempt takes 20 ms at least, as it may on a busy machine.
static ATTEMPTS: AtomicUsize = AtomicUsize::new(0);

fn slow_attempt(_: i32) -> bool {
    ATTEMPTS.fetch_add(1, Ordering::SeqCst);
    std::thread::sleep(std::time::Duration::from_millis(20));
    false
}

/// RES-8: a time-out is a time. Not the pauses that were asked for are added up, and the time in the queue counts.
#[test]
fn calls_behind_a_lock_fail_at_the_timeout_however_slow_the_attempts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pools.db");
    let holder = Connection::open(&path).unwrap();
    holder
        .execute_batch("CREATE TABLE written (a); BEGIN IMMEDIATE")
        .unwrap();
    let connection = Connection::open(&path).unwrap();
    connection.busy_handler(Some(slow_attempt)).unwrap();
    let (queue, messages) = calls::Queue::<()>::new();
    // More than three batches, that all wait since now.
    let replies: Vec<_> = (0..800).map(|_| queue.submit("test", write)).collect();
    drop(queue);
    writer::write(
        without_a_file(connection),
        messages,
        std::time::Duration::from_millis(200),
    );
    for reply in replies {
        let failure = futures_block_on(reply.wait()).unwrap_err();
        assert_eq!(
            (failure.effect(), failure.is_transient()),
            (Effect::NotApplied, true),
            "{failure}"
        );
    }
    let attempts = ATTEMPTS.load(Ordering::SeqCst);
    println!("{attempts} attempts");
    // 200 ms hold ten attempts, and each batch makes one at least. With each batch's time from its own beginning, there
    // would be forty; with the pauses added up, some 800.
    assert!(attempts <= 12 + 4, "{attempts} attempts");
    holder.execute_batch("ROLLBACK").unwrap();
}
