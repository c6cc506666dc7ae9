//! The writer's thread: runs the calls that wait in one transaction, commits, and answers them.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::Duration;

use futures::channel::oneshot;
use kp_core::{BackendError, Effect};
use rusqlite::Connection;

use crate::file::busy::{Wait, monotonic, retry};
use crate::file::calls::{Cache, Call, Message, Session};
use crate::file::connection::Opened;
use crate::file::error::{Failure, backend_error};
use crate::file::marker::Marker;
use crate::file::observe;
use crate::file::place::Place;
use crate::sql::Sql;

/// The most calls that share a commit: it bounds how long the first of them waits for the last.
const MAX_BATCH: usize = 256;

/// Runs the writer's thread until a message stops it or every queue is dropped.
pub(crate) fn write<C: Cache>(opened: Opened, messages: Receiver<Message<C>>, timeout: Duration) {
    let Opened {
        connection,
        place,
        marker,
    } = opened;
    let writer = Writer {
        session: Session::new(&connection),
        place: &place,
        marker,
        timeout,
    };
    let stop = writer.commit_batches(&messages);
    // The log may belong to a file that was put in the place of this one.
    let moved = place.check().and_then(|()| Ok(checkpoint(&connection)?));
    let closed = moved.and(connection.close().map_err(|(_, error)| error.into()));
    for message in messages.try_iter() {
        match message {
            Message::Call(call) => call.fail(Effect::NotApplied, Arc::new(Failure::Closed)),
            Message::Stop(done) => drop(done.send(Ok(()))),
        }
    }
    // Closes the queue before the report: a call that follows the report fails with `Closed`.
    drop(messages);
    if let Some(done) = stop {
        let _ = done.send(closed.map_err(|error| backend_error("close", Effect::NotApplied, Arc::new(error))));
    }
}

/// Moves the write-ahead log into the file. Other connections may use both meanwhile.
fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// Calls that share a commit.
struct Batch<C> {
    calls: Vec<Box<dyn Call<C>>>,
    /// How many calls were taken, those that have failed alone included.
    taken: usize,
    /// Where to report the end. Messages after this one are not taken.
    stop: Option<oneshot::Sender<Result<(), BackendError>>>,
}

impl<C> Batch<C> {
    /// Takes the waiting calls, up to the bound of a batch.
    fn take(&mut self, mut waiting: impl Iterator<Item = Message<C>>) {
        while self.stop.is_none() && self.taken < MAX_BATCH {
            match waiting.next() {
                Some(Message::Call(call)) => {
                    self.calls.push(call);
                    self.taken += 1;
                }
                Some(Message::Stop(done)) => self.stop = Some(done),
                None => break,
            }
        }
    }
}

/// The writer's thread: its session, and what it needs to run a transaction.
struct Writer<'c, C> {
    session: Session<'c, C>,
    place: &'c Place,
    marker: Option<Marker>,
    timeout: Duration,
}

