use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use futures::channel::oneshot;
use kp_core::{BackendError, Outcome};
use rusqlite::Connection;

use crate::call::{Call, Message};
use crate::error::{Failure, backend_error};
use crate::patience::patiently;
use crate::statements::{Sql, Statements};

/// The most calls that share a commit: a bound on how long the first of them waits for the last.
const MAX_BATCH: usize = 256;

/// The thread that writes: does what the queue holds, until it is stopped or nobody is left to ask.
pub(crate) fn run(connection: Connection, messages: Receiver<Message>, wait: Duration) {
    let done = serve(&connection, &messages, wait);
    let closed = checkpoint(&connection).and_then(|()| connection.close().map_err(|(_, error)| error));
    for message in messages.try_iter() {
        match message {
            Message::Call(call) => call.fail(Outcome::NotApplied, Arc::new(Failure::Closed)),
            Message::Stop(done) => drop(done.send(Ok(()))),
        }
    }
    // Whoever asks once the store is known to be closed is told so.
    drop(messages);
    if let Some(done) = done {
        let _ = done.send(closed.map_err(|error| backend_error("close", Outcome::NotApplied, Arc::new(error.into()))));
    }
}

/// Says who asked it to stop, if anybody did.
fn serve(
    connection: &Connection,
    messages: &Receiver<Message>,
    wait: Duration,
) -> Option<oneshot::Sender<Result<(), BackendError>>> {
    let mut statements = Statements::new(connection);
    while let Ok(first) = messages.recv() {
        let mut batch = Vec::new();
        let mut stop = None;
        for message in std::iter::once(first).chain(messages.try_iter()) {
            match message {
                Message::Call(call) => batch.push(call),
                Message::Stop(done) => stop = Some(done),
            }
            if stop.is_some() || batch.len() == MAX_BATCH {
                break;
            }
        }
        commit(&mut statements, batch, wait);
        if stop.is_some() {
            return stop;
        }
    }
    None
}

/// Moves the log into the file; others may go on with either.
fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// Where a transaction failed.
enum Undone {
    /// It did not begin.
    Begin(Failure),
    /// In one of its calls.
    Call(Failure),
    /// At its end.
    Commit(Failure),
}

/// Runs calls in one transaction, and answers them once it is committed (ERR-5).
fn commit(statements: &mut Statements<'_>, mut batch: Vec<Box<dyn Call>>, wait: Duration) {
    if batch.is_empty() {
        return;
    }
    let (outcome, failure) = match attempt(statements, &mut batch, wait) {
        Ok(()) => return batch.into_iter().for_each(Call::answer),
        // Whichever it was, its neighbours shall not suffer: nobody has an answer, so each is done again, alone.
        Err(Undone::Call(_)) if batch.len() > 1 => {
            return batch.into_iter().for_each(|call| commit(statements, vec![call], wait));
        }
        Err(Undone::Begin(failure) | Undone::Call(failure)) => (Outcome::NotApplied, failure),
        // ERR-1: what became of it is for the file to say, at the next try.
        Err(Undone::Commit(failure)) => (Outcome::Unknown, failure),
    };
    let failure = Arc::new(failure);
    for call in batch {
        call.fail(outcome, Arc::clone(&failure));
    }
}

fn attempt(statements: &mut Statements<'_>, batch: &mut [Box<dyn Call>], wait: Duration) -> Result<(), Undone> {
    patiently(wait, || statements.execute(Sql::Begin, [])).map_err(Undone::Begin)?;
    let done = batch
        .iter_mut()
        .try_for_each(|call| call.run(statements))
        .map_err(Undone::Call)
        .and_then(|()| match statements.execute(Sql::Commit, []) {
            Ok(_) => Ok(()),
            Err(error) => Err(Undone::Commit(error.into())),
        });
    // After some failures (a full disk), SQLite has rolled back by itself.
    if done.is_err()
        && !statements.connection().is_autocommit()
        && let Err(error) = statements.execute(Sql::Rollback, [])
    {
        tracing::error!(%error, "a transaction could not be rolled back");
    }
    done
}
