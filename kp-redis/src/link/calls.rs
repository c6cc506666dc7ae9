use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kp_core::{BackendError, Effect};
use redis::{Cmd, ErrorKind, RedisError, RedisResult, Value};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::link::address::Address;
use crate::link::connection::Connection;
use crate::link::connections::Connections;
use crate::link::error::{ErrorClass, TimedOut, failed, failed_for_now};
use crate::link::library::Library;
use crate::link::observe::{self, UnderWay};
use crate::link::proof::{Proof, Unproven};
use crate::link::request::{Form, Request};

/// The pause before a command that was refused for now is sent again.
const PAUSE: Duration = Duration::from_millis(20);

/// The most connections that wait for replicas at once.
const WAITING: usize = 32;

/// Sends requests to the server, over one shared connection, and over connections that wait for replicas.
///
/// `WAIT` blocks its connection, so each call that waits has a connection of its own.
pub(crate) struct Link {
    connections: Connections,
    timeout: Duration,
    replicas: Option<u32>,
    permits: Semaphore,
    /// The functions that the server runs in place of the scripts.
    pub(crate) library: Option<&'static Library>,
}

/// What a call has under way.
#[derive(Default)]
struct Flight(Mutex<Way>);

#[derive(Default)]
struct Way {
    /// Where a request was sent that has no answer yet.
    sent: Option<Connection>,
    /// Why the request before was not applied.
    refused: Option<RedisError>,
}

impl Flight {
    fn sends(&self, connection: &Connection) {
        self.way().sent = Some(connection.clone());
    }

    fn refused(&self, error: RedisError) {
        *self.way() = Way {
            sent: None,
            refused: Some(error),
        };
    }

    fn way(&self) -> std::sync::MutexGuard<'_, Way> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Link {
    pub(crate) fn new(address: Address, timeout: Duration, replicas: Option<u32>) -> Self {
        Self {
            connections: Connections::new(address, timeout),
            timeout,
            replicas,
            permits: Semaphore::new(WAITING),
            library: None,
        }
    }

    pub(crate) fn is_cluster(&self) -> bool {
        self.connections.is_cluster()
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
        let _under_way = UnderWay::begin();
        let flight = Flight::default();
        match tokio::time::timeout_at(deadline, self.attempts(request, deadline, &flight)).await {
            Ok(answer) => answer,
            Err(_) => {
                let way = std::mem::take(&mut *flight.way());
                // Nothing came: not even the next call may wait for this connection.
                if let Some(connection) = &way.sent {
                    self.connections.leave(connection);
                }
                let unknown = way.sent.is_some() && request.changes();
                let effect = if unknown { Effect::Unknown } else { Effect::NotApplied };
                let source = TimedOut {
                    after: self.timeout,
                    refused: way.refused,
                };
                Err(failed_for_now(request.operation, effect, source))
            }
        }
    }

    async fn attempts(&self, request: &Request<'_>, deadline: Instant, flight: &Flight) -> Result<Value, BackendError> {
        let operation = request.operation;
        let waits = self.replicas.zip(request.heartbeat.as_deref());
        let _permit = match waits {
            Some(_) => self.permits.acquire().await.ok(),
            None => None,
        };
        let (mut form, mut ask, mut lost) = (Form::of(self.library), None, false);
        loop {
            let connected = match waits {
                Some(_) => self.connections.own().await,
                None => self.connections.shared().await,
            };
            let mut connection = match connected {
                Ok(connection) => connection,
                // Between two masters the Sentinels name none.
                Err(error) if error.kind() == ErrorKind::MasterNameNotFoundBySentinel => {
                    flight.refused(error);
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                Err(error) if ErrorClass::may_connect_later(&error) => {
                    return Err(failed_for_now(operation, Effect::NotApplied, error));
                }
                Err(error) => return Err(failed(operation, Effect::NotApplied, error)),
            };
            let proof = match waits {
                Some((asked, heartbeat)) => Proof::Replicas {
                    asked,
                    // Its answer is to come before the call times out, so that a silent server can be told from slow
                    // replicas.
                    within: deadline.saturating_duration_since(Instant::now()) * 3 / 4,
                    heartbeat,
                },
                None if request.changes() => Proof::Itself,
                None => Proof::Role,
            };
            let (commands, before) = request.commands(form, ask.is_some(), proof);
            flight.sends(&connection);
            let replies = connection.send(&commands, request.key, ask.take()).await;
            let (error, class) = match first_and_rest(replies, before) {
                Ok((reply, rest)) => match proof.check(rest) {
                    Ok(()) => {
                        if waits.is_some() {
                            self.connections.give_back(connection);
                        }
                        return Ok(reply);
                    }
                    Err(Unproven::TooFewReplicas(source)) => {
                        // The replicas may have another master by now.
                        self.connections.leave(&connection);
                        return Err(failed_for_now(operation, Effect::Unknown, source));
                    }
                    Err(Unproven::NoMaster(error)) => {
                        let class = ErrorClass::of_no_master(&error);
                        (error, class)
                    }
                },
                Err(error) => {
                    let class = ErrorClass::of(&error, request.changes());
                    (error, class)
                }
            };
            match class {
                ErrorClass::Refused => return Err(failed(operation, Effect::NotApplied, error)),
                ErrorClass::Unclear => return Err(failed(operation, Effect::Unknown, error)),
                ErrorClass::ForNow => return Err(failed_for_now(operation, Effect::NotApplied, error)),
                ErrorClass::Isolated => {
                    self.connections.leave(&connection);
                    return Err(failed_for_now(operation, Effect::NotApplied, error));
                }
                ErrorClass::Lost => {
                    if !connection.is_cluster() || error.is_timeout() {
                        self.connections.leave(&connection);
                    }
                    if request.changes() {
                        return Err(failed_for_now(operation, Effect::Unknown, error));
                    } else if lost {
                        return Err(failed_for_now(operation, Effect::NotApplied, error));
                    }
                    observe::retried();
                    lost = true; // A read may be sent again: once, on a fresh connection.
                    continue;
                }
                ErrorClass::SendWhole => form = form.longer(),
                ErrorClass::AskAnother => ask = address_in(&error),
                ErrorClass::Reconnect if connection.is_cluster() => {}
                ErrorClass::Reconnect => self.connections.leave(&connection),
                ErrorClass::TryAgain => {}
            }
            flight.refused(error);
            observe::retried();
            if waits.is_some() {
                self.connections.give_back(connection);
            }
            let at_once = class == ErrorClass::SendWhole || ask.is_some();
            if !at_once {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Sends a command that changes nothing to every master.
    pub(crate) async fn ask_masters(&self, command: &Cmd) -> RedisResult<Vec<Value>> {
        let asked = async { self.connections.shared().await?.send_to_masters(command).await };
        tokio::time::timeout(self.timeout, asked)
            .await
            .unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
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

/// Splits off the reply to the call itself. So many replies come before that reply.
fn first_and_rest(
    replies: RedisResult<Vec<Value>>,
    before: usize,
) -> RedisResult<(Value, impl Iterator<Item = Value>)> {
    let mut replies = replies?.into_iter().skip(before);
    let first = replies.next().unwrap_or(Value::Nil).extract_error()?;
    Ok((first, replies))
}

/// Returns the node that an ASK redirection names.
fn address_in(error: &RedisError) -> Option<(String, u16)> {
    let (host, port) = error.redirect_node()?.0.rsplit_once(':')?;
    Some((host.to_owned(), port.parse().ok()?))
}
