use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kp_core::{BackendError, Effect};
use redis::{Cmd, RedisError, RedisResult, Value};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;

use crate::link::address::Address;
use crate::link::connection::Connection;
use crate::link::error::{ErrorClass, TimedOut, TooFewReplicas, failed, failed_for_now};
use crate::link::request::Request;

/// The pause before a command that was refused for now is sent again.
const PAUSE: Duration = Duration::from_millis(20);

/// The most connections that wait for replicas at once.
const WAITING: usize = 32;

/// Sends requests to the server, over one shared connection, and over connections that wait for replicas.
///
/// `WAIT` blocks its connection, so each call that waits has a connection of its own. `WAIT` covers only writes of its
/// own connection. A script that writes nothing (a replay, a refusal) would pass at once, before the replicas have the
/// change that the answer rests on (`ERR-5`). So a heartbeat key is set between the script and `WAIT`, in the same
/// pipeline.
pub(crate) struct Link {
    address: Address,
    timeout: Duration,
    replicas: Option<u32>,
    shared: Mutex<Option<Connection>>,
    idle: Mutex<VecDeque<Connection>>,
    permits: Semaphore,
}

impl Link {
    pub(crate) fn new(address: Address, timeout: Duration, replicas: Option<u32>) -> Self {
        Self {
            address,
            timeout,
            replicas,
            shared: Mutex::default(),
            idle: Mutex::default(),
            permits: Semaphore::new(WAITING),
        }
    }

    /// Sends a request. While the request is certainly not applied, sends it again, until the time-out.
    pub(crate) async fn call(&self, request: &Request<'_>) -> Result<Value, BackendError> {
        self.call_until(request, self.deadline()).await
    }

    /// Returns when a call that begins now times out.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// Sends one of several requests that make up one call and share its deadline: see [`call`](Self::call).
    pub(crate) async fn call_until(&self, request: &Request<'_>, deadline: Instant) -> Result<Value, BackendError> {
        let sent = AtomicBool::new(false);
        match tokio::time::timeout_at(deadline, self.attempts(request, &sent)).await {
            Ok(answer) => answer,
            Err(_) => {
                let unknown = sent.load(Ordering::Relaxed) && request.changes();
                let effect = if unknown { Effect::Unknown } else { Effect::NotApplied };
                Err(failed_for_now(request.operation, effect, TimedOut(self.timeout)))
            }
        }
    }

    async fn attempts(&self, request: &Request<'_>, sent: &AtomicBool) -> Result<Value, BackendError> {
        let waits = self.replicas.filter(|_| request.heartbeat.is_some());
        let _permit = match waits {
            Some(_) => self.permits.acquire().await.ok(),
            None => None,
        };
        let (mut whole, mut ask, mut lost) = (false, None, false);
        loop {
            let mut connection = self.connection(waits.is_some()).await.map_err(|error| {
                match ErrorClass::may_connect_later(&error) {
                    true => failed_for_now(request.operation, Effect::NotApplied, error),
                    false => failed(request.operation, Effect::NotApplied, error),
                }
            })?;
            let commands = request.commands(whole, ask.is_some(), waits, self.timeout);
            let preface = usize::from(ask.is_some());
            sent.store(true, Ordering::Relaxed);
            let replies = connection.send(&commands, request.key, ask.take()).await;
            let error = match first_and_rest(replies, preface) {
                Ok((reply, rest)) => {
                    if let Some(asked) = waits {
                        self.idle.lock().await.push_back(connection);
                        acknowledged(rest, asked)
                            .map_err(|source| failed_for_now(request.operation, Effect::Unknown, source))?;
                    }
                    return Ok(reply);
                }
                Err(error) => error,
            };
            let class = ErrorClass::of(&error, request.changes());
            match class {
                ErrorClass::Refused => return Err(failed(request.operation, Effect::NotApplied, error)),
                ErrorClass::Unclear => return Err(failed(request.operation, Effect::Unknown, error)),
                ErrorClass::ForNow => return Err(failed_for_now(request.operation, Effect::NotApplied, error)),
                ErrorClass::Isolated => {
                    connection.give_up();
                    return Err(failed_for_now(request.operation, Effect::NotApplied, error));
                }
                ErrorClass::Lost => {
                    connection.give_up();
                    if request.changes() {
                        return Err(failed_for_now(request.operation, Effect::Unknown, error));
                    } else if lost {
                        return Err(failed_for_now(request.operation, Effect::NotApplied, error));
                    }
                    lost = true; // A read may be sent again: once, on a fresh connection.
                    continue;
                }
                ErrorClass::SendWhole => whole = true,
                ErrorClass::AskAnother => ask = address_in(&error),
                ErrorClass::Reconnect => connection.give_up(),
                ErrorClass::TryAgain => {}
            }
            sent.store(false, Ordering::Relaxed);
            if waits.is_some() {
                self.idle.lock().await.push_back(connection);
            }
            let at_once = class == ErrorClass::SendWhole || ask.is_some();
            if !at_once {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Sends a command that changes nothing to every master.
    pub(crate) async fn ask_masters(&self, command: &Cmd) -> RedisResult<Vec<Value>> {
        let asked = async { self.connection(false).await?.send_to_masters(command).await };
        tokio::time::timeout(self.timeout, asked)
            .await
            .unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
    }

    /// Returns the shared connection; for a call that waits, an idle connection or a new one.
    async fn connection(&self, waits: bool) -> RedisResult<Connection> {
        if waits {
            let mut idle = self.idle.lock().await;
            idle.retain(|connection| !connection.is_lost());
            let found = idle.pop_front();
            drop(idle);
            return match found {
                Some(connection) => Ok(connection),
                None => self.address.connect().await,
            };
        }
        let mut shared = self.shared.lock().await;
        if let Some(connection) = shared.as_ref().filter(|connection| !connection.is_lost()) {
            return Ok(connection.clone());
        }
        let connection = self.address.connect().await?;
        *shared = Some(connection.clone());
        Ok(connection)
    }
}

impl fmt::Debug for Link {
    /// Omits the address, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("timeout", &self.timeout)
            .field("replicas", &self.replicas)
            .finish_non_exhaustive()
    }
}

/// Splits off the reply to the call itself. `preface` replies come before that reply.
fn first_and_rest(
    replies: RedisResult<Vec<Value>>,
    preface: usize,
) -> RedisResult<(Value, impl Iterator<Item = Value>)> {
    let mut replies = replies?.into_iter().skip(preface);
    let first = replies.next().unwrap_or(Value::Nil).extract_error()?;
    Ok((first, replies))
}

/// Checks that enough replicas have the heartbeat, and so every write before it (`ERR-5`).
fn acknowledged(mut rest: impl Iterator<Item = Value>, asked: u32) -> Result<(), TooFewReplicas> {
    let heartbeat = rest.next().map(Value::extract_error);
    let found = match (heartbeat, rest.next()) {
        (Some(Ok(_)), Some(Value::Int(found))) => found,
        _ => 0,
    };
    if found >= i64::from(asked) {
        Ok(())
    } else {
        Err(TooFewReplicas { found, asked })
    }
}

/// Returns the node that an ASK redirection names.
fn address_in(error: &RedisError) -> Option<(String, u16)> {
    let (host, port) = error.redirect_node()?.0.rsplit_once(':')?;
    Some((host.to_owned(), port.parse().ok()?))
}
