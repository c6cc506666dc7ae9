use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::RedisResult;

use crate::link::address::Address;
use crate::link::connection::Connection;
use crate::link::observe;

/// The connections of a link: one that calls share, and those of calls that wait for replicas.
///
/// A server is left as a whole. Once one connection proves that it leads to no master, or to nothing that answers, no
/// connection made before is used again: the others lead to the same place, and each would cost a call its time-out.
///
/// The shared connection is used for one time-out at most, then the address is asked for anew. A master that was cut off
/// from all others goes on answering those who are connected to it, and no sign of its own tells them that it was
/// replaced: only the name, or the Sentinel, does. Calls that wait need no such limit, since no replica of another
/// master acknowledges.
pub(crate) struct Connections {
    address: Address,
    timeout: Duration,
    /// How often the server was left.
    epoch: AtomicU64,
    shared: Mutex<Option<Connection>>,
    /// Held while the shared connection is made, so that calls which need one at once make one between them.
    connecting: tokio::sync::Mutex<()>,
    idle: Mutex<VecDeque<Connection>>,
}

impl Connections {
    pub(crate) fn new(address: Address, timeout: Duration) -> Self {
        Self {
            address,
            timeout,
            epoch: AtomicU64::new(0),
            shared: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
            idle: Mutex::default(),
        }
    }

    pub(crate) fn is_cluster(&self) -> bool {
        self.address.is_cluster()
    }

    /// Returns the shared connection.
    pub(crate) async fn shared(&self) -> RedisResult<Connection> {
        if let Some(connection) = self.current() {
            return Ok(connection);
        }
        let _turn = self.connecting.lock().await;
        if let Some(connection) = self.current() {
            return Ok(connection);
        }
        let connection = self.connect().await?;
        *held(&self.shared) = Some(connection.clone());
        Ok(connection)
    }

    fn current(&self) -> Option<Connection> {
        held(&self.shared)
            .as_ref()
            .filter(|connection| self.is_usable(connection) && !connection.is_older_than(self.timeout))
            .cloned()
    }

    /// Returns a connection that nobody else uses: an idle one, or a new one.
    pub(crate) async fn own(&self) -> RedisResult<Connection> {
        let found = {
            let mut idle = held(&self.idle);
            idle.retain(|connection| self.is_usable(connection));
            idle.pop_front()
        };
        match found {
            Some(connection) => Ok(connection),
            None => self.connect().await,
        }
    }

    /// Takes back a connection that was lent by [`own`](Self::own).
    pub(crate) fn give_back(&self, connection: Connection) {
        held(&self.idle).push_back(connection);
    }

    /// Leaves the server that the connection leads to. What is under way on its connections may still be answered.
    pub(crate) fn leave(&self, connection: &Connection) {
        let next = connection.epoch + 1;
        // Where another call has left it already, there is a better connection.
        let _ = self
            .epoch
            .compare_exchange(connection.epoch, next, Ordering::AcqRel, Ordering::Acquire);
    }

    async fn connect(&self) -> RedisResult<Connection> {
        let epoch = self.epoch.load(Ordering::Acquire);
        let connection = self.address.connect(epoch).await?;
        observe::connected();
        Ok(connection)
    }

    fn is_usable(&self, connection: &Connection) -> bool {
        connection.epoch == self.epoch.load(Ordering::Acquire) && !connection.is_dead(self.timeout)
    }
}

/// Locks a mutex that is never held across an await.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
