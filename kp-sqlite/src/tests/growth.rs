//! A log that grows beside a reader.

use std::fs;
use std::path::Path;

use kp_core::server::*;
use kp_core::*;
use rusqlite::Connection;

use crate::file::connection::Survives;
use crate::file::marker::{Growth, LOG_BYTES};
use crate::pools::store::SqliteStore;
use crate::tests::packages::test_package;

/// About 6 MiB in one commit.
async fn fill(store: &SqliteStore, round: u8) {
    let at = |seconds| Timestamp::try_from(seconds).unwrap();
    let lifetime = Lifetime::new(at(0), at(1_000)).unwrap();
    let packages = (0..100).map(|number: u8| test_package(&[round, number], lifetime, &[7; 60_000]));
    let pool = PoolId::try_from([round].as_slice()).unwrap();
    store
        .save_key_packages(&Save::new(pool, packages).unwrap(), at(1))
        .await
        .unwrap();
}

fn log_length(path: &Path) -> u64 {
    fs::metadata(path.with_extension("db-wal")).unwrap().len()
}

/// Once the reader is gone, the log shrinks when it begins anew. It kept its length until the store was closed.
#[tokio::test]
async fn a_log_that_grew_beside_a_reader_shrinks_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pools.db");
    let store = SqliteStore::builder(&path)
        .survives(Survives::ProcessCrash)
        .open()
        .await
        .unwrap();
    fill(&store, 0).await;
    let reader = Connection::open(&path).unwrap();
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM keypackage_pools")
        .unwrap();
    for round in 1..8 {
        fill(&store, round).await;
    }
    let grown = log_length(&path);
    assert!(grown > 2 * LOG_BYTES, "{grown}");
    reader.execute_batch("COMMIT").unwrap();
    // The first moves the log into the file, the second begins it anew.
    fill(&store, 8).await;
    fill(&store, 9).await;
    let shrunk = log_length(&path);
    println!("the log: {grown} bytes beside the reader, {shrunk} after it");
    assert!(shrunk <= LOG_BYTES, "{shrunk}");
}

#[test]
fn a_log_that_grows_is_told_once_for_each_time_that_it_doubles() {
    let mut growth = Growth::default();
    let told: Vec<_> = (0..100)
        .map(|number| number * LOG_BYTES / 4)
        .filter(|length| growth.is_news(*length))
        .map(|length| length / LOG_BYTES)
        .collect();
    assert_eq!(told, [4, 8, 16]);
    assert!(!growth.is_news(LOG_BYTES));
    assert!(growth.is_news(Growth::FIRST), "it shrank, and grows again");
}
