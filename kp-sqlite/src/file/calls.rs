use std::sync::{Arc, mpsc};
use std::thread;

use futures::channel::oneshot;
use kp_core::{BackendError, Effect, OpenError};
use rusqlite::Connection;

use crate::file::error::{Failure, backend_error};
use crate::file::session::Session;

/// What a thread of the store is asked to do.
pub(crate) enum Message<C> {
    Call(Box<dyn Call<C>>),
    /// Finish what came before, close the connection, and say how that went.
    Stop(oneshot::Sender<Result<(), BackendError>>),
}

/// A call under way: what to do, and who waits for the answer.
pub(crate) trait Call<C>: Send {
    /// Does it, inside a transaction, and keeps the answer. May be run again after a rollback.
    fn run(&mut self, session: &mut Session<'_, C>) -> Result<(), Failure>;

    /// Lets the answer leave (ERR-5).
    fn answer(self: Box<Self>);

    /// Answers with a failure.
    fn fail(self: Box<Self>, outcome: Effect, failure: Arc<Failure>);
}

struct Pending<F, T> {
    operation: &'static str,
    run: F,
    answer: Option<T>,
    reply: oneshot::Sender<Result<T, BackendError>>,
}

impl<C, F, T> Call<C> for Pending<F, T>
where
    F: FnMut(&mut Session<'_, C>) -> Result<T, Failure> + Send,
    T: Send,
{
    fn run(&mut self, session: &mut Session<'_, C>) -> Result<(), Failure> {
        self.answer = Some((self.run)(session)?);
        Ok(())
    }

    fn answer(self: Box<Self>) {
        // ERR-2: a caller that no longer waits is none of the store's business.
        if let Some(answer) = self.answer {
            let _ = self.reply.send(Ok(answer));
        }
    }

    fn fail(self: Box<Self>, outcome: Effect, failure: Arc<Failure>) {
        let _ = self.reply.send(Err(backend_error(self.operation, outcome, failure)));
    }
}

/// The way to a thread of the store, or to several that share the work.
#[derive(Debug, Clone)]
pub(crate) struct Queue<C>(mpsc::Sender<Message<C>>);

impl<C: 'static> Queue<C> {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Message<C>>) {
        let (sender, receiver) = mpsc::channel();
        (Self(sender), receiver)
    }

    /// Puts a call into the queue, at once; the answer comes later.
    pub(crate) fn submit<T: Send + 'static>(
        &self,
        operation: &'static str,
        run: impl FnMut(&mut Session<'_, C>) -> Result<T, Failure> + Send + 'static,
    ) -> Reply<T> {
        let (reply, answer) = oneshot::channel();
        let call = Pending {
            operation,
            run,
            answer: None,
            reply,
        };
        if let Err(mpsc::SendError(Message::Call(call))) = self.0.send(Message::Call(Box::new(call))) {
            call.fail(Effect::NotApplied, Arc::new(Failure::Closed));
        }
        Reply { operation, answer }
    }

    /// Ends a thread, once it has done what was asked before. One that has ended already is no failure.
    pub(crate) fn stop(&self) -> Reply<()> {
        let (done, answer) = oneshot::channel();
        if let Err(mpsc::SendError(Message::Stop(done))) = self.0.send(Message::Stop(done)) {
            let _ = done.send(Ok(()));
        }
        Reply {
            operation: "close",
            answer,
        }
    }
}

/// An answer to come.
#[derive(Debug)]
pub(crate) struct Reply<T> {
    operation: &'static str,
    answer: oneshot::Receiver<Result<T, BackendError>>,
}

impl<T> Reply<T> {
    pub(crate) async fn wait(self) -> Result<T, BackendError> {
        match self.answer.await {
            Ok(answer) => answer,
            Err(oneshot::Canceled) => Err(backend_error(
                self.operation,
                Effect::Unknown,
                Arc::new(Failure::NoReply),
            )),
        }
    }
}

/// Starts a thread that opens its connection and, when it could, says so and serves.
pub(crate) async fn start(
    name: &str,
    open: impl FnOnce() -> Result<Connection, OpenError> + Send + 'static,
    serve: impl FnOnce(Connection) + Send + 'static,
) -> Result<(), OpenError> {
    let (report, opened) = oneshot::channel();
    let body = move || match open() {
        Ok(connection) => {
            let _ = report.send(Ok(()));
            serve(connection);
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
