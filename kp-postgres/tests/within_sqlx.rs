//! Calls in a transaction of sqlx: with the server's rows or not at all, whatever happens on the way.

mod cutter;
mod scene;

use kp_core::server::{KeyPackageStore, OnLapse};
use kp_core::{Effect, Error};
use kp_postgres::{PostgresBuilder, PostgresStore};
use kp_test_support::postgres::Postgres;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::cutter::Cutter;
use crate::scene::{NOW, UNFIT, dropped_after, fill, pool, take};

struct Scene {
    _server: Postgres,
    store: PostgresStore,
    pool: PgPool,
}

impl Scene {
    /// Starts a server with two pools of ten packages, and a table of the server's own.
    async fn start() -> Self {
        let server = Postgres::start(&[]);
        // Hands messages on in this thread, so none arrives while a future is polled: each answer is waited for.
        let between = Cutter::before(&server).await;
        // One connection: what a call leaves in it, the next one finds.
        let pool = PgPoolOptions::new().max_connections(1).connect(&between.url()).await;
        let pool = pool.expect("it connects");
        let store = PostgresBuilder::of_sqlx(&pool.connect_options()).connect().await;
        let store = store.expect("the options name the same server");
        fill(&store, 2, 10).await;
        let welcomes = "CREATE TABLE welcomes (ref bytea PRIMARY KEY, pool bytea NOT NULL)";
        sqlx::query(welcomes).execute(&pool).await.expect("the table is made");
        Self {
            _server: server,
            store,
            pool,
        }
    }

    /// Returns how many packages of the first pool are spent, and how many rows the server has.
    async fn counted(&self) -> (u32, i64) {
        let counts = self.store.count_by_status(&pool(0), NOW).await.expect("it answers");
        let spent = counts.ciphersuites.values().map(|counts| counts.spent).sum();
        let rows = sqlx::query_scalar("SELECT count(*) FROM welcomes")
            .fetch_one(&self.pool)
            .await;
        (spent, rows.expect("it answers"))
    }
}

#[tokio::test]
async fn a_claim_and_a_row_are_there_together_or_not_at_all() {
    let scene = Scene::start().await;
    for commits in [false, true] {
        let transaction = scene.pool.begin().await.expect("it begins");
        let claim = scene
            .store
            .within(transaction)
            .claim_key_packages(&[take(0, 1)], None, NOW)
            .await;
        let (mut transaction, claimed) = claim.expect("the transaction is as it must be");
        let claimed = claimed.only().expect("a package is free").info.key_package_ref;
        let written = sqlx::query("INSERT INTO welcomes (ref, pool) VALUES ($1, $2)")
            .bind(claimed.as_bytes())
            .bind(b"pool/0")
            .execute(&mut *transaction)
            .await;
        written.expect("the row is new");
        if commits {
            transaction.commit().await.expect("it is committed");
        } else {
            transaction.rollback().await.expect("it is rolled back");
        }
        assert_eq!(scene.counted().await, (u32::from(commits), i64::from(commits)));
    }
}

/// Claims within the transaction that this statement sets up, and returns why that failed.
async fn refusal(scene: &Scene, setting: &str) -> String {
    let mut transaction = scene.pool.begin().await.expect("it begins");
    sqlx::query(setting)
        .execute(&mut *transaction)
        .await
        .expect("the setting is right");
    let claim = scene
        .store
        .within(transaction)
        .claim_key_packages(&[take(0, 7)], None, NOW)
        .await;
    let Err(Error::Backend(failure)) = claim else {
        panic!("it is refused after {setting:?}")
    };
    assert_eq!((failure.effect(), failure.is_transient()), (Effect::NotApplied, false));
    std::error::Error::source(&failure).expect("it says why").to_string()
}

#[tokio::test]
async fn a_transaction_that_is_not_as_it_must_be_is_refused() {
    let scene = Scene::start().await;
    for (setting, named) in UNFIT {
        let why = refusal(&scene, setting).await;
        assert!(why.contains(named), "{why:?} names {named}");
        assert_eq!(scene.counted().await, (0, 0));
    }
}

#[tokio::test]
async fn an_older_snapshot_hands_out_no_package_that_another_has_spent() {
    let scene = Scene::start().await;
    let mut transaction = scene.pool.begin().await.expect("it begins");
    let older = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ";
    sqlx::query(older)
        .execute(&mut *transaction)
        .await
        .expect("the setting is right");
    // Its snapshot is taken: all packages are free in it.
    let look = "SELECT * FROM keypackage_pools";
    sqlx::query(look)
        .fetch_all(&mut *transaction)
        .await
        .expect("it answers");
    let claimed = scene.store.claim_key_packages(&[take(0, 1)], None, NOW).await;
    claimed.only().expect("a package is free");
    let within = scene.store.within(transaction);
    let reserve = within.reserve_key_packages(&[take(0, 2)], OnLapse::Return, NOW).await;
    assert!(matches!(reserve, Err(Error::Backend(_))), "it is refused");
}

#[tokio::test]
async fn of_a_call_that_is_dropped_at_any_await_nothing_is_there() {
    let scene = Scene::start().await;
    let mut polls = 0;
    loop {
        let transaction = scene.pool.begin().await.expect("it begins");
        let takes = [take(0, 1), take(1, 1)];
        let claim = scene.store.within(transaction).claim_key_packages(&takes, None, NOW);
        if dropped_after(polls, claim).await {
            break;
        }
        // TX-3: whatever the server does next with its connection.
        sqlx::query("COMMIT")
            .execute(&scene.pool)
            .await
            .expect("there is nothing to commit");
        assert_eq!(scene.counted().await, (0, 0), "dropped after {polls} polls");
        polls += 1;
    }
    assert!(polls >= 10, "it waits for the server, statement by statement");
    let again = scene.store.claim_key_packages(&[take(0, 99)], None, NOW).await;
    again.only().expect("nobody holds a lock");
}
