use std::sync::Arc;

use kp_core::{BackendError, Effect};
use tokio::time::timeout;

use crate::link::commit::{Failed, Transaction, abandon, end};
use crate::link::connection::{Exchange as _, Statement, Texts};
use crate::link::connector::Connector;
use crate::link::error::{Failure, backend_error};

/// Repairs pools, each on a connection of its own.
#[derive(Debug)]
pub(crate) struct Repairer {
    pub(crate) connector: Arc<Connector>,
    pub(crate) texts: Texts,
}

impl Repairer {
    /// Runs statements in one transaction, the first ones before the others see anything.
    pub(crate) async fn run(
        &self,
        operation: &'static str,
        first: Vec<Statement>,
        then: Vec<Statement>,
    ) -> Result<(), BackendError> {
        let failed = |effect, failure| backend_error(operation, effect, Arc::new(failure));
        self.commit(first, then).await.map_err(|why| match why {
            Failed::NotApplied(failure) => failed(Effect::NotApplied, failure),
            Failed::Unknown(failure) => failed(Effect::Unknown, failure),
        })
    }

    async fn commit(&self, first: Vec<Statement>, then: Vec<Statement>) -> Result<(), Failed> {
        let limit = self.connector.timeout();
        let connection = self.connector.connect(&self.texts).await.map_err(Failed::NotApplied)?;
        let begin = Some(connection.begin(limit, limit));
        let mut transaction = Transaction {
            connection: &connection,
            begin,
        };
        let begun = timeout(limit, transaction.exchange(first)).await;
        if let Err(failure) = begun.unwrap_or(Err(Failure::TimedOut(limit))) {
            abandon(&connection, &failure, limit).await;
            return Err(Failed::NotApplied(failure));
        }
        end(&connection, then, limit).await.map(drop)
    }
}
