//! What docs/postgres.md says: its snippets are lines of this file, and its statements are run as they stand there.

mod scene;

use std::time::Duration;

use kp_core::server::{KeyPackageStore, OnLapse, TakeRequest};
use kp_core::{BackendError, BoxError, Effect, Error, OpenError, Rejection, Timestamp};
use kp_postgres::{PostgresBuilder, PostgresStore};
use kp_test_support::postgres::Postgres;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Transaction};

use crate::scene::{NOW, connect, fill, pool, take};

type Ran = Result<(), BoxError>;

const WELCOMES: &str = "SELECT count(*) FROM welcomes";

fn page() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/postgres.md");
    std::fs::read_to_string(path).expect("the page is there")
}

/// Returns the blocks of the page in this language.
fn blocks(language: &str) -> Vec<String> {
    let page = page();
    let begin = format!("```{language}\n");
    let blocks = page.split(&begin).skip(1);
    let blocks = blocks.map(|rest| rest.split("```").next().unwrap_or_default().to_owned());
    blocks.collect()
}

/// Without what the formatter decides.
fn bare(code: &str) -> String {
    let code: String = code.split_whitespace().collect();
    code.replace(",)", ")").replace(",]", "]")
}

#[test]
fn every_snippet_of_the_page_is_run_here() {
    let here = bare(include_str!("guide.rs"));
    let snippets = blocks("rust");
    assert!(snippets.len() >= 6, "{}", snippets.len());
    for snippet in snippets {
        assert!(here.contains(&bare(&snippet)), "not in tests/guide.rs:\n{snippet}");
    }
}

/// A server with the tables in a schema of their own, and all that the page has done to it.
struct Scene {
    server: Postgres,
    store: PostgresStore,
    takes: Vec<TakeRequest>,
}

impl Scene {
    /// Two pools hold packages, and one holds none.
    async fn start() -> Self {
        let server = Postgres::start(&[]);
        let url = server.url();
        let store = PostgresStore::builder(&url)
            .schema("key_packages")
            .connect()
            .await
            .expect("it opens");
        fill(&store, 2, 10).await;
        let client = connect(&server).await;
        for statements in blocks("sql") {
            client
                .batch_execute(&statements)
                .await
                .expect("the page's statements are right");
        }
        let takes = vec![take(0, 1), take(1, 1), take(7, 1)];
        Self { server, store, takes }
    }

    async fn welcomes(&self) -> i64 {
        let row = connect(&self.server).await.query_one(WELCOMES, &[]).await;
        row.expect("it answers").get(0)
    }

    /// Returns how many packages of the first pool are spent.
    async fn spent(&self) -> u32 {
        let counts = self.store.count_by_status(&pool(0), NOW).await.expect("it answers");
        counts.ciphersuites.values().map(|counts| counts.spent).sum()
    }
}

async fn claim_and_route(
    store: &PostgresStore,
    transaction: Transaction<'_>,
    takes: &[TakeRequest],
    now: Timestamp,
) -> Result<Vec<Result<kp_core::KeyPackage, Error>>, BoxError> {
    let (transaction, claimed) = store.within(transaction).claim_key_packages(takes, None, now).await?;
    for (take, answer) in takes.iter().zip(claimed.iter()) {
        // A refusal is an answer, too: this device has no KeyPackage, the others are added.
        let Ok(package) = answer else { continue };
        let row: [&(dyn ToSql + Sync); 2] = [&package.info.key_package_ref.as_bytes(), &take.pool.as_bytes()];
        transaction
            .execute(
                "INSERT INTO welcomes (ref, pool) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                &row,
            )
            .await?;
    }
    store.within(transaction).commit().await?;
    // Only now hand them out, and tell the refusals.
    Ok(claimed.into_vec())
}

fn assert_two_of_three(claimed: &[Result<kp_core::KeyPackage, Error>]) {
    let exhausted = Some(&Rejection::PoolExhausted);
    assert!(
        matches!(claimed, [Ok(_), Ok(_), Err(refused)] if refused.rejection() == exhausted),
        "{claimed:?}"
    );
}

