use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use kp_core::BackendError;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::link::calls::{Operation, Queue, Reply, submit};
use crate::link::connection::Texts;
use crate::link::connector::Connector;
use crate::link::param::Param;
use crate::link::readers::Readers;
use crate::link::row::Row;
use crate::pools::writer::Writer;
use crate::sql::ReadSql;

/// The writers and readers of a store.
pub(crate) struct Access {
    writers: Vec<Queue>,
    readers: Readers,
    timeout: Duration,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl Access {
    /// Starts the tasks of a store, whose tables are there.
    pub(crate) fn start(connector: &Arc<Connector>, texts: &Texts, writers: usize, readers: Readers) -> Self {
        let writer = |_| {
            let (queue, calls) = mpsc::unbounded_channel();
            tokio::spawn(Writer::run(Arc::clone(connector), Arc::clone(texts), calls));
            queue
        };
        Self {
            writers: (0..writers.max(1)).map(writer).collect(),
            readers,
            timeout: connector.timeout(),
        }
    }

    /// Queues a call for the writer of its pool: calls on one pool never wait for each other's transactions.
    pub(crate) fn write<T: Send + 'static>(&self, operation: Operation<T>) -> Reply<T> {
        let mut hasher = DefaultHasher::new();
        operation.pool.hash(&mut hasher);
        let writers = &self.writers;
        let writer = &writers[usize::try_from(hasher.finish()).unwrap_or_default() % writers.len()];
        submit(writer, operation, Instant::now() + self.timeout)
    }

    pub(crate) async fn read(
        &self,
        operation: &'static str,
        sql: ReadSql,
        params: impl Fn() -> Vec<Param>,
    ) -> Result<Vec<Row>, BackendError> {
        self.readers.read(operation, || sql.with(params())).await
    }
}
