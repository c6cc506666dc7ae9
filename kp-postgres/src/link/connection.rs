use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use crate::link::error::Failure;
use crate::link::param::Param;
use crate::link::pipeline::pipeline;
use crate::link::row::Row;
use crate::link::session::Session;

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
pub(crate) trait Exchange: Send {
    /// Runs statements in this order, in one round trip if that can be. Fails with the first failure, which is the reason for
    /// those that follow.
    fn exchange(&mut self, statements: Vec<Statement>) -> BoxFuture<'_, Result<Vec<Vec<Row>>, Failure>>;
}

/// A connection with its statements.
#[derive(Debug)]
pub(crate) struct Connection {
    client: Client,
    session: Session,
    statements: Statements,
    /// Held while a transaction that only reads is sent, so that no other comes in between.
    sending: Mutex<()>,
    /// How many warnings the server sent.
    warnings: Arc<AtomicU64>,
    /// Whether an answer did not come: the connection is not used again.
    given_up: AtomicBool,
    driver: JoinHandle<()>,
}

#[derive(Debug)]
enum Statements {
    /// By name, in a session of the store's own.
    Prepared(Vec<tokio_postgres::Statement>),
    /// To be sent each time: a name would mean nothing to the next session, or something else.
    Unnamed(Texts),
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
            session: Session::default(),
            statements: Statements::Prepared(Vec::new()),
            sending: Mutex::new(()),
            warnings,
            given_up: AtomicBool::new(false),
            driver,
        }
    }

    /// Sets the session up.
    pub(crate) async fn use_session(&mut self, session: Session) -> Result<(), Failure> {
        if let Some(set_up) = session.set_up() {
            self.simple(set_up).await?;
        }
        self.session = session;
        Ok(())
    }

    /// Takes these statements. In a session of its own, they are prepared, in one round trip.
    pub(crate) async fn prepare(&mut self, texts: &Texts) -> Result<(), Failure> {
        if self.session.is_pooled {
            self.statements = Statements::Unnamed(Arc::clone(texts));
            return Ok(());
        }
        let prepare = |text: &String| {
            let text = text.clone();
            let client = &self.client;
            async move { client.prepare(&text).await }.boxed()
        };
        let prepared = pipeline(texts.iter().map(prepare).collect()).await;
        self.statements = Statements::Prepared(prepared.into_iter().collect::<Result<_, _>>()?);
        Ok(())
    }

    /// Sends a statement when it is first polled.
    pub(crate) fn run(&self, Statement { number, params }: Statement) -> BoxFuture<'_, Answer> {
        async move {
            let rows = match &self.statements {
                Statements::Prepared(prepared) => {
                    let statement = prepared.get(number).ok_or(Failure::Closed)?;
                    let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|param| param as _).collect();
                    self.client.query(statement, &params).await?
                }
                Statements::Unnamed(texts) => {
                    let text = texts.get(number).ok_or(Failure::Closed)?;
                    self.client.query_typed(text, &Param::typed(&params)).await?
                }
            };
            Ok(rows.into_iter().map(Row::from).collect())
        }
        .boxed()
    }

    /// Reads by one statement, which nobody waits for longer than `left`.
    pub(crate) async fn read(&self, statement: Statement, left: Duration) -> Answer {
        if !self.session.is_pooled {
            return self.run(statement).await;
        }
        let begin = self.begin(left, left);
        let requests = vec![
            self.simple(begin),
            self.run(statement),
            self.simple("COMMIT".to_owned()),
        ];
        let mut answers = pipeline(requests).boxed();
        let sent = {
            let _alone = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
            (&mut answers).now_or_never()
        };
        let answers = match sent {
            Some(answers) => answers,
            None => answers.await,
        };
        let mut answers = answers.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(answers.swap_remove(1))
    }

    /// Returns the beginning of a transaction, in which nothing waits longer than its caller.
    pub(crate) fn begin(&self, left: Duration, limit: Duration) -> String {
        self.session.begin(left, limit)
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
