//! Starts and stops the threads that use the file: one that writes, and some that read.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use futures::channel::oneshot;
use kp_core::{BackendError, Effect, OpenError};
use rusqlite::Connection;

use crate::file::busy::{Wait, retry};
use crate::file::calls::{Cache, Call, Message, Queue, Session};
use crate::file::connection::Connector;
use crate::file::error::Failure;
use crate::file::place::Place;
use crate::file::writer::write;
use crate::sql::Sql;

/// The queues of a writer and its readers.
#[derive(Debug)]
pub(crate) struct Threads<C> {
    pub(crate) writer: Queue<C>,
    pub(crate) readers: Queue<C>,
    reader_count: u32,
}

impl<C: Cache + 'static> Threads<C> {
    /// Opens the connections and starts their threads. `prepare` gets the writer's connection first.
    pub(crate) async fn start(
        connector: Connector,
        reader_count: u32,
        prepare: impl FnOnce(&mut Connection) + Send + 'static,
    ) -> Result<Self, OpenError> {
        let (writer, messages) = Queue::new();
        let timeout = connector.timeout;
        let open = {
            let connector = connector.clone();
            move || {
                let mut opened = connector.writer()?;
                prepare(&mut opened.connection);
                Ok((Arc::clone(&opened.place), opened))
            }
        };
        let place = spawn("kp-sqlite-writer", open, move |opened| {
            write(opened, messages, timeout);
        })
        .await?;
        let (readers, messages) = Queue::new();
        let messages = Arc::new(Mutex::new(messages));
        for _ in 0..reader_count {
            let (connector, messages, place) = (connector.clone(), Arc::clone(&messages), Arc::clone(&place));
            spawn(
                "kp-sqlite-reader",
                move || {
                    let connection = connector.reader(&place)?;
                    Ok((Arc::clone(&place), (connection, place)))
                },
                move |(connection, place)| read(connection, &place, messages, timeout),
            )
            .await?;
        }
        Ok(Self {
            writer,
            readers,
            reader_count,
        })
    }

    /// Stops the threads after the calls that are queued, the writer last.
    pub(crate) async fn stop(&self) -> Result<(), BackendError> {
        let readers: Vec<_> = (0..self.reader_count).map(|_| self.readers.stop()).collect();
        for reader in readers {
            // A reader that has ended before has nothing to close.
            let _ = reader.wait().await;
        }
        self.writer.stop().wait().await
    }
}

/// Starts a thread that opens its connection, reports the result, and, if the connection is open, serves.
async fn spawn<T>(
    name: &str,
    open: impl FnOnce() -> Result<(Arc<Place>, T), OpenError> + Send + 'static,
    serve: impl FnOnce(T) + Send + 'static,
) -> Result<Arc<Place>, OpenError> {
    let (report, opened) = oneshot::channel();
    let body = move || match open() {
        Ok((place, opened)) => {
            let _ = report.send(Ok(place));
            serve(opened);
        }
        Err(error) => drop(report.send(Err(error))),
    };
    thread::Builder::new()
        .name(name.into())
        .spawn(body)
        .map_err(|error| OpenError::Unreachable(error.into()))?;
    opened
        .await
        .unwrap_or_else(|canceled| Err(OpenError::Unreachable(canceled.into())))
}

/// Runs a reader's thread on the queue that it shares with the other readers.
fn read<C: Cache>(
    connection: Connection,
    place: &Place,
    messages: Arc<Mutex<mpsc::Receiver<Message<C>>>>,
    timeout: Duration,
) {
    let mut session = Session::new(&connection);
    let stop = loop {
        // An idle reader holds the lock: the other idle readers wait for the lock, and so for a message.
        let message = messages.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match message {
            Ok(Message::Call(mut call)) => {
                // Readers wait for nobody but who recovers the log of a crashed process, or has the file for itself.
                let wait = Wait::since(call.submitted(), timeout);
                let done = retry(wait, || snapshot(&mut session, call.as_mut()));
                // If the file is lost, that is the reason, whatever SQLite made of it.
                match place.check().and(done) {
                    Ok(()) => call.answer(),
                    Err(failure) => call.fail(Effect::NotApplied, Arc::new(failure)),
                }
            }
            Ok(Message::Stop(done)) => break Some(done),
            Err(_) => break None,
        }
    };
    drop(session);
    drop(connection);
    // Closes the queue before the report: a call that follows the report fails with `Closed`.
    drop(messages);
    if let Some(done) = stop {
        let _ = done.send(Ok(()));
    }
}

/// Runs a call in a snapshot that includes every commit answered before (LIN-1).
fn snapshot<C>(session: &mut Session<'_, C>, call: &mut dyn Call<C>) -> Result<(), Failure> {
    session.statements.execute(Sql::BeginRead, [])?;
    let done = call.run(session);
    // After some failures, SQLite has ended the snapshot by itself.
    if session.statements.connection().is_autocommit() {
        return done;
    }
    // Nothing was written: this only ends the snapshot.
    let ended = session.statements.execute(Sql::Rollback, []);
    done.and(ended.map(drop).map_err(Failure::from))
}
