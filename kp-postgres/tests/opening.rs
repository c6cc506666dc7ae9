//! What is refused at opening, and named.

mod scene;

use kp_core::OpenError;
use kp_core::server::KeyPackageStore;
use kp_postgres::{PostgresBuilder, PostgresStore};
use kp_test_support::postgres::Postgres;
use tokio_postgres::{Config, NoTls};

use crate::scene::{NOW, connect, fill, take};

/// Runs statements that are none of the store's.
async fn execute(server: &Postgres, statements: &str) {
    let (client, connection) = tokio_postgres::connect(&server.url(), NoTls)
        .await
        .expect("the server is there");
    let driver = tokio::spawn(connection);
    client
        .batch_execute(statements)
        .await
        .expect("the statements are right");
    driver.abort();
}

/// Returns the address with an option of the session.
fn with(server: &Postgres, setting: &str) -> String {
    format!("{}&options=-c%20{setting}", server.url())
}

async fn refusal(url: String) -> OpenError {
    PostgresStore::connect(url).await.expect_err("it is refused")
}

fn assert_unsafe(refused: &OpenError, names: &str) {
    let OpenError::UnsafeConfiguration(why) = refused else {
        panic!("{refused:?}")
    };
    assert!(why.contains(names), "{why:?} names {names}");
}

#[tokio::test]
async fn what_another_pool_was_configured_with_opens_the_same_store() {
    let server = Postgres::start(&[]);
    let config: Config = with(&server, "synchronous_commit=remote_write")
        .parse()
        .expect("it is an address");
    let store = PostgresBuilder::from(config).connect().await.expect("it opens");
    assert_eq!(store.server().synchronous_commit, "remote_write");
    let nowhere = PostgresBuilder::from(Config::new()).connect().await;
    assert!(matches!(nowhere, Err(OpenError::Unreachable(_))), "{nowhere:?}");
}

#[tokio::test]
async fn what_is_not_there_is_not_made_if_nothing_may_be() {
    let server = Postgres::start(&[]);
    let open = async |schema| {
        let builder = PostgresStore::builder(server.url()).schema(schema).create(false);
        builder.connect().await
    };
    for schema in ["public", "apart"] {
        for _ in 0..2 {
            let refused = open(schema).await;
            assert!(matches!(refused, Err(OpenError::Missing)), "{refused:?}");
        }
    }
    let made = PostgresStore::builder(server.url()).schema("apart").connect().await;
    made.expect("it is made");
    open("apart").await.expect("it is there");
    assert!(matches!(open("public").await, Err(OpenError::Missing)));
    server.stop();
}

#[tokio::test]
async fn what_would_lose_packages_is_refused() {
    let server = Postgres::start(&[]);
    assert_unsafe(
        &refusal(with(&server, "synchronous_commit=off")).await,
        "synchronous_commit",
    );
    assert_unsafe(
        &refusal(with(&server, "default_transaction_read_only=on")).await,
        "read-only",
    );
    let allowed = PostgresStore::builder(with(&server, "synchronous_commit=off")).allow_asynchronous_commit();
    assert_eq!(
        allowed
            .connect()
            .await
            .expect("it is allowed")
            .server()
            .synchronous_commit,
        "off"
    );
    assert!(matches!(
        PostgresStore::builder(server.url()).connect().await.expect("it is as it should be").server(),
        told if told.synchronous_commit == "on" && told.version.starts_with(|digit: char| digit.is_ascii_digit())
    ));
    server.configure("fsync = off");
    server.restart();
    assert_unsafe(&refusal(server.url()).await, "fsync");
}

/// A server reads its settings anew, and its sessions follow it; those of a store do not.
#[tokio::test]
async fn a_setting_that_is_lowered_later_does_not_count() {
    let server = Postgres::start(&[]);
    let store = PostgresStore::connect(server.url()).await.expect("it connects");
    fill(&store, 1, 2).await;
    let witness = "CREATE TABLE seen (setting text);
        CREATE FUNCTION witness() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO seen VALUES (current_setting('synchronous_commit'));
            RETURN NULL;
        END $$;
        CREATE TRIGGER witness AFTER INSERT ON keypackage_pool_leases EXECUTE FUNCTION witness()";
    execute(&server, witness).await;
    server.configure("synchronous_commit = off");
    server.reload();
    let client = connect(&server).await;
    let is_off = "SELECT current_setting('synchronous_commit') = 'off'";
    while !client
        .query_one(is_off, &[])
        .await
        .expect("it answers")
        .get::<_, bool>(0)
    {}
    let claimed = store.claim_key_packages(&[take(0, 1)], None, NOW).await;
    claimed.only().expect("one is free");
    let seen = client
        .query_one("SELECT setting FROM seen", &[])
        .await
        .expect("it was seen");
    assert_eq!(seen.get::<_, &str>(0), "on");
}

