use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kp_core::{BackendError, Effect};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::link::connection::{Connection, Statement, Texts};
use crate::link::connector::Connector;
use crate::link::error::{Failure, Remedy, backend_error};
use crate::link::row::Row;

/// How long to wait before the next attempt to connect.
pub(crate) const PAUSE: Duration = Duration::from_millis(25);

type Asked = oneshot::Sender<Result<Arc<Connection>, Failure>>;

/// The connections that read. Each is shared: reads that come together are pipelined.
#[derive(Debug)]
pub(crate) struct Readers {
    readers: Vec<Reader>,
    timeout: Duration,
}

/// One connection that reads.
#[derive(Debug)]
struct Reader {
    keeper: mpsc::UnboundedSender<Asked>,
    /// How many reads are under way.
    reads: AtomicUsize,
}

impl Readers {
    /// Starts the tasks that keep the connections. The first one is there; each other connects when it is first asked.
    pub(crate) fn start(connector: &Arc<Connector>, texts: &Texts, first: Connection, count: usize) -> Self {
        let mut first = Some(Arc::new(first));
        let start = |_| {
            let (keeper, asked) = mpsc::unbounded_channel();
            tokio::spawn(keep(Arc::clone(connector), Arc::clone(texts), first.take(), asked));
            let reads = AtomicUsize::new(0);
            Reader { keeper, reads }
        };
        Self {
            readers: (0..count.max(1)).map(start).collect(),
            timeout: connector.timeout(),
        }
    }

    /// Runs one statement: one snapshot. A read may be repeated, so a lost connection is replaced until the time is over.
    pub(crate) async fn read(
        &self,
        operation: &'static str,
        statement: impl Fn() -> Statement,
    ) -> Result<Vec<Row>, BackendError> {
        let deadline = Instant::now() + self.timeout;
        // The least busy, and the first of these: so a store that reads seldom has one connection for it.
        let Some(reader) = self
            .readers
            .iter()
            .min_by_key(|reader| reader.reads.load(Ordering::Relaxed))
        else {
            return Err(backend_error(operation, Effect::NotApplied, Arc::new(Failure::Closed)));
        };
        let _read = Read::begin(&reader.reads);
        loop {
            let mut connection = None;
            let read = async {
                let found = reader.connection().await?;
                connection
                    .insert(found)
                    .read(statement(), deadline - Instant::now())
                    .await
            };
            let failure = match timeout_at(deadline, read).await {
                Ok(Ok(rows)) => return Ok(rows),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::TimedOut(self.timeout),
            };
            let remedy = failure.remedy();
            if let (Remedy::Reconnect, Some(connection)) = (remedy, &connection) {
                connection.give_up();
            }
            if !matches!(remedy, Remedy::Again | Remedy::Reconnect) || Instant::now() + PAUSE >= deadline {
                return Err(backend_error(operation, Effect::NotApplied, Arc::new(failure)));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Reader {
    async fn connection(&self) -> Result<Arc<Connection>, Failure> {
        let (reply, answer) = oneshot::channel();
        // If nobody takes it, `reply` is dropped, and the answer says so.
        let _ = self.keeper.send(reply);
        answer.await.unwrap_or(Err(Failure::Closed))
    }
}

/// A read that is under way, until it is dropped.
struct Read<'a>(&'a AtomicUsize);

impl<'a> Read<'a> {
    fn begin(reads: &'a AtomicUsize) -> Self {
        reads.fetch_add(1, Ordering::Relaxed);
        Self(reads)
    }
}

impl Drop for Read<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Gives one connection out to all who ask, and replaces it when it is lost.
async fn keep(
    connector: Arc<Connector>,
    texts: Texts,
    mut kept: Option<Arc<Connection>>,
    mut asked: mpsc::UnboundedReceiver<Asked>,
) {
    while let Some(reply) = asked.recv().await {
        let found = match kept.take().filter(|connection| connection.is_usable()) {
            Some(connection) => Ok(connection),
            None => connector.connect(&texts).await.map(Arc::new),
        };
        kept = found.as_ref().ok().cloned();
        let _ = reply.send(found);
    }
}
