//! Calls that change something: how they are queued and answered.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use kp_core::rules::{Interrupted, LoadedPool, LookUp};
use kp_core::{BackendError, Effect, PoolId};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::link::error::{Failure, backend_error};
use crate::link::observe::UnderWay;

/// What a call is, beside a step of the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The pool is made if it is not there, and refs are looked up with their bytes. `bytes`: those of the KeyPackages that the
    /// call brings.
    Save {
        bytes: usize,
    },
    /// Refs are looked up with their bytes, and the first record of the queue will do.
    Take,
    /// As a take, but the first record of the queue may not do.
    Choice,
    Other,
    /// The bounds of the pool's row are computed anew.
    Sweep,
}

impl Kind {
    pub(crate) fn makes_its_pool(self) -> bool {
        matches!(self, Self::Save { .. })
    }

    /// Returns how many bytes of KeyPackages a call brings.
    pub(crate) fn brings(self) -> usize {
        match self {
            Self::Save { bytes } => bytes,
            _ => 0,
        }
    }
}

/// The step of a call. After a rollback, or when a look-up is missing, it is run again.
pub(crate) type Step<T> = Box<dyn FnMut(&mut LoadedPool) -> Result<T, Interrupted> + Send>;

/// A call on one pool.
pub(crate) struct Call {
    pub(crate) pool: PoolId,
    pub(crate) kind: Kind,
    /// The look-ups that the call needs as a rule.
    pub(crate) look_ups: Vec<LookUp>,
    /// When the caller waits no longer.
    pub(crate) deadline: Instant,
    pub(crate) step: Box<dyn Pending>,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("pool", &self.pool).finish_non_exhaustive()
    }
}

/// A step of any type, and where its answer goes.
pub(crate) trait Pending: Any + Send {
    /// Runs the step, and keeps the answer.
    fn run(&mut self, pool: &mut LoadedPool) -> Result<(), Interrupted>;

    /// Takes note that the step cannot be run: its answer is a failure, whatever becomes of the others.
    fn spoil(&mut self, failure: Failure);

    /// Sends the answer, after the commit (ERR-5).
    fn answer(self: Box<Self>);

    /// Sends a failure.
    fn fail(self: Box<Self>, effect: Effect, failure: Arc<Failure>);
}

struct Waiting<T> {
    operation: &'static str,
    step: Step<T>,
    answer: Option<Result<T, Failure>>,
    reply: oneshot::Sender<Result<T, BackendError>>,
    _under_way: UnderWay,
}

impl<T: Send + 'static> Pending for Waiting<T> {
    fn run(&mut self, pool: &mut LoadedPool) -> Result<(), Interrupted> {
        self.answer = Some(Ok(pool.step(&mut self.step)?));
        Ok(())
    }

    fn spoil(&mut self, failure: Failure) {
        self.answer = Some(Err(failure));
    }

    fn answer(self: Box<Self>) {
        let failed = |failure| backend_error(self.operation, Effect::NotApplied, Arc::new(failure));
        if let Some(answer) = self.answer {
            // ERR-2: the caller may have dropped the future.
            let _ = self.reply.send(answer.map_err(failed));
        }
    }

    fn fail(self: Box<Self>, effect: Effect, failure: Arc<Failure>) {
        let _ = self.reply.send(Err(backend_error(self.operation, effect, failure)));
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
            // The writer ended in the middle of the call: with its runtime.
            Err(_) => Err(backend_error(
                self.operation,
                Effect::Unknown,
                Arc::new(Failure::Closed),
            )),
        }
    }
}

/// The queue of a writer.
pub(crate) type Queue = mpsc::UnboundedSender<Call>;

/// What is asked of a pool.
pub(crate) struct Operation<T> {
    pub(crate) name: &'static str,
    pub(crate) pool: PoolId,
    pub(crate) kind: Kind,
    pub(crate) look_ups: Vec<LookUp>,
    pub(crate) step: Step<T>,
}

impl<T: Send + 'static> Operation<T> {
    /// Makes a call of it, whose caller waits until then.
    pub(crate) fn call(self, deadline: Instant) -> (Call, Reply<T>) {
        let (reply, answer) = oneshot::channel();
        let operation = self.name;
        let step = Box::new(Waiting {
            operation,
            step: self.step,
            answer: None,
            reply,
            _under_way: UnderWay::begin(),
        });
        let call = Call {
            pool: self.pool,
            kind: self.kind,
            look_ups: self.look_ups,
            deadline,
            step,
        };
        (call, Reply { operation, answer })
    }
}

/// Queues a call at once. The answer comes later.
pub(crate) fn submit<T: Send + 'static>(queue: &Queue, operation: Operation<T>, deadline: Instant) -> Reply<T> {
    let (call, reply) = operation.call(deadline);
    if let Err(mpsc::error::SendError(call)) = queue.send(call) {
        call.step.fail(Effect::NotApplied, Arc::new(Failure::Closed));
    }
    reply
}
