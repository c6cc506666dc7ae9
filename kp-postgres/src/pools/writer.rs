//! A writer: takes the calls that wait, runs them in one transaction, commits, and answers them.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use kp_core::Effect;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep};

use crate::link::calls::Call;
use crate::link::commit::Failed;
use crate::link::connection::Texts;
use crate::link::connector::Connector;
use crate::link::error::{Failure, Remedy};
use crate::link::line::Line;
use crate::link::observe;
use crate::link::readers::PAUSE;
use crate::pools::transaction::commit;

/// The most calls that share a commit: it bounds how many pools a transaction locks.
const MAX_BATCH: usize = 256;

/// The most bytes of KeyPackages that calls bring to a commit which they share: a batch is in memory once more while it is sent.
const MAX_BATCH_BYTES: usize = 16 * 1024 * 1024;

/// After so many failures, each call of a batch runs by itself: what is wrong with one must not fail the others.
const MAX_FAILURES: u32 = 3;

/// One writer, with a connection of its own.
#[derive(Debug)]
pub(crate) struct Writer {
    line: Line,
}

impl Writer {
    /// Runs a writer until its queue is dropped. It connects at the first call.
    pub(crate) async fn run(connector: Arc<Connector>, texts: Texts, mut queue: UnboundedReceiver<Call>) {
        let mut writer = Self {
            line: Line::new(connector, texts),
        };
        let mut calls = Vec::new();
        while queue.recv_many(&mut calls, MAX_BATCH).await > 0 {
            for batch in batches(std::mem::take(&mut calls)) {
                writer.commit(batch).await;
            }
            // Callers just answered have usually a next call: joining the next transaction spares them a commit.
            tokio::task::yield_now().await;
        }
    }

    /// Commits calls and answers them, until each is answered or its time is over.
    fn commit(&mut self, mut calls: Vec<Call>) -> BoxFuture<'_, ()> {
        async move {
            let mut failures = 0;
            let mut last = Arc::new(Failure::TimedOut(self.line.timeout()));
            loop {
                let now = Instant::now();
                let (over, waiting): (Vec<_>, Vec<_>) = calls.into_iter().partition(|call| call.deadline <= now);
                fail(over, Effect::NotApplied, &last);
                calls = waiting;
                let Some(first) = calls.iter().map(|call| call.deadline).min() else {
                    return;
                };
                match self.attempt(&mut calls, first - now).await {
                    Ok(()) => return calls.into_iter().for_each(|call| call.step.answer()),
                    // ERR-1: only the server knows whether the commit took effect.
                    Err(Failed::Unknown(failure)) => return fail(calls, Effect::Unknown, &Arc::new(failure)),
                    Err(Failed::NotApplied(failure)) => {
                        let remedy = failure.remedy();
                        failures += 1;
                        let is_split = remedy == Remedy::Never || (remedy == Remedy::Again && failures >= MAX_FAILURES);
                        if calls.len() > 1 && is_split {
                            for call in calls {
                                self.commit(vec![call]).await;
                            }
                            return;
                        }
                        if matches!(remedy, Remedy::Never | Remedy::ForNow) {
                            return fail(calls, Effect::NotApplied, &Arc::new(failure));
                        }
                        last = Arc::new(failure);
                        observe::retried();
                        if remedy == Remedy::Reconnect && failures > 1 {
                            sleep(PAUSE).await;
                        }
                    }
                }
            }
        }
        .boxed()
    }

    async fn attempt(&mut self, calls: &mut [Call], left: Duration) -> Result<(), Failed> {
        let connection = self.line.take(left).await?;
        let begun = Instant::now();
        let done = commit(&connection, calls, left, self.line.timeout()).await;
        if done.is_ok() {
            observe::committed(calls.len(), begun.elapsed());
        }
        self.line.put_back(connection, &done);
        done
    }
}

/// Divides calls into those that share a commit, in their order.
fn batches(calls: Vec<Call>) -> Vec<Vec<Call>> {
    let mut batches: Vec<Vec<Call>> = Vec::new();
    let mut room = 0;
    for call in calls {
        let bytes = call.kind.brings();
        match batches.last_mut() {
            Some(batch) if bytes <= room => batch.push(call),
            _ => {
                room = MAX_BATCH_BYTES;
                batches.push(vec![call]);
            }
        }
        room = room.saturating_sub(bytes);
    }
    batches
}

fn fail(calls: Vec<Call>, effect: Effect, failure: &Arc<Failure>) {
    for call in calls {
        call.step.fail(effect, Arc::clone(failure));
    }
}
