//! What the writer's connection promises of a commit.

use std::sync::atomic::{AtomicI64, Ordering};

use rusqlite::Connection;

use crate::file::connection::Survives;
use crate::pools::store::SqliteStore;

/// A power cut undoes nothing that was answered, unless the server chose so.
#[tokio::test]
async fn each_commit_is_synced_by_default() {
    static LEVEL: AtomicI64 = AtomicI64::new(-1);
    let look = |connection: &mut Connection| {
        let level = connection.pragma_query_value(None, "synchronous", |row| row.get(0));
        LEVEL.store(level.unwrap(), Ordering::SeqCst);
    };
    let dir = tempfile::tempdir().unwrap();
    let builder = |name: &str| SqliteStore::builder(dir.path().join(name));
    let chosen = builder("1.db").survives(Survives::ProcessCrash);
    for (builder, level) in [(builder("2.db"), 2), (chosen, 1)] {
        builder.open_with(look).await.unwrap();
        assert_eq!(LEVEL.load(Ordering::SeqCst), level);
    }
}
