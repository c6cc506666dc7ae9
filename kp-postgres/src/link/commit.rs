//! Begins and ends transactions, and says what is known of one that failed.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::timeout;

use crate::link::connection::{Connection, Exchange, Statement};
use crate::link::error::{Failure, Remedy};
use crate::link::pipeline::pipeline;
use crate::link::row::Row;

/// Says why a transaction failed, and what is known of it.
#[derive(Debug)]
pub(crate) enum Failed {
    /// Nothing is changed.
    NotApplied(Failure),
    /// The commit was sent, and may have taken effect.
    Unknown(Failure),
}

/// Sends the last statements of a transaction and its commit, and returns what the statements answered.
pub(crate) async fn end(
    connection: &Connection,
    statements: Vec<Statement>,
    limit: Duration,
) -> Result<Vec<Vec<Row>>, Failed> {
    if statements.is_empty() {
        // Nothing is to be written, so there is nothing to sync.
        roll_back(connection, limit).await;
        return Ok(Vec::new());
    }
    let warnings = connection.warnings();
    let mut sent: Vec<_> = statements
        .into_iter()
        .map(|statement| connection.run(statement))
        .collect();
    sent.push(connection.simple("COMMIT".to_owned()));
    let Ok(mut answers) = timeout(limit, pipeline(sent)).await else {
        connection.give_up();
        return Err(Failed::Unknown(Failure::TimedOut(limit)));
    };
    let committed = answers.pop();
    let mut written = Vec::with_capacity(answers.len());
    for answer in answers {
        match answer {
            Ok(rows) => written.push(rows),
            // A transaction in which a statement failed is rolled back by its COMMIT.
            Err(failure @ Failure::Server { .. }) if !failure.is_of_link() => return Err(Failed::NotApplied(failure)),
            Err(failure) => return Err(Failed::Unknown(failure)),
        }
    }
    match committed {
        Some(Err(failure)) if failure.is_rolled_back() => Err(Failed::NotApplied(failure)),
        Some(Err(failure)) => Err(Failed::Unknown(failure)),
        _ if connection.warnings() != warnings => Err(Failed::Unknown(Failure::CommitWarned)),
        _ => Ok(written),
    }
}

/// A transaction of the store itself, which begins with its first statements.
#[derive(Debug)]
pub(crate) struct Transaction<'a> {
    pub(crate) connection: &'a Connection,
    /// What begins the transaction, until that is sent.
    pub(crate) begin: Option<String>,
}

impl Exchange for Transaction<'_> {
    fn exchange(&mut self, statements: Vec<Statement>) -> BoxFuture<'_, Result<Vec<Vec<Row>>, Failure>> {
        let begin = self.begin.take().map(|begin| self.connection.simple(begin));
        let begins = begin.iter().len();
        let statements = statements.into_iter().map(|statement| self.connection.run(statement));
        let sent = begin.into_iter().chain(statements).collect();
        async move {
            pipeline(sent)
                .await
                .into_iter()
                .collect::<Result<Vec<_>, _>>()
                .map(|rows| rows.into_iter().skip(begins).collect())
        }
        .boxed()
    }
}

/// Ends a transaction that failed, before its commit was sent.
pub(crate) async fn abandon(connection: &Connection, failure: &Failure, limit: Duration) {
    match failure.remedy() {
        // The server may not answer for long. It rolls back when the connection is closed.
        Remedy::Reconnect => connection.give_up(),
        _ => roll_back(connection, limit).await,
    }
}

/// Ends a transaction of which nothing is to be kept.
async fn roll_back(connection: &Connection, limit: Duration) {
    let done = timeout(limit, connection.simple("ROLLBACK".to_owned())).await;
    if !matches!(done, Ok(Ok(_))) {
        connection.give_up();
    }
}
