use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::link::commit::Failed;
use crate::link::connection::{Connection, Texts};
use crate::link::connector::Connector;
use crate::link::error::{Failure, Remedy};

/// The connection of a writer, which lasts from one transaction to the next.
#[derive(Debug)]
pub(crate) struct Line {
    connector: Arc<Connector>,
    texts: Texts,
    connection: Option<Connection>,
}

impl Line {
    /// Connects with the first transaction.
    pub(crate) fn new(connector: Arc<Connector>, texts: Texts) -> Self {
        Self {
            connector,
            texts,
            connection: None,
        }
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.connector.timeout()
    }

    /// Returns the connection, or another one if it cannot be used any more.
    pub(crate) async fn take(&mut self, left: Duration) -> Result<Connection, Failed> {
        if let Some(connection) = self.connection.take().filter(Connection::is_usable) {
            return Ok(connection);
        }
        let connecting = timeout(left, self.connector.connect(&self.texts)).await;
        connecting
            .unwrap_or(Err(Failure::TimedOut(left)))
            .map_err(Failed::NotApplied)
    }

    /// Keeps the connection for the next transaction, unless this one shows that it is lost.
    pub(crate) fn put_back<T>(&mut self, connection: Connection, done: &Result<T, Failed>) {
        let keep = match done {
            Ok(_) => true,
            Err(Failed::NotApplied(failure)) => failure.remedy() != Remedy::Reconnect,
            Err(Failed::Unknown(_)) => false,
        };
        self.connection = Some(connection).filter(|_| keep);
    }
}
