use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use crate::link::error::Failure;
use crate::link::param::Param;
use crate::link::pipeline::pipeline;

/// The texts of a set of statements, by the number of each.
pub(crate) type Texts = Arc<[String]>;

/// The answer to a statement.
pub(crate) type Answer = Result<Vec<Row>, Failure>;

/// A statement to be run, by its number.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) number: usize,
    pub(crate) params: Vec<Param>,
}

/// Where the statements of a transaction are run.
pub(crate) trait Session: Send {
    /// Runs statements in this order, in one round trip if that can be. Fails with the first failure, which is the reason for
    /// those that follow.
    fn exchange(&mut self, statements: Vec<Statement>) -> BoxFuture<'_, Result<Vec<Vec<Row>>, Failure>>;
}

/// A connection with its statements, prepared.
#[derive(Debug)]
pub(crate) struct Connection {
    client: Client,
    prepared: Vec<tokio_postgres::Statement>,
    /// How many warnings the server sent.
    warnings: Arc<AtomicU64>,
    /// Whether an answer did not come: the connection is not used again.
    given_up: AtomicBool,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    /// Closes the connection at once: the server rolls back what is not committed.
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    pub(crate) fn new(client: Client, warnings: Arc<AtomicU64>, driver: JoinHandle<()>) -> Self {
        Self {
            client,
            prepared: Vec::new(),
            warnings,
            given_up: AtomicBool::new(false),
            driver,
        }
    }

    /// Prepares statements, in one round trip.
    pub(crate) async fn prepare(&mut self, texts: &Texts) -> Result<(), Failure> {
        let prepare = |text: &String| {
            let text = text.clone();
            let client = &self.client;
            async move { client.prepare(&text).await }.boxed()
        };
        let prepared = pipeline(texts.iter().map(prepare).collect()).await;
        self.prepared = prepared.into_iter().collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Sends a statement when it is first polled.
    pub(crate) fn run(&self, Statement { number, params }: Statement) -> BoxFuture<'_, Answer> {
        async move {
            let Some(statement) = self.prepared.get(number) else {
                return Err(Failure::Closed);
            };
            let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|param| param as _).collect();
            Ok(self.client.query(statement, &params).await?)
        }
        .boxed()
    }

    /// Sends a text without parameters when it is first polled.
    pub(crate) fn simple(&self, text: String) -> BoxFuture<'_, Answer> {
        async move {
            self.client.batch_execute(&text).await?;
            Ok(Vec::new())
        }
        .boxed()
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn client_mut(&mut self) -> &mut Client {
        &mut self.client
    }

    pub(crate) fn warnings(&self) -> u64 {
        self.warnings.load(Ordering::Acquire)
    }

    /// Sees to it that the connection is not used again.
    pub(crate) fn give_up(&self) {
        self.given_up.store(true, Ordering::Release);
    }

    pub(crate) fn is_usable(&self) -> bool {
        !self.client.is_closed() && !self.given_up.load(Ordering::Acquire)
    }
}
