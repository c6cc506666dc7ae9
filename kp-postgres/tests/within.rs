//! Calls in a transaction of the server's own: with its rows or not at all, whatever happens on the way.

mod scene;

use std::process::Command;

use kp_core::server::{KeyPackageStore, OnLapse, Save, Spend, Withdrawal};
use kp_core::{Effect, Error, Rejection};
use kp_postgres::PostgresStore;
use kp_test_support::postgres::Postgres;
use tokio_postgres::{Client, IsolationLevel};

use crate::scene::{NOW, UNFIT, connect, dropped_after, fill, package, pool, take};

const WELCOMES: &str = "CREATE TABLE welcomes (ref bytea PRIMARY KEY, pool bytea NOT NULL)";
const WRITE: &str = "INSERT INTO welcomes (ref, pool) VALUES ($1, $2)";

struct Scene {
    server: Postgres,
    store: PostgresStore,
    client: Client,
}

impl Scene {
    /// Starts a server with two pools of ten packages, and a table of the server's own.
    async fn start() -> Self {
        let server = Postgres::start(&[]);
        let store = PostgresStore::connect(server.url()).await.expect("it connects");
        fill(&store, 2, 10).await;
        let client = connect(&server).await;
        client.batch_execute(WELCOMES).await.expect("the table is made");
        Self { server, store, client }
    }

    async fn counted(&self) -> (u32, i64) {
        counted(&self.server, &self.store).await
    }
}

/// Returns how many packages of the first pool are spent, and how many rows the server has.
async fn counted(server: &Postgres, store: &PostgresStore) -> (u32, i64) {
    let counts = store.count_by_status(&pool(0), NOW).await.expect("it answers");
    let spent = counts.ciphersuites.values().map(|counts| counts.spent).sum();
    let rows = connect(server)
        .await
        .query_one("SELECT count(*) FROM welcomes", &[])
        .await;
    (spent, rows.expect("it answers").get(0))
}

/// Claims a package, and writes for which pool its Welcome is, in one transaction.
async fn claim(store: &PostgresStore, client: &mut Client, number: u64, step: impl Fn(u32)) {
    let transaction = client.transaction().await.expect("it begins");
    step(0);
    let claim = store
        .within(transaction)
        .claim_key_packages(&[take(0, number)], None, NOW)
        .await;
    let (transaction, claimed) = claim.expect("the transaction is as it must be");
    step(1);
    let claimed = claimed.only().expect("a package is free").info.key_package_ref;
    let pool = pool(0);
    let written = transaction
        .execute(WRITE, &[&claimed.as_bytes(), &pool.as_bytes()])
        .await;
    assert_eq!(written.expect("the row is new"), 1);
    step(2);
    transaction.commit().await.expect("it is committed");
    step(3);
}

#[tokio::test]
async fn a_claim_and_a_row_are_there_together_or_not_at_all() {
    let mut scene = Scene::start().await;
    claim(&scene.store, &mut scene.client, 1, |_| {}).await;
    assert_eq!(scene.counted().await, (1, 1));
    let transaction = scene.client.transaction().await.expect("it begins");
    let claim = scene
        .store
        .within(transaction)
        .claim_key_packages(&[take(0, 2)], None, NOW)
        .await;
    let (transaction, claimed) = claim.expect("the transaction is as it must be");
    let given = claimed.only().expect("a package is free");
    transaction.rollback().await.expect("it is rolled back");
    assert_eq!(scene.counted().await, (1, 1));
    let next = scene.store.claim_key_packages(&[take(0, 3)], None, NOW).await.only();
    assert_eq!(next.expect("it is free again"), given, "the oldest is still the oldest");
}

/// Where the child ends: its server, and the step.
const CHILD: &str = "KP_POSTGRES_CHILD";