#[tokio::test]
async fn a_user_with_several_devices_is_claimed_in_one_transaction_of_tokio_postgres() -> Ran {
    let scene = Scene::start().await;
    let mut client = connect(&scene.server).await;
    // Asked again, the same is there, once.
    for _ in 0..2 {
        let transaction = client.transaction().await?;
        assert_two_of_three(&claim_and_route(&scene.store, transaction, &scene.takes, NOW).await?);
        assert_eq!((scene.spent().await, scene.welcomes().await), (1, 2));
    }
    Ok(())
}

#[tokio::test]
async fn a_user_with_several_devices_is_claimed_in_one_transaction_of_sqlx() -> Ran {
    let scene = Scene::start().await;
    let (url, store, takes, now) = (scene.server.url(), &scene.store, &scene.takes[..], NOW);
    let options: PgConnectOptions = url.parse()?;
    let beside_sqlx = PostgresBuilder::of_sqlx(&options)
        .schema("key_packages")
        .connect()
        .await?;
    assert_eq!(beside_sqlx.server(), store.server());
    let pool = PgPool::connect_with(options).await?;
    let transaction = pool.begin().await?;
    let (mut transaction, claimed) = store.within(transaction).claim_key_packages(takes, None, now).await?;
    for (take, answer) in takes.iter().zip(claimed.iter()) {
        let Ok(package) = answer else { continue };
        sqlx::query("INSERT INTO welcomes (ref, pool) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(package.info.key_package_ref.as_bytes())
            .bind(take.pool.as_bytes())
            .execute(&mut *transaction)
            .await?;
    }
    store.within(transaction).commit().await?;
    assert_two_of_three(&claimed);
    assert_eq!((scene.spent().await, scene.welcomes().await), (1, 2));
    Ok(())
}

#[tokio::test]
async fn a_pool_of_deadpool_gives_address_and_transactions() -> Ran {
    let scene = Scene::start().await;
    let url = scene.server.url();
    let mut config = deadpool_postgres::Config::new();
    config.url = Some(url.clone());
    let pool = config.create_pool(Some(deadpool_postgres::Runtime::Tokio1), NoTls)?;
    let beside_deadpool = PostgresBuilder::from(config.get_pg_config()?)
        .schema("key_packages")
        .connect()
        .await?;
    let mut client = pool.get().await?;
    let transaction = tokio_postgres::Client::transaction(&mut client).await?;
    assert_two_of_three(&claim_and_route(&beside_deadpool, transaction, &scene.takes, NOW).await?);
    assert_eq!((scene.spent().await, scene.welcomes().await), (1, 2));
    Ok(())
}

#[tokio::test]
async fn a_role_with_the_rights_of_the_page_can_do_all_that_a_server_does() -> Ran {
    let scene = Scene::start().await;
    let owner = connect(&scene.server).await;
    owner
        .batch_execute("GRANT SELECT, INSERT ON welcomes TO messenger")
        .await?;
    let url = scene.server.url().replace("postgres@", "messenger@");
    let store = PostgresStore::builder(&url).schema("key_packages").connect().await?;
    // A pool that is new takes a number of the sequence.
    fill(&store, 9, 2).await;
    let reserved = store
        .reserve_key_packages(&[take(2, 2)], OnLapse::Return, NOW)
        .await
        .only()?;
    let token = reserved.lease.ok_or("it is a one-time KeyPackage")?.token;
    store.release_key_packages(&[token], NOW).await.only()?;
    let (mut client, connection) = tokio_postgres::connect(&url, NoTls).await?;
    tokio::spawn(connection);
    let transaction = client.transaction().await?;
    let claimed = claim_and_route(&store, transaction, &scene.takes, NOW).await?;
    assert!(claimed.iter().all(Result::is_ok), "{claimed:?}");
    store.retire_unspent(NOW, NOW, None, 100).await?;
    let later = NOW.plus(100_000);
    store.release_expired_reservations(later, 1_000).await?;
    assert!(store.cleanup_expired(later, 1_000).await? > 0);
    store.delete_pool(&pool(8)).await?;
    // The server ends what its transactions leave open.
    let setting = client
        .query_one("SHOW idle_in_transaction_session_timeout", &[])
        .await?;
    assert_eq!(setting.get::<_, &str>(0), "30s");
    for (right, named) in [
        ("USAGE ON SCHEMA key_packages", "USAGE on the schema key_packages"),
        (
            "SELECT ON key_packages.keypackage_pool_schema",
            "SELECT on keypackage_pool_schema",
        ),
    ] {
        owner.batch_execute(&format!("REVOKE {right} FROM messenger")).await?;
        let refused = PostgresStore::builder(&url).schema("key_packages").connect().await;
        let refused = refused.expect_err("a right is missing").to_string();
        assert!(refused.contains(named), "{refused:?} names {named}");
        owner.batch_execute(&format!("GRANT {right} TO messenger")).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_server_is_trusted_by_the_certificates_that_are_named() -> Ran {
    let certified = || generate_simple_self_signed(["127.0.0.1".to_owned()]);
    let CertifiedKey { cert, signing_key } = certified()?;
    let (ca, of_another) = (cert.pem(), certified()?.cert.pem());
    let server = Postgres::start(&[]);
    server.serve_tls(&ca, &signing_key.serialize_pem());
    for mode in ["require", "prefer"] {
        let url = server.url().replace("disable", mode);
        let store = PostgresStore::builder(&url)
            .root_certificates(ca.clone())
            .connect()
            .await?;
        fill(&store, 1, 1).await;
        for builder in [
            PostgresStore::builder(&url),
            PostgresStore::builder(&url).root_certificates(of_another.clone()),
        ] {
            let refused = builder.connect().await.expect_err("it is not trusted").to_string();
            assert!(refused.contains("certificate"), "{mode}: {refused}");
        }
    }
    let clear = PostgresStore::connect(server.url()).await;
    assert!(
        matches!(clear, Err(OpenError::Unreachable(_))),
        "the server takes TLS alone"
    );
    let empty = PostgresStore::builder(server.url().replace("disable", "require")).root_certificates("");
    let refused = empty
        .connect()
        .await
        .expect_err("there is nothing to trust")
        .to_string();
    assert!(refused.contains("root_certificates"), "{refused}");
    Ok(())
}

/// Claims the first package of the first pool, and has a statement fail, which nobody minds.
async fn claim_and_fail<'a>(scene: &Scene, client: &'a mut Client) -> Result<Transaction<'a>, BoxError> {
    let transaction = client.transaction().await?;
    let (transaction, claimed) = scene
        .store
        .within(transaction)
        .claim_key_packages(&[take(0, 1)], None, NOW)
        .await?;
    claimed.only()?;
    transaction.batch_execute("SELECT 1 / 0").await.expect_err("it fails");
    Ok(transaction)
}

fn assert_not_applied(failed: &BackendError, names: &str) {
    assert_eq!((failed.effect(), failed.operation()), (Effect::NotApplied, "commit"));
    assert!(!failed.is_transient(), "to repeat the commit is of no use");
    assert!(failed.to_string().contains(names), "{failed} names {names:?}");
}

const ABORTED: &str = "a statement of it failed before";

#[tokio::test]
async fn a_transaction_in_which_a_statement_failed_is_not_called_committed() -> Ran {
    let scene = Scene::start().await;
    let mut client = connect(&scene.server).await;
    let transaction = claim_and_fail(&scene, &mut client).await?;
    transaction.commit().await.expect("that is what the driver says");
    assert_eq!(scene.spent().await, 0, "and the pool still has the KeyPackage");

    let transaction = claim_and_fail(&scene, &mut client).await?;
    let failed = scene.store.within(transaction).commit().await;
    assert_not_applied(&failed.expect_err("it is rolled back"), ABORTED);
    assert_eq!(scene.spent().await, 0);

    let pool = PgPool::connect(&scene.server.url()).await?;
    let within = scene.store.within(pool.begin().await?);
    let (mut transaction, _) = within.claim_key_packages(&[take(0, 1)], None, NOW).await?;
    let failing = sqlx::query("SELECT 1 / 0").execute(&mut *transaction).await;
    failing.expect_err("it fails");
    let failed = scene.store.within(transaction).commit().await;
    assert_not_applied(&failed.expect_err("it is rolled back"), ABORTED);
    assert_eq!(scene.spent().await, 0);
    Ok(())
}

/// What the server refuses at the commit itself, and what the store refuses before it.
#[tokio::test]
async fn a_commit_that_is_refused_is_not_applied() -> Ran {
    let scene = Scene::start().await;
    let mut client = connect(&scene.server).await;
    let table = "CREATE TABLE rooms (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)";
    client.batch_execute(table).await?;
    for (statements, named) in [
        ("INSERT INTO rooms VALUES (1), (1)", "23505"),
        ("SET LOCAL synchronous_commit = off", "synchronous_commit is off"),
    ] {
        let transaction = client.transaction().await?;
        let within = scene.store.within(transaction);
        let (transaction, claimed) = within.claim_key_packages(&[take(0, 1)], None, NOW).await?;
        claimed.only()?;
        transaction.batch_execute(statements).await?;
        let failed = scene.store.within(transaction).commit().await;
        assert_not_applied(&failed.expect_err("it is refused"), named);
        assert_eq!(scene.spent().await, 0);
    }
    // Without a call, it is a commit like any other; and read uncommitted is read committed.
    let transaction = client.transaction().await?;
    transaction
        .batch_execute("SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED")
        .await?;
    transaction.batch_execute("INSERT INTO rooms VALUES (1)").await?;
    scene.store.within(transaction).commit().await?;
    let rows = client.query("SELECT id FROM rooms", &[]).await?;
    assert_eq!(rows.len(), 1);
    Ok(())
}

#[tokio::test]
async fn who_waits_for_a_transaction_that_hangs_is_told_of_the_lock() -> Ran {
    let scene = Scene::start().await;
    let mut client = connect(&scene.server).await;
    let transaction = client.transaction().await?;
    let (hanging, _) = scene
        .store
        .within(transaction)
        .claim_key_packages(&[take(0, 1)], None, NOW)
        .await?;
    let impatient = PostgresStore::builder(scene.server.url())
        .schema("key_packages")
        .timeout(Duration::from_millis(200));
    let impatient = impatient.connect().await?;
    let mut other = connect(&scene.server).await;
    let within = impatient.within(other.transaction().await?);
    let within = within.claim_key_packages(&[take(0, 2)], None, NOW).await.map(drop);
    let alone = impatient
        .claim_key_packages(&[take(0, 2)], None, NOW)
        .await
        .only()
        .map(drop);
    for answer in [within, alone] {
        let Err(Error::Backend(failed)) = answer else {
            panic!("the pool is locked: {answer:?}")
        };
        assert_eq!((failed.effect(), failed.is_transient()), (Effect::NotApplied, true));
        let told = failed.to_string();
        assert!(
            told.contains("another transaction holds the lock of the pool"),
            "{told}"
        );
    }
    hanging.rollback().await?;
    Ok(())
}

#[tokio::test]
async fn a_transaction_of_another_database_is_told_so() -> Ran {
    let scene = Scene::start().await;
    let owner = connect(&scene.server).await;
    owner.batch_execute("CREATE DATABASE other").await?;
    let url = scene.server.url().replace("/postgres?", "/other?");
    let (mut client, connection) = tokio_postgres::connect(&url, NoTls).await?;
    tokio::spawn(connection);
    let within = scene.store.within(client.transaction().await?);
    let claimed = within.claim_key_packages(&[take(0, 1)], None, NOW).await;
    let told = claimed.map(drop).expect_err("there is no pool").to_string();
    assert!(told.contains("is it in the store's database?"), "{told}");
    Ok(())
}
