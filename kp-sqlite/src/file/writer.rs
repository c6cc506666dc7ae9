use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::Duration;

use futures::channel::oneshot;
use kp_core::{BackendError, Effect};
use rusqlite::Connection;

use crate::file::busy::retry;
use crate::file::calls::{Call, Message};
use crate::file::error::{Failure, backend_error};
use crate::file::session::{Cache, Session};
use crate::sql::Sql;

/// The most calls that share a commit: a bound on how long the first of them waits for the last.
const MAX_BATCH: usize = 256;

/// The thread that writes: does what the queue holds, until it is stopped or nobody is left to ask.
pub(crate) fn run<C: Cache>(connection: Connection, messages: Receiver<Message<C>>, wait: Duration) {
    let done = serve(&connection, &messages, wait);
    let closed = checkpoint(&connection).and_then(|()| connection.close().map_err(|(_, error)| error));
    for message in messages.try_iter() {
        match message {
            Message::Call(call) => call.fail(Effect::NotApplied, Arc::new(Failure::Closed)),
            Message::Stop(done) => drop(done.send(Ok(()))),
        }
    }
    // Whoever asks once the store is known to be closed is told so.
    drop(messages);
    if let Some(done) = done {
        let _ = done.send(closed.map_err(|error| backend_error("close", Effect::NotApplied, Arc::new(error.into()))));
    }
}

/// Says who asked it to stop, if anybody did.
fn serve<C: Cache>(
    connection: &Connection,
    messages: &Receiver<Message<C>>,
    wait: Duration,
) -> Option<oneshot::Sender<Result<(), BackendError>>> {
    let mut session = Session::new(connection);
    while let Ok(first) = messages.recv() {
        let mut batch = Batch {
            calls: Vec::new(),
            stop: None,
        };
        batch.take(std::iter::once(first).chain(messages.try_iter()));
        commit(&mut session, &mut batch, messages, wait);
        if batch.stop.is_some() {
            return batch.stop;
        }
    }
    None
}

/// Calls that share a commit.
struct Batch<C> {
    calls: Vec<Box<dyn Call<C>>>,
    /// What comes after this is not done.
    stop: Option<oneshot::Sender<Result<(), BackendError>>>,
}

impl<C> Batch<C> {
    /// Takes what waits, as far as it may.
    fn take(&mut self, mut waiting: impl Iterator<Item = Message<C>>) {
        while self.stop.is_none() && self.calls.len() < MAX_BATCH {
            match waiting.next() {
                Some(Message::Call(call)) => self.calls.push(call),
                Some(Message::Stop(done)) => self.stop = Some(done),
                None => break,
            }
        }
    }
}

/// Moves the log into the file; others may go on with either.
fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// Where a transaction failed.
enum TransactionFailure {
    /// It did not begin.
    Begin(Failure),
    /// In one of its calls.
    Call(Failure),
    /// At its end.
    Commit(Failure),
}

/// Runs calls in one transaction, and answers them once it is committed (ERR-5).
fn commit<C: Cache>(
    session: &mut Session<'_, C>,
    batch: &mut Batch<C>,
    messages: &Receiver<Message<C>>,
    wait: Duration,
) {
    if batch.calls.is_empty() {
        return;
    }
    let done = attempt(session, wait, |session| run_calls(session, batch, messages));
    let calls = std::mem::take(&mut batch.calls);
    match done {
        // Whichever it was, its neighbours shall not suffer: nobody has an answer, so each is done again, alone.
        Err(TransactionFailure::Call(_)) if calls.len() > 1 => calls.into_iter().for_each(|mut call| {
            let done = attempt(session, wait, |session| call.run(session));
            answer(vec![call], done);
        }),
        done => answer(calls, done),
    }
}

/// Runs the calls of a batch, and those that come meanwhile: whoever was answered last is back by then, as a rule, and
/// waits for this commit rather than for the next but one. It ends when nobody waits.
fn run_calls<C>(
    session: &mut Session<'_, C>,
    batch: &mut Batch<C>,
    messages: &Receiver<Message<C>>,
) -> Result<(), Failure> {
    let mut done = 0;
    while let Some(call) = batch.calls.get_mut(done) {
        call.run(session)?;
        done += 1;
        if done == batch.calls.len() {
            // The last of them may still be on their way here: a turn of the processor costs less than a sync of the disk.
            thread::yield_now();
            batch.take(messages.try_iter());
        }
    }
    Ok(())
}

fn answer<C>(calls: Vec<Box<dyn Call<C>>>, done: Result<(), TransactionFailure>) {
    let (outcome, failure) = match done {
        Ok(()) => return calls.into_iter().for_each(Call::answer),
        Err(TransactionFailure::Begin(failure) | TransactionFailure::Call(failure)) => (Effect::NotApplied, failure),
        // ERR-1: what became of it is for the file to say, at the next try.
        Err(TransactionFailure::Commit(failure)) => (Effect::Unknown, failure),
    };
    let failure = Arc::new(failure);
    for call in calls {
        call.fail(outcome, Arc::clone(&failure));
    }
}

/// One transaction.
fn attempt<C: Cache>(
    session: &mut Session<'_, C>,
    wait: Duration,
    calls: impl FnOnce(&mut Session<'_, C>) -> Result<(), Failure>,
) -> Result<(), TransactionFailure> {
    retry(wait, || session.statements.execute(Sql::Begin, [])).map_err(TransactionFailure::Begin)?;
    let done = session
        .revalidate()
        .map_err(Failure::from)
        .and_then(|()| calls(session))
        .map_err(TransactionFailure::Call)
        .and_then(|()| match session.statements.execute(Sql::Commit, []) {
            Ok(_) => Ok(()),
            Err(error) => Err(TransactionFailure::Commit(error.into())),
        });
    if done.is_err() {
        session.cache.clear();
    }
    // After some failures (a full disk), SQLite has rolled back by itself.
    if done.is_err()
        && !session.statements.connection().is_autocommit()
        && let Err(error) = session.statements.execute(Sql::Rollback, [])
    {
        tracing::error!(%error, "a transaction could not be rolled back");
    }
    done
}