#[tokio::test]
async fn a_schema_that_is_not_ours_is_left_alone() {
    let server = Postgres::start(&[]);
    execute(&server, "CREATE TABLE public.keypackage_pools (mine int)").await;
    let OpenError::NotADatabase(why) = refusal(server.url()).await else {
        panic!("another kind of data")
    };
    assert!(why.contains("keypackage_pools"), "{why}");
    execute(&server, "SELECT mine FROM public.keypackage_pools").await;
    // Beside it, in a schema with a name that needs quotes, there is room.
    let beside = PostgresStore::builder(server.url()).schema("key \"packages\"");
    beside.clone().connect().await.expect("the schema is made");
    execute(
        &server,
        "UPDATE \"key \"\"packages\"\"\".keypackage_pool_schema SET version = 99",
    )
    .await;
    let newer = beside.connect().await.expect_err("it is newer");
    assert!(
        matches!(newer, OpenError::NewerSchema { found: 99, known: 1 }),
        "{newer:?}"
    );
}

#[tokio::test]
async fn a_right_that_is_missing_is_named() {
    let server = Postgres::start(&[]);
    PostgresStore::connect(server.url()).await.expect("the tables are made");
    execute(
        &server,
        "CREATE ROLE app LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO app;
         REVOKE DELETE ON keypackage_pool_leases FROM app",
    )
    .await;
    let app = server.url().replace("postgres@", "app@");
    assert_unsafe(&refusal(app.clone()).await, "DELETE on keypackage_pool_leases");
    execute(&server, "GRANT DELETE ON keypackage_pool_leases TO app").await;
    PostgresStore::connect(app).await.expect("it needs no more than these");
}

#[tokio::test]
async fn a_schema_that_the_role_may_not_use_or_make_is_named() {
    let server = Postgres::start(&[]);
    execute(&server, "CREATE ROLE app LOGIN; CREATE SCHEMA closed").await;
    let app = server.url().replace("postgres@", "app@");
    for (schema, named) in [
        ("closed", "permission denied for schema closed"),
        ("new", "permission denied for database"),
    ] {
        let refused = PostgresStore::builder(&app).schema(schema).connect().await;
        assert_unsafe(&refused.expect_err("it is refused"), named);
    }
}

#[tokio::test]
async fn a_standby_is_refused() {
    let primary = Postgres::start(&[]);
    PostgresStore::connect(primary.url())
        .await
        .expect("the tables are made");
    let standby = primary.standby();
    assert_unsafe(&refusal(standby.url()).await, "standby");
    // With both in the address, the one that takes changes is found.
    let hosts = format!("127.0.0.1:{},127.0.0.1:{}", standby.port(), primary.port());
    let both = format!("postgres://postgres@{hosts}/postgres?sslmode=disable&target_session_attrs=read-write");
    PostgresStore::connect(both).await.expect("it finds the primary");
}

/// A function of the session that says what an old server would.
#[tokio::test]
async fn an_old_server_is_refused() {
    let server = Postgres::start(&[]);
    execute(
        &server,
        "CREATE FUNCTION public.current_setting(name text) RETURNS text LANGUAGE sql AS $$
             SELECT CASE WHEN name LIKE 'server_version%' THEN '120022' ELSE pg_catalog.current_setting(name) END
         $$",
    )
    .await;
    let refused = refusal(with(&server, "search_path=public,pg_catalog")).await;
    assert!(
        matches!(&refused, OpenError::TooOld(why) if why.contains("120022")),
        "{refused:?}"
    );
}

/// A server of which `POSTGRES_BIN` has the files.
#[tokio::test]
#[ignore = "needs PostgreSQL 12: scripts/postgres-versions"]
async fn postgresql_12_is_refused_by_its_version() {
    let server = Postgres::start(&[]);
    let refused = refusal(server.url()).await;
    assert!(
        matches!(&refused, OpenError::TooOld(why) if why.contains("PostgreSQL 12.")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn what_cannot_be_an_address_or_a_schema_is_told() {
    let nowhere = "postgres://app:hunter2@127.0.0.1:1/db";
    let builders = [
        (
            PostgresStore::builder(format!("{nowhere}?sslrootcert=ca.crt")),
            "root_certificates",
        ),
        (
            PostgresStore::builder(format!("{nowhere}?sslmode=verify-full")),
            "`sslmode` alone",
        ),
        (PostgresStore::builder(nowhere).schema(""), "1 to 63 bytes"),
        (PostgresStore::builder(nowhere).schema("s".repeat(64)), "1 to 63 bytes"),
        // The reason, and not only that there is one.
        (PostgresStore::builder(format!("{nowhere}?sslmode=disable")), "refused"),
    ];
    for (builder, named) in builders {
        let refused = builder.connect().await.expect_err("nobody is there");
        let told = refused.to_string();
        assert!(told.contains(named), "{told:?} names {named}");
        assert!(!told.contains("hunter2"), "{told}");
    }
    let allowed = PostgresStore::builder(nowhere).allow_asynchronous_commit();
    assert!(format!("{allowed:?}").contains("allow_asynchronous_commit: true"));
}

#[tokio::test]
async fn no_password_is_shown() {
    let refused = PostgresStore::builder("postgres://app:hunter2@127.0.0.1:1/db");
    assert!(!format!("{refused:?}").contains("hunter2"));
    let refused = refused.connect().await.expect_err("nobody is there");
    assert!(!format!("{refused:?} {refused}").contains("hunter2"));
}
