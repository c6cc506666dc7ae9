//! A file that is taken away at the worst moments, and the names that SQLite would take for something else.

#![cfg(unix)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use kp_core::{Effect, OpenError};
use rusqlite::Connection;

use crate::file::connection::{Connector, Survives};
use crate::file::migrations::METADATA;
use crate::file::place;
use crate::file::threads::Threads;

async fn open(path: &Path, prepare: impl FnOnce(&mut Connection) + Send + 'static) -> Result<Threads<()>, OpenError> {
    let connector = Connector {
        path: path.to_owned(),
        survives: Survives::PowerCut,
        timeout: Duration::from_secs(30),
        check: false,
        create: true,
        tables: &METADATA,
    };
    Threads::start(connector, 1, prepare).await
}

fn move_away(path: &PathBuf) {
    let _ = std::fs::rename(path, path.with_extension("old"));
}

/// ERR-1, ERR-5: taken away within the transaction: whoever opens the file where it is now may find the change.
#[tokio::test]
async fn a_file_that_is_taken_away_before_the_commit_makes_the_outcome_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("client.db");
    let threads = open(&path, |_| {}).await.unwrap();
    let failure = threads
        .writer
        .submit("test", move |session| {
            let done = session
                .statements
                .connection()
                .execute_batch("CREATE TABLE written (a)");
            move_away(&path);
            Ok(done?)
        })
        .wait()
        .await
        .unwrap_err();
    assert_eq!(
        (failure.effect(), failure.is_transient()),
        (Effect::Unknown, false),
        "{failure}"
    );
    assert!(failure.to_string().contains("replaced, moved or deleted"), "{failure}");
    let next = threads.writer.submit("test", |_| Ok(())).wait().await.unwrap_err();
    assert_eq!(next.effect(), Effect::NotApplied);
}

/// LIN-1: taken away while a call reads: what it read may be long past.
#[tokio::test]
async fn a_file_that_is_taken_away_within_a_read_is_noticed_before_the_answer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("client.db");
    let threads = open(&path, |_| {}).await.unwrap();
    let failure = threads
        .readers
        .submit("test", move |_| {
            move_away(&path);
            Ok(())
        })
        .wait()
        .await
        .unwrap_err();
    assert_eq!(failure.effect(), Effect::NotApplied);
    assert!(failure.to_string().contains("replaced, moved or deleted"), "{failure}");
}

/// Taken away between the writer's connection and those of the readers: they would read another file.
#[tokio::test]
async fn a_file_that_is_taken_away_while_it_is_opened_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("client.db");
    let taken = path.clone();
    let refused = open(&path, move |_| {
        move_away(&taken);
        std::fs::write(&taken, "").unwrap();
    })
    .await
    .unwrap_err();
    assert!(matches!(refused, OpenError::Unreachable(_)), "{refused}");
}

/// SQLite takes a name that begins with `file:` for an address with options, and two names for a database in memory.
#[test]
fn a_name_is_a_path_and_nothing_else() {
    let path = place::absolute(Path::new("file:x?mode=memory")).unwrap();
    assert!(path.is_absolute());
    assert!(path.ends_with("file:x?mode=memory"), "{path:?}");
    for name in ["", ":memory:"] {
        let refused = place::absolute(Path::new(name)).unwrap_err();
        assert!(matches!(refused, OpenError::UnsafeConfiguration(_)), "{refused}");
    }
}
