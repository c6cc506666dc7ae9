//! Calls on the file: how they are queued and answered, and the session that they run in.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, mpsc};
use std::time::Instant;

use futures::channel::oneshot;
use kp_core::{BackendError, Effect};
use rusqlite::{Connection, Params, Row, Statement};

use crate::file::busy::monotonic;
use crate::file::error::{Failure, backend_error};
use crate::file::guard::{guarded, in_closure};
use crate::file::observe::UnderWay;
use crate::sql::Sql;

/// The queue of a thread, or of several threads that share the work.
#[derive(Debug, Clone)]
pub(crate) struct Queue<C>(mpsc::Sender<Message<C>>);

/// An entry of a queue.
pub(crate) enum Message<C> {
    Call(Box<dyn Call<C>>),
    /// Asks the thread to finish the calls before this message, to close its connection, and to report the result.
    Stop(oneshot::Sender<Result<(), BackendError>>),
}

impl<C: 'static> Queue<C> {
    pub(crate) fn new() -> (Self, Receiver<Message<C>>) {
        let (sender, receiver) = mpsc::channel();
        (Self(sender), receiver)
    }

    /// Queues a call at once. The answer comes later.
    pub(crate) fn submit<T: Send + 'static>(
        &self,
        operation: &'static str,
        run: impl FnMut(&mut Session<'_, C>) -> Result<T, Failure> + Send + 'static,
    ) -> Reply<T> {
        let (reply, answer) = oneshot::channel();
        let call = Pending {
            operation,
            submitted: monotonic(),
            run,
            answer: None,
            reply,
            _under_way: UnderWay::begin(),
        };
        let call: Box<dyn Call<C>> = Box::new(call);
        if in_closure() {
            call.fail(Effect::NotApplied, Arc::new(Failure::InClosure));
        } else if let Err(mpsc::SendError(Message::Call(call))) = self.0.send(Message::Call(call)) {
            call.fail(Effect::NotApplied, Arc::new(Failure::Closed));
        }
        Reply { operation, answer }
    }

    /// Stops a thread after the calls that are queued. Does nothing if the thread has ended.
    pub(crate) fn stop(&self) -> Reply<()> {
        let (done, answer) = oneshot::channel();
        if in_closure() {
            let failure = Arc::new(Failure::InClosure);
            let _ = done.send(Err(backend_error("close", Effect::NotApplied, failure)));
        } else if let Err(mpsc::SendError(Message::Stop(done))) = self.0.send(Message::Stop(done)) {
            let _ = done.send(Ok(()));
        }
        Reply {
            operation: "close",
            answer,
        }
    }
}

/// The answer of a call, once it has come.
#[derive(Debug)]
pub(crate) struct Reply<T> {
    operation: &'static str,
    answer: oneshot::Receiver<Result<T, BackendError>>,
}

impl<T> Reply<T> {
    pub(crate) async fn wait(self) -> Result<T, BackendError> {
        match self.answer.await {
            Ok(answer) => answer,
            Err(oneshot::Canceled) => {
                let failure = Arc::new(Failure::NoReply);
                Err(backend_error(self.operation, Effect::Unknown, failure))
            }
        }
    }
}

/// A call of any type.
pub(crate) trait Call<C>: Send {
    /// Returns the moment since which the caller waits.
    fn submitted(&self) -> Instant;

    /// Runs the call inside a transaction and keeps the answer. After a rollback, a call may be run again.
    fn run(&mut self, session: &mut Session<'_, C>) -> Result<(), Failure>;

    /// Sends the answer (ERR-5).
    fn answer(self: Box<Self>);

    /// Sends a failure.
    fn fail(self: Box<Self>, effect: Effect, failure: Arc<Failure>);
}

/// Drops what is the server's. A panic in it does not end the thread, and a call on a store in it does not wait for the thread
/// (TX-4).
pub(crate) fn let_go<T>(last: T) {
    survive(|| guarded(|| drop(last)));
}

fn survive(run: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
        // It may panic in turn.
        std::mem::forget(panic);
    }
}

/// Sends an answer, and lets go of it if its caller has dropped the future (ERR-2).
fn send<T>(reply: oneshot::Sender<T>, answer: T) {
    let mut unsent = None;
    survive(|| unsent = reply.send(answer).err());
    let_go(unsent);
}

struct Pending<F, T> {
    operation: &'static str,
    submitted: Instant,
    run: F,
    answer: Option<T>,
    reply: oneshot::Sender<Result<T, BackendError>>,
    _under_way: UnderWay,
}