/// The part of the child: claims, and ends at a step, or never.
#[tokio::test]
async fn a_process_that_claims() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let (url, last) = told.rsplit_once(' ').expect("a url and a step");
    let last: u32 = last.parse().expect("a step");
    let store = PostgresStore::connect(url).await.expect("it connects");
    let (mut client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .expect("it connects");
    tokio::spawn(connection);
    for number in u64::from(last) * 1_000.. {
        let step = |step| {
            if step == last {
                std::process::abort();
            }
        };
        claim(&store, &mut client, number, step).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_at_any_step_leaves_both_or_neither() {
    let scene = Scene::start().await;
    let child = |step: u32| {
        let mut child = Command::new(std::env::current_exe().expect("a test has a file"));
        child.args(["--exact", "a_process_that_claims"]);
        child.env(CHILD, format!("{} {step}", scene.server.url()));
        child
    };
    for (step, committed) in [(0, 0), (1, 0), (2, 0), (3, 1)] {
        let ended = child(step).output().expect("the child runs");
        assert!(!ended.status.success(), "it was killed at step {step}");
        assert_eq!(
            scene.counted().await,
            (committed, i64::from(committed)),
            "killed at step {step}"
        );
    }
    // And at any moment: five times, once it has claimed once more.
    fill_more(&scene.store).await;
    for step in 4..9 {
        let before = scene.counted().await.0;
        let mut running = child(step).spawn().expect("the child runs");
        while scene.counted().await.0 == before {
            tokio::task::yield_now().await;
        }
        running.kill().expect("it runs");
        running.wait().expect("it ends");
        // What the server still does of a killed client is done once its connections are gone.
        let others =
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
            AND query LIKE '%COMMIT%' AND state = 'active'";
        while scene
            .client
            .query_one(others, &[])
            .await
            .expect("it answers")
            .get::<_, i64>(0)
            > 0
        {}
        let (spent, rows) = scene.counted().await;
        assert_eq!(i64::from(spent), rows, "killed while it claimed");
    }
}

async fn fill_more(store: &PostgresStore) {
    for batch in 1..=9 {
        let packages = (0..1_000).map(|n| package(batch * 1_000 + n));
        let save = Save::new(pool(0), packages).expect("a thousand are a save");
        store.save_key_packages(&save, NOW).await.expect("they are saved");
    }
}

#[tokio::test]
async fn of_a_call_that_is_dropped_at_any_await_nothing_is_there() {
    let mut scene = Scene::start().await;
    let mut polls = 0;
    loop {
        let transaction = scene.client.transaction().await.expect("it begins");
        let takes = [take(0, 1), take(1, 1)];
        let claim = scene.store.within(transaction).claim_key_packages(&takes, None, NOW);
        if dropped_after(polls, claim).await {
            break;
        }
        // TX-3: whatever the server does next with its connection.
        scene
            .client
            .batch_execute("COMMIT")
            .await
            .expect("there is nothing to commit");
        assert_eq!(scene.counted().await, (0, 0), "dropped after {polls} polls");
        polls += 1;
    }
    assert!(polls >= 3, "it waits for the server, round trip by round trip");
    let again = scene.store.claim_key_packages(&[take(0, 99)], None, NOW).await;
    again.only().expect("nobody holds a lock");
}

/// Claims within the transaction that these statements begin, and returns why that failed.
async fn refusal(scene: &mut Scene, settings: &str) -> String {
    let transaction = scene.client.transaction().await.expect("it begins");
    transaction
        .batch_execute(settings)
        .await
        .expect("the settings are right");
    let claim = scene
        .store
        .within(transaction)
        .claim_key_packages(&[take(0, 7)], None, NOW)
        .await;
    let Err(Error::Backend(failure)) = claim else {
        panic!("it is refused after {settings:?}")
    };
    assert_eq!((failure.effect(), failure.is_transient()), (Effect::NotApplied, false));
    std::error::Error::source(&failure).expect("it says why").to_string()
}

#[tokio::test]
async fn a_transaction_that_is_not_as_it_must_be_is_refused() {
    let mut scene = Scene::start().await;
    for (settings, named) in UNFIT {
        let why = refusal(&mut scene, settings).await;
        assert!(why.contains(named), "{why:?} names {named}");
        assert_eq!(scene.counted().await, (0, 0));
    }
    let transaction = scene.client.transaction().await.expect("it begins");
    let more = "SET LOCAL synchronous_commit = remote_apply; SET LOCAL lock_timeout = '77s'";
    transaction.batch_execute(more).await.expect("the settings are right");
    let claim = scene
        .store
        .within(transaction)
        .claim_key_packages(&[take(0, 7)], None, NOW)
        .await;
    let (transaction, claimed) = claim.expect("more durable than the store will do");
    claimed.only().expect("a package is free");
    let setting = transaction
        .query_one("SHOW lock_timeout", &[])
        .await
        .expect("it answers");
    assert_eq!(setting.get::<_, &str>(0), "77s", "the settings are as they were");
}

/// TX-1: a call looks at its transaction when it begins, so it finds what was lowered since the one before.
#[tokio::test]
async fn a_commit_that_was_made_weaker_between_two_calls_is_refused_with_the_first_call() {
    let mut scene = Scene::start().await;
    let transaction = scene.client.transaction().await.expect("it begins");
    let claim = scene
        .store
        .within(transaction)
        .claim_key_packages(&[take(0, 1)], None, NOW)
        .await;
    let (transaction, claimed) = claim.expect("the transaction is as it must be");
    claimed.only().expect("a package is free");
    let lower = "SET LOCAL synchronous_commit = off";
    transaction.batch_execute(lower).await.expect("the setting is right");
    let again = scene
        .store
        .within(transaction)
        .claim_key_packages(&[take(1, 1)], None, NOW)
        .await;
    let Err(Error::Backend(failure)) = again.map(drop) else {
        panic!("it is refused")
    };
    assert_eq!((failure.effect(), failure.is_transient()), (Effect::NotApplied, false));
    scene
        .client
        .batch_execute("COMMIT")
        .await
        .expect("there is nothing to commit");
    assert_eq!(scene.counted().await, (0, 0));
}

#[tokio::test]
async fn an_older_snapshot_hands_out_no_package_that_another_has_spent() {
    let mut scene = Scene::start().await;
    let transaction = scene
        .client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead);
    let transaction = transaction.start().await.expect("it begins");
    // Its snapshot is taken: all packages are free in it.
    transaction
        .query("SELECT * FROM keypackage_pools", &[])
        .await
        .expect("it answers");
    let claimed = scene.store.claim_key_packages(&[take(0, 1)], None, NOW).await;
    claimed.only().expect("a package is free");
    let reserve = scene
        .store
        .within(transaction)
        .reserve_key_packages(&[take(0, 2)], OnLapse::Return, NOW)
        .await;
    assert!(matches!(reserve, Err(Error::Backend(_))), "it is refused");
}

#[tokio::test]
async fn every_call_can_be_made_within_a_transaction() {
    let Scene {
        server,
        store,
        mut client,
    } = Scene::start().await;
    let transaction = client.transaction().await.expect("it begins");
    let save = Save::one(pool(9), package(9_000));
    let (transaction, saved) = store
        .within(transaction)
        .save_key_packages(&save, NOW)
        .await
        .expect("it is saved");
    assert!(saved.iter().all(|outcome| outcome.is_held()));
    let takes = [take(9, 1), take(0, 2)];
    let reserved = store
        .within(transaction)
        .reserve_key_packages(&takes, OnLapse::Return, NOW)
        .await;
    let (transaction, reserved) = reserved.expect("they are reserved");
    let reserved = reserved.all().expect("both are free");
    let tokens: Vec<_> = reserved
        .into_iter()
        .filter_map(|reserved| Some(reserved.lease?.token))
        .collect();
    let (transaction, renewed) = store
        .within(transaction)
        .renew_key_packages(&tokens, takes[0].ttl, NOW)
        .await
        .expect("they are renewed");
    assert_eq!(renewed.all().expect("both are live").len(), 2);
    let (transaction, released) = store
        .within(transaction)
        .release_key_packages(&tokens[1..], NOW)
        .await
        .expect("it is released");
    released.all().expect("it was live");
    let (transaction, spent) = store
        .within(transaction)
        .spend_key_packages(&tokens, &Spend::new(), NOW)
        .await
        .expect("one is spent");
    assert!(matches!(
        &spent[..],
        [Ok(_), Err(Error::Rejected(Rejection::NoLiveReservation))]
    ));
    let (transaction, withdrawn) = store
        .within(transaction)
        .withdraw_key_packages(&pool(0), &Withdrawal::All, NOW)
        .await
        .expect("all go");
    assert_eq!(withdrawn.len(), 10);
    let (transaction, ()) = store
        .within(transaction)
        .delete_pool(&pool(1))
        .await
        .expect("it is deleted");
    // Nobody else has seen any of it.
    assert_eq!(counted(&server, &store).await, (0, 0));
    transaction.commit().await.expect("it is committed");
    assert_eq!(counted(&server, &store).await, (10, 0));
    let listed = store.list_pools(None, 10).await.expect("it answers").items;
    assert_eq!(listed, [pool(0), pool(9)]);
}

#[tokio::test]
async fn a_refusal_is_an_answer_and_the_transaction_goes_on() {
    let mut scene = Scene::start().await;
    let transaction = scene.client.transaction().await.expect("it begins");
    let takes = [take(5, 1), take(0, 1)];
    let claim = scene
        .store
        .within(transaction)
        .claim_key_packages(&takes, None, NOW)
        .await;
    let (transaction, claimed) = claim.expect("the transaction is as it must be");
    assert!(matches!(
        &claimed[..],
        [Err(Error::Rejected(Rejection::PoolExhausted)), Ok(_)]
    ));
    transaction.commit().await.expect("it is committed");
    assert_eq!(scene.counted().await, (1, 0));
}

/// TX-4: the second calls would wait for each other.
#[tokio::test]
async fn pools_that_are_named_one_after_the_other_make_no_circle() {
    let mut scene = Scene::start().await;
    let mut other = connect(&scene.server).await;
    let store = &scene.store;
    let claim = |transaction, n, number| {
        let takes = [take(n, number)];
        async move { store.within(transaction).claim_key_packages(&takes, None, NOW).await }
    };
    let up = scene.client.transaction().await.expect("it begins");
    let down = other.transaction().await.expect("it begins");
    let (up, _) = claim(up, 0, 1).await.expect("nobody holds the first");
    let (down, _) = claim(down, 1, 2).await.expect("nobody holds the second");
    let seconds = futures::future::join(claim(up, 1, 3), claim(down, 0, 4)).await;
    let failures: Vec<_> = [seconds.0.err(), seconds.1.err()].into_iter().flatten().collect();
    assert!(!failures.is_empty(), "both name what the other holds");
    for failure in failures {
        let Error::Backend(failure) = failure else {
            panic!("no rule refuses it")
        };
        assert_eq!((failure.effect(), failure.is_transient()), (Effect::NotApplied, true));
        let why = std::error::Error::source(&failure).expect("it says why").to_string();
        assert!(
            why.contains("55P03"),
            "it waited until the server saw the circle: {why}"
        );
    }
}
