use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use kp_core::rules::{self, Answer, Limits};
use kp_core::server::{
    Answers, Lease, OnLapse, Receipt, Reservation, ReservationToken, Save, SaveOutcome, Spend, TakeRequest,
    WithdrawOutcome, Withdrawal,
};
use kp_core::{Effect, Error, GroupId, KeyPackage, KeyPackageRef, PoolId, Result, Timestamp, Ttl};
use tokio::time::{Instant, timeout};

use crate::link::calls::{Call, Operation};
use crate::link::connection::{Exchange, Statement, Texts};
use crate::link::error::{Failure, backend_error};
use crate::link::param::Param;
use crate::link::pipeline::pipeline;
use crate::link::row::Row;
use crate::link::session::SETTINGS;
use crate::pools::operations;
use crate::pools::transaction::decide;
use crate::pools::within::sealed::{Answered, Asked};
use crate::sql::Sql;

/// How often a call runs again because a pool was deleted while it waited.
const ATTEMPTS: usize = 3;

const LOCK_TIMEOUT: &str = "lock_timeout";

/// Is set in a transaction in which a call was made.
const ENTERED: &str = "keypackage_pool.within";

/// A transaction of a server, for [`PostgresStore::within`](crate::PostgresStore::within): a
/// [`tokio_postgres::Transaction`], or, by the feature `sqlx`, a `sqlx::Transaction` of PostgreSQL.
///
/// The trait is implemented for these types alone. A client of deadpool-postgres is a [`tokio_postgres::Client`] by `DerefMut`, and
/// begins such a transaction.
pub trait ServerTransaction: sealed::Run {}

impl ServerTransaction for tokio_postgres::Transaction<'_> {}

#[cfg(feature = "sqlx")]
impl ServerTransaction for sqlx::Transaction<'_, sqlx::Postgres> {}

mod sealed {
    use super::{BoxFuture, Failure, Row, Statement};

    pub trait Run: Send {
        /// Runs statements in this order. Fails with the first failure.
        fn run<'a>(&'a mut self, asked: Asked<'a>) -> BoxFuture<'a, Answered>;
    }

    /// Statements, and the texts of all.
    #[derive(Debug)]
    pub struct Asked<'a> {
        pub(super) texts: &'a [String],
        pub(super) statements: Vec<Statement>,
    }

    #[derive(Debug)]
    pub struct Answered(pub(super) Result<Vec<Vec<Row>>, Failure>);
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
}

#[cfg(feature = "sqlx")]
impl sealed::Run for sqlx::Transaction<'_, sqlx::Postgres> {
    fn run<'a>(&'a mut self, Asked { texts, statements }: Asked<'a>) -> BoxFuture<'a, Answered> {
        async move { Answered(crate::link::sqlx::run(self, texts, statements).await) }.boxed()
    }
}

/// What calls in transactions of the server need of their store.
#[derive(Debug)]
pub(crate) struct OwnTransactions {
    pub(crate) texts: Texts,
    pub(crate) limits: Limits,
    /// What a commit of the store waits for.
    pub(crate) synchronous_commit: String,
    pub(crate) timeout: Duration,
}

/// One call inside a transaction of the server: made by [`PostgresStore::within`](crate::PostgresStore::within).
///
/// A call takes the transaction, and gives it back with its answers. If the call fails or is dropped, the transaction is
/// rolled back, and nothing of it is there ([TX-3](kp_core::contract::TX_3)). The commit is the server's: before it has succeeded, tell nobody an answer, no
/// refusal either, and act on none ([TX-2](kp_core::contract::TX_2)).
///
/// A refusal is an answer, and the transaction goes on: to tell it, commit. A failure never has an unknown effect; the
/// commit may have.
///
/// The pools stay locked until the transaction ends, so end it soon: other calls on them wait.
///
/// ```no_run
/// # use kp_core::server::TakeRequest;
/// # use kp_core::Timestamp;
/// # async fn example(store: kp_postgres::PostgresStore, mut client: tokio_postgres::Client, take: TakeRequest, now: Timestamp)
/// # -> Result<(), Box<dyn std::error::Error>> {
/// let transaction = client.transaction().await?;
/// let (transaction, claimed) = store.within(transaction).claim_key_packages(&[take], None, now).await?;
/// let package = claimed.only()?;
/// let row = "INSERT INTO welcomes (ref, client) VALUES ($1, $2)";
/// transaction.execute(row, &[&package.info.key_package_ref.as_bytes(), &"bob/phone"]).await?;
/// transaction.commit().await?;
/// // Now the KeyPackage may be handed out.
/// # Ok(())
/// # }
/// ```
///
/// # Refusals
///
/// A transaction is refused before anything is done in it ([TX-1](kp_core::contract::TX_1)) if:
///
/// - its isolation level is not read committed: it might see a KeyPackage as free that another has spent
/// - it is read-only
/// - its `synchronous_commit` is less than the store's. The commit itself is not seen: do not lower it after the call
///
/// # Several calls
///
/// Name all pools in one call ([TX-4](kp_core::contract::TX_4)): the call locks them in an order that all stores keep. A later call in the
/// same transaction waits for no lock, so that nobody waits in a circle. If another holds one of its pools, it fails:
/// transient, not applied.
#[must_use = "it holds the transaction, and rolls it back when dropped"]
pub struct Within<T> {
    own: Arc<OwnTransactions>,
    transaction: T,
}