impl<C: Cache> Writer<'_, C> {
    /// Commits one batch of calls after the other. Returns where to report the end.
    fn commit_batches(mut self, messages: &Receiver<Message<C>>) -> Option<oneshot::Sender<Result<(), BackendError>>> {
        while let Ok(first) = messages.recv() {
            let mut batch = Batch {
                calls: Vec::new(),
                taken: 0,
                stop: None,
            };
            batch.take(std::iter::once(first).chain(messages.try_iter()));
            self.commit(&mut batch, messages);
            if batch.stop.is_some() {
                return batch.stop;
            }
        }
        None
    }

    /// Marks the log if the last commit began it anew. After a failure, the next commit tries again.
    fn follow_log(&mut self) {
        if let Some(marker) = &mut self.marker
            && let Err(failure) = marker.follow(self.session.statements.connection())
        {
            tracing::debug!(%failure, "the log could not be marked");
        }
    }

    /// Runs the calls of a batch in one transaction, and answers them after the commit (ERR-5).
    ///
    /// Each call waits for the lock until its own time is over, and the time in the queue counts.
    fn commit(&mut self, batch: &mut Batch<C>, messages: &Receiver<Message<C>>) {
        let (calls, done) = loop {
            let Some(oldest) = batch.calls.iter().map(|call| call.submitted()).min() else {
                return;
            };
            let wait = Wait::since(oldest, self.timeout);
            let done = self.transaction(wait, |session| run_calls(session, batch, messages));
            let calls = std::mem::take(&mut batch.calls);
            let Err(Failed::Begin(Failure::Locked { .. })) = &done else {
                break (calls, done);
            };
            let (over, waiting) = calls
                .into_iter()
                .partition(|call| Wait::since(call.submitted(), self.timeout).is_over());
            batch.calls = waiting;
            answer(over, done);
        };
        match done {
            // One call failed, and no call was answered: run each in a transaction of its own, so that the others succeed.
            Err(Failed::Call(_)) if calls.len() > 1 => calls.into_iter().for_each(|mut call| {
                let wait = Wait::since(call.submitted(), self.timeout);
                let done = self.transaction(wait, |session| call.run(session));
                answer(vec![call], done);
            }),
            done => {
                if done.is_ok() {
                    observe::shared(calls.len());
                }
                answer(calls, done);
            }
        }
    }

    /// Runs one transaction.
    ///
    /// Whether the file is still at its path is looked at twice: before the transaction, so that nothing is written into the
    /// log of another file, and after the commit, so that no answer leaves for what nobody will find again.
    fn transaction(
        &mut self,
        wait: Wait,
        calls: impl FnOnce(&mut Session<'_, C>) -> Result<(), Failure>,
    ) -> Result<(), Failed> {
        let session = &mut self.session;
        session.has_parts = false;
        self.place.check().map_err(Failed::Begin)?;
        retry(wait, || Ok(session.statements.execute(Sql::Begin, [])?)).map_err(Failed::Begin)?;
        let done = session
            .revalidate()
            .map_err(Failure::from)
            .and_then(|()| calls(session))
            .map_err(Failed::Call)
            .and_then(|()| match commit(session) {
                Ok(()) => self.place.check().map_err(Failed::commit),
                Err(error) => Err(Failed::commit(error.into())),
            });
        let Err(mut failed) = done else {
            self.follow_log();
            observe::log(self.place);
            return Ok(());
        };
        session.cache.clear();
        // If the file is lost, that is the reason, whatever SQLite made of it.
        if let Err(lost) = self.place.check() {
            *failed.failure() = lost;
        }
        // After some failures (a full disk), SQLite has rolled back by itself.
        if !session.statements.connection().is_autocommit()
            && let Err(error) = session.statements.execute(Sql::Rollback, [])
        {
            tracing::error!(%error, "a transaction could not be rolled back");
            return Err(failed.not_rolled_back());
        }
        Err(failed)
    }
}

/// Commits, and measures how long the file took.
fn commit<C>(session: &mut Session<'_, C>) -> rusqlite::Result<()> {
    let begun = monotonic();
    session.statements.execute(Sql::Commit, [])?;
    observe::committed(begun.elapsed());
    Ok(())
}

/// Runs the calls of a batch, and those that arrive meanwhile, until no call waits.
///
/// Callers just answered have usually queued their next call; joining this transaction saves them a commit.
fn run_calls<C: Cache>(
    session: &mut Session<'_, C>,
    batch: &mut Batch<C>,
    messages: &Receiver<Message<C>>,
) -> Result<(), Failure> {
    let mut done = 0;
    while let Some(call) = batch.calls.get_mut(done) {
        if session.has_parts {
            match session.part(|session| call.run(session))? {
                Ok(()) => done += 1,
                // A closure has run, and does not run again: this call is undone alone.
                Err(failure) => batch.calls.remove(done).fail(Effect::NotApplied, Arc::new(failure)),
            }
        } else {
            call.run(session)?;
            done += 1;
        }
        if done == batch.calls.len() {
            // Another caller may be about to queue a call: yielding costs less than a sync of the disk.
            thread::yield_now();
            batch.take(messages.try_iter());
        }
    }
    Ok(())
}

/// Answers the calls of a transaction.
fn answer<C>(calls: Vec<Box<dyn Call<C>>>, done: Result<(), Failed>) {
    let (effect, failure) = match done {
        Ok(()) => return calls.into_iter().for_each(Call::answer),
        Err(Failed::Begin(failure) | Failed::Call(failure)) => (Effect::NotApplied, failure),
        Err(Failed::Commit {
            failure,
            is_undone: true,
        }) => (Effect::NotApplied, failure),
        // ERR-1: only the file knows whether the commit took effect.
        Err(Failed::Commit { failure, .. }) => (Effect::Unknown, failure),
    };
    let failure = Arc::new(failure);
    for call in calls {
        call.fail(effect, Arc::clone(&failure));
    }
}

/// The step at which a transaction failed.
enum Failed {
    Begin(Failure),
    Call(Failure),
    Commit { failure: Failure, is_undone: bool },
}

impl Failed {
    fn commit(failure: Failure) -> Self {
        if failure.is_of_rows() {
            return Self::Call(failure);
        }
        let is_undone = failure.is_undone();
        Self::Commit { failure, is_undone }
    }

    fn failure(&mut self) -> &mut Failure {
        match self {
            Self::Begin(failure) | Self::Call(failure) | Self::Commit { failure, .. } => failure,
        }
    }

    /// A commit that could not be rolled back either may take effect.
    fn not_rolled_back(self) -> Self {
        match self {
            Self::Commit { failure, .. } => Self::Commit {
                failure,
                is_undone: false,
            },
            before => before,
        }
    }
}
