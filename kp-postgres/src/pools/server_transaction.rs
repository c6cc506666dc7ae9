use futures::FutureExt;
use futures::future::BoxFuture;

use crate::link::connection::Statement;
use crate::link::error::Failure;
use crate::link::param::Param;
use crate::link::pipeline::pipeline;
use crate::link::row::Row;
use crate::pools::server_transaction::sealed::{Answered, Asked};

/// A transaction of a server, for [`PostgresStore::within`](crate::PostgresStore::within): a
/// [`tokio_postgres::Transaction`], or, by the feature `sqlx`, a `sqlx::Transaction` of PostgreSQL.
///
/// The trait is implemented for these types alone. A client of deadpool-postgres is a [`tokio_postgres::Client`] by `DerefMut`, which
/// begins such a transaction: `tokio_postgres::Client::transaction(&mut client)`. Its own `client.transaction()` is of another type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no transaction that `PostgresStore::within` takes",
    note = "it takes a `tokio_postgres::Transaction`, and by the feature `sqlx` a `sqlx::Transaction` of PostgreSQL",
    note = "with deadpool-postgres, begin with `tokio_postgres::Client::transaction(&mut client)`"
)]
pub trait ServerTransaction: sealed::Run {}

impl ServerTransaction for tokio_postgres::Transaction<'_> {}

#[cfg(feature = "sqlx")]
impl ServerTransaction for sqlx::Transaction<'_, sqlx::Postgres> {}

pub(crate) mod sealed {
    use super::{BoxFuture, Failure, Row, Statement};

    pub trait Run: Send {
        /// Runs statements in this order. Fails with the first failure.
        fn run<'a>(&'a mut self, asked: Asked<'a>) -> BoxFuture<'a, Answered>;

        /// Commits. The answer has no rows.
        fn commit<'a>(self) -> BoxFuture<'a, Answered>
        where
            Self: 'a;
    }

    /// Statements, and the texts of all.
    #[derive(Debug)]
    pub struct Asked<'a> {
        pub(crate) texts: &'a [String],
        pub(crate) statements: Vec<Statement>,
    }

    #[derive(Debug)]
    pub struct Answered(pub(crate) Result<Vec<Vec<Row>>, Failure>);
}

impl sealed::Run for tokio_postgres::Transaction<'_> {
    fn run<'a>(&'a mut self, Asked { texts, statements }: Asked<'a>) -> BoxFuture<'a, Answered> {
        let transaction = &*self;
        let sent = statements.into_iter().map(|Statement { number, params }| {
            async move {
                let text = texts.get(number).ok_or(Failure::Closed)?;
                let rows = transaction.query_typed(text, &Param::typed(&params)).await?;
                Ok(rows.into_iter().map(Row::from).collect())
            }
            .boxed()
        });
        let sent = sent.collect();
        async move { Answered(pipeline(sent).await.into_iter().collect()) }.boxed()
    }

    fn commit<'a>(self) -> BoxFuture<'a, Answered>
    where
        Self: 'a,
    {
        async move { Answered(self.commit().await.map(|()| Vec::new()).map_err(Failure::from)) }.boxed()
    }
}

#[cfg(feature = "sqlx")]
impl sealed::Run for sqlx::Transaction<'_, sqlx::Postgres> {
    fn run<'a>(&'a mut self, Asked { texts, statements }: Asked<'a>) -> BoxFuture<'a, Answered> {
        async move { Answered(crate::link::sqlx::run(self, texts, statements).await) }.boxed()
    }

    fn commit<'a>(self) -> BoxFuture<'a, Answered>
    where
        Self: 'a,
    {
        async move { Answered(self.commit().await.map(|()| Vec::new()).map_err(Failure::from)) }.boxed()
    }
}