impl<T> fmt::Debug for Within<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Within").finish_non_exhaustive()
    }
}

impl<T: ServerTransaction> Exchange for Within<T> {
    fn exchange(&mut self, statements: Vec<Statement>) -> BoxFuture<'_, std::result::Result<Vec<Vec<Row>>, Failure>> {
        let asked = Asked {
            texts: &self.own.texts,
            statements,
        };
        let answered = self.transaction.run(asked);
        async move { answered.await.0 }.boxed()
    }
}

/// # Errors
///
/// Each call fails with [`Error::Rejected`] if its list is too long, and with [`Error::Backend`] if the transaction is refused
/// or the server fails. The transaction is rolled back then.
impl<T: ServerTransaction> Within<T> {
    pub(crate) fn new(own: Arc<OwnTransactions>, transaction: T) -> Self {
        Self { own, transaction }
    }

    /// As [`KeyPackageStore::save_key_packages`](kp_core::server::KeyPackageStore::save_key_packages).
    pub async fn save_key_packages(self, save: &Save, now: Timestamp) -> Result<(T, Vec<SaveOutcome>)> {
        // TIME-2: an empty batch changes nothing.
        if save.packages().is_empty() {
            return Ok((self.transaction, Vec::new()));
        }
        let operation = operations::save(save, self.own.limits, now);
        self.one(operation).await
    }

    /// As [`KeyPackageStore::reserve_key_packages`](kp_core::server::KeyPackageStore::reserve_key_packages).
    pub async fn reserve_key_packages(
        self,
        takes: &[TakeRequest],
        lapse: OnLapse,
        now: Timestamp,
    ) -> Result<(T, Answers<Reservation>)> {
        rules::bounded_takes(takes)?;
        self.each(takes.iter().map(|take| operations::reserve(take, lapse, now)))
            .await
    }

    /// As [`KeyPackageStore::claim_key_packages`](kp_core::server::KeyPackageStore::claim_key_packages).
    pub async fn claim_key_packages(
        self,
        takes: &[TakeRequest],
        group: Option<&GroupId>,
        now: Timestamp,
    ) -> Result<(T, Answers<KeyPackage>)> {
        rules::bounded_takes(takes)?;
        self.each(takes.iter().map(|take| operations::claim(take, group, now)))
            .await
    }

    /// As [`KeyPackageStore::spend_key_packages`](kp_core::server::KeyPackageStore::spend_key_packages).
    pub async fn spend_key_packages(
        self,
        tokens: &[ReservationToken],
        spend: &Spend,
        now: Timestamp,
    ) -> Result<(T, Answers<Receipt>)> {
        rules::bounded(tokens)?;
        self.each(tokens.iter().map(|token| operations::spend(token, spend, now)))
            .await
    }

    /// As [`KeyPackageStore::release_key_packages`](kp_core::server::KeyPackageStore::release_key_packages).
    pub async fn release_key_packages(self, tokens: &[ReservationToken], now: Timestamp) -> Result<(T, Answers<()>)> {
        rules::bounded(tokens)?;
        self.each(tokens.iter().map(|token| operations::release(token, now)))
            .await
    }

    /// As [`KeyPackageStore::renew_key_packages`](kp_core::server::KeyPackageStore::renew_key_packages).
    pub async fn renew_key_packages(
        self,
        tokens: &[ReservationToken],
        ttl: Ttl,
        now: Timestamp,
    ) -> Result<(T, Answers<Lease>)> {
        rules::bounded(tokens)?;
        self.each(tokens.iter().map(|token| operations::renew(token, ttl, now)))
            .await
    }

    /// As [`KeyPackageStore::withdraw_key_packages`](kp_core::server::KeyPackageStore::withdraw_key_packages).
    pub async fn withdraw_key_packages(
        self,
        pool: &PoolId,
        what: &Withdrawal,
        now: Timestamp,
    ) -> Result<(T, Vec<(KeyPackageRef, WithdrawOutcome)>)> {
        rules::bounded_withdrawal(what)?;
        // TIME-2: an empty batch changes nothing.
        if *what == Withdrawal::Refs(Vec::new()) {
            return Ok((self.transaction, Vec::new()));
        }
        self.one(operations::withdraw(pool, what, now)).await
    }

