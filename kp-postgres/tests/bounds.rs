//! How much a commit and a statement carry: PostgreSQL takes no message of 1 GiB, and what is sent is in memory until then.

mod scene;

use std::time::Duration;

use futures::future::join_all;
use kp_core::moving::MovePools;
use kp_core::server::{KeyPackageStore, Save};
use kp_core::{KeyPackage, KeyPackageBytes};
use kp_postgres::PostgresStore;
use kp_test_support::postgres::Postgres;
use tokio_postgres::Client;

use crate::scene::{NOW, connect, fill, package, pool};

/// Notes each statement that inserts packages: its transaction, and how many packages and bytes.
const NOTED: &str = "
    CREATE TABLE inserts (transaction bigint, packages bigint, bytes bigint);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO inserts SELECT txid_current(), count(*), sum(octet_length(bytes)) FROM inserted;
        RETURN NULL;
    END $$;
    CREATE TRIGGER noted AFTER INSERT ON keypackage_pool_packages REFERENCING NEW TABLE AS inserted
        FOR EACH STATEMENT EXECUTE FUNCTION note()";

/// A store with one writer, on a server that takes notes.
async fn start() -> (Postgres, PostgresStore, Client) {
    let server = Postgres::start(&[]);
    // A busy machine may be long about so many bytes.
    let builder = PostgresStore::builder(server.url()).timeout(Duration::from_secs(60));
    let store = builder.writers(1).connect().await.expect("it connects");
    let client = connect(&server).await;
    client.batch_execute(NOTED).await.expect("it takes notes");
    (server, store, client)
}

async fn numbers(client: &Client, query: &str) -> Vec<i64> {
    let rows = client.query(query, &[]).await.expect("it answers");
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn large_saves_that_wait_together_share_commits_of_bounded_size() {
    let (_server, store, client) = start().await;
    let large = |n: u64| {
        let bytes = KeyPackageBytes::try_from(vec![1; 60_000]).expect("60,000 bytes are a package");
        KeyPackage::new(package(n).info, bytes)
    };
    // Six saves of 6 MB, queued before the first is begun.
    let saves = (0..6).map(|n| Save::new(pool(n), (0..100).map(|k| large(n * 100 + k)).collect::<Vec<_>>()));
    let saves: Vec<_> = saves.collect::<Result<_, _>>().expect("a hundred are a save");
    for saved in join_all(saves.iter().map(|save| store.save_key_packages(save, NOW))).await {
        assert!(saved.expect("they are saved").iter().all(|outcome| outcome.is_held()));
    }
    let commits = "SELECT sum(bytes)::bigint FROM inserts GROUP BY transaction";
    assert_eq!(numbers(&client, commits).await, [12_000_000; 3], "two saves a commit");
}

#[tokio::test]
async fn a_large_import_is_sent_in_parts() {
    let (_server, store, client) = start().await;
    fill(&store, 1, 2_500).await;
    let export = store.export_pool(&pool(0)).await.expect("it can be read");
    client.batch_execute("DELETE FROM inserts").await.expect("new notes");
    store.import_pool(&pool(1), &export).await.expect("it is empty");
    let parts = numbers(&client, "SELECT packages FROM inserts").await;
    assert_eq!(parts, [1_000, 1_000, 500]);
    assert_eq!(
        numbers(&client, "SELECT count(DISTINCT transaction) FROM inserts").await,
        [1]
    );
    assert_eq!(store.export_pool(&pool(1)).await.expect("it can be read"), export);
}