impl<C, F, T> Call<C> for Pending<F, T>
where
    F: FnMut(&mut Session<'_, C>) -> Result<T, Failure> + Send,
    T: Send,
{
    fn submitted(&self) -> Instant {
        self.submitted
    }

    fn run(&mut self, session: &mut Session<'_, C>) -> Result<(), Failure> {
        self.answer = Some((self.run)(session)?);
        Ok(())
    }

    fn answer(self: Box<Self>) {
        let Self { reply, answer, run, .. } = *self;
        let_go(run);
        if let Some(answer) = answer {
            send(reply, Ok(answer));
        }
    }

    fn fail(self: Box<Self>, effect: Effect, failure: Arc<Failure>) {
        let Self {
            reply,
            answer,
            run,
            operation,
            ..
        } = *self;
        let_go(run);
        let_go(answer);
        send(reply, Err(backend_error(operation, effect, failure)));
    }
}

/// A connection, with its prepared statements and the cache of its thread.
#[derive(Debug)]
pub(crate) struct Session<'c, C> {
    pub(crate) statements: Statements<'c>,
    pub(crate) cache: C,
    /// The version of the file that the cache belongs to: SQLite's `data_version`.
    version: i64,
    /// Whether a part of the transaction cannot run again, so that the parts after it are undone alone.
    pub(crate) has_parts: bool,
}

/// Content of the file that a thread keeps between two transactions.
pub(crate) trait Cache: Default {
    /// Forgets everything.
    fn clear(&mut self);
}

/// Keeps nothing.
impl Cache for () {
    fn clear(&mut self) {}
}

impl<'c, C: Cache> Session<'c, C> {
    pub(crate) fn new(connection: &'c Connection) -> Self {
        Self {
            statements: Statements::new(connection),
            cache: C::default(),
            version: 0,
            has_parts: false,
        }
    }

    /// Clears the cache if another connection has committed. To be called inside a transaction.
    pub(crate) fn revalidate(&mut self) -> rusqlite::Result<()> {
        let version = self.statements.one(Sql::DataVersion, [], |row| row.get(0))?;
        if version != self.version {
            self.cache.clear();
            self.version = version;
        }
        Ok(())
    }

    /// Runs a part of a transaction, and undoes it alone if it fails. Fails itself if the whole transaction is lost.
    pub(crate) fn part<T, E>(&mut self, run: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<Result<T, E>, Failure> {
        self.has_parts = true;
        self.statements.execute(Sql::PartBegin, [])?;
        let done = run(self);
        match self.end_part(done.is_err()) {
            Ok(()) => Ok(done),
            Err(failure) => {
                let_go(done);
                Err(failure)
            }
        }
    }

    fn end_part(&mut self, undo: bool) -> Result<(), Failure> {
        if self.statements.connection().is_autocommit() {
            return Err(Failure::RolledBack);
        }
        if undo {
            self.cache.clear();
            self.statements.execute(Sql::PartUndo, [])?;
        }
        self.statements.execute(Sql::PartEnd, [])?;
        Ok(())
    }
}

/// The statements of a connection. Each is prepared on first use, and kept.
pub(crate) struct Statements<'c> {
    connection: &'c Connection,
    prepared: [Option<Statement<'c>>; Sql::ALL.len()],
}

impl fmt::Debug for Statements<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statements").finish_non_exhaustive()
    }
}

impl<'c> Statements<'c> {
    pub(crate) fn new(connection: &'c Connection) -> Self {
        Self {
            connection,
            prepared: [const { None }; Sql::ALL.len()],
        }
    }

    pub(crate) fn connection(&self) -> &'c Connection {
        self.connection
    }

    /// Returns a prepared statement.
    pub(crate) fn get(&mut self, sql: Sql) -> rusqlite::Result<&mut Statement<'c>> {
        Ok(match &mut self.prepared[sql as usize] {
            Some(statement) => statement,
            empty => empty.insert(self.connection.prepare(sql.text())?),
        })
    }

    /// Runs a statement, and returns how many rows it changed.
    pub(crate) fn execute(&mut self, sql: Sql, params: impl Params) -> rusqlite::Result<usize> {
        self.get(sql)?.execute(params)
    }

    /// Runs a statement, and reads its only row.
    pub(crate) fn one<T>(
        &mut self,
        sql: Sql,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.get(sql)?.query_row(params, read)
    }

    /// Runs a statement, and reads all its rows.
    pub(crate) fn all<T>(
        &mut self,
        sql: Sql,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        self.get(sql)?.query_map(params, read)?.collect()
    }
}