    /// As [`KeyPackageStore::delete_pool`](kp_core::server::KeyPackageStore::delete_pool): a user goes, and its pools with it.
    pub async fn delete_pool(self, pool: &PoolId) -> Result<(T, ())> {
        self.one(operations::delete(pool)).await
    }

    async fn one<A: Send + 'static>(self, operation: Operation<A>) -> Result<(T, A)> {
        let name = operation.name;
        let (transaction, mut answers) = self.run(vec![operation]).await?;
        match answers.pop() {
            Some(answer) => Ok((transaction, answer)),
            None => Err(backend_error(name, Effect::NotApplied, Arc::new(Failure::Closed)).into()),
        }
    }

    async fn each<A: Send + 'static>(
        self,
        operations: impl Iterator<Item = Operation<Answer<A>>>,
    ) -> Result<(T, Answers<A>)> {
        let (transaction, answers) = self.run(operations.collect()).await?;
        let answers = answers.into_iter().map(|answer| answer.map_err(Error::Rejected));
        Ok((transaction, answers.collect()))
    }

    /// Runs calls, and gives the transaction back with their answers.
    async fn run<A: Send + 'static>(mut self, operations: Vec<Operation<A>>) -> Result<(T, Vec<A>)> {
        let Some(name) = operations.first().map(|operation| operation.name) else {
            return Ok((self.transaction, Vec::new()));
        };
        let limit = self.own.timeout;
        let deadline = Instant::now() + limit;
        let calls = operations.into_iter().map(|operation| operation.call(deadline));
        let (mut calls, replies): (Vec<_>, Vec<_>) = calls.unzip();
        let ran = timeout(limit, self.run_calls(&mut calls)).await;
        let failed = |failure| backend_error(name, Effect::NotApplied, Arc::new(failure));
        ran.unwrap_or(Err(Failure::TimedOut(limit))).map_err(failed)?;
        for call in calls {
            call.step.answer();
        }
        let mut answers = Vec::with_capacity(replies.len());
        for reply in replies {
            answers.push(reply.wait().await?);
        }
        Ok((self.transaction, answers))
    }

    async fn run_calls(&mut self, calls: &mut [Call]) -> std::result::Result<(), Failure> {
        let settings = self.enter().await?;
        let mut left = ATTEMPTS;
        let mut statements = loop {
            left -= 1;
            match decide(self, calls).await {
                Err(Failure::PoolDeleted) if left > 0 => {}
                decided => break decided?,
            }
        };
        statements.push(Sql::WithinLeave.with(settings));
        self.exchange(statements).await.map(drop)
    }

    /// Checks the transaction (TX-1), and sets what the statements need, and how long they wait for locks. Returns the
    /// settings that leave it as it was.
    async fn enter(&mut self) -> std::result::Result<Vec<Param>, Failure> {
        let limit = format!("{}ms", self.own.timeout.as_millis());
        let needed = SETTINGS.map(|(name, value)| (name.into(), value.into()));
        let needed = needed.into_iter().chain([(LOCK_TIMEOUT.into(), limit.into())]);
        let answers = self.exchange(vec![Sql::WithinEnter.with(settings(needed))]).await?;
        let rows = answers.into_iter().next().unwrap_or_default();
        let row = rows.first().ok_or(Failure::Closed)?;
        let (isolation, commit): (&str, &str) = (row.try_get(0)?, row.try_get(2)?);
        if isolation != "read committed" {
            return Err(Failure::Transaction(format!(
                "its isolation level is {isolation}, and must be read committed"
            )));
        }
        if row.try_get(1)? {
            return Err(Failure::Transaction("it is read-only".to_owned()));
        }
        let own = &self.own.synchronous_commit;
        if durability(commit) < durability(own) {
            return Err(Failure::Transaction(format!(
                "its synchronous_commit is {commit}, and the store's is {own}"
            )));
        }
        let mut found = vec![(ENTERED.into(), "yes".into())];
        for row in rows {
            found.push((row.try_get::<String>(3)?.into(), row.try_get::<String>(4)?.into()));
        }
        Ok(settings(found))
    }
}

/// Returns settings as parameters.
fn settings(settings: impl IntoIterator<Item = (Cow<'static, str>, Cow<'static, str>)>) -> Vec<Param> {
    let (names, values) = settings.into_iter().unzip();
    vec![Param::ManyTexts(names), Param::ManyTexts(values)]
}

/// Ranks the settings of `synchronous_commit`.
fn durability(setting: &str) -> usize {
    const RANKS: [&str; 5] = ["off", "local", "remote_write", "on", "remote_apply"];
    RANKS.iter().position(|rank| *rank == setting).unwrap_or_default()
}
