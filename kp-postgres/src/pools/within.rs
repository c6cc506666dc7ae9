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
use kp_core::{BackendError, Effect, Error, GroupId, KeyPackage, KeyPackageRef, PoolId, Result, Timestamp, Ttl};
use tokio::time::{Instant, timeout};
use tokio_postgres::error::SqlState;

use crate::link::calls::{Call, Operation};
use crate::link::connection::{Exchange, Statement, Texts};
use crate::link::error::{Failure, backend_error};
use crate::link::param::Param;
use crate::link::row::Row;
use crate::link::session::SETTINGS;
use crate::pools::operations;
use crate::pools::server_transaction::ServerTransaction;
use crate::pools::server_transaction::sealed::Asked;
use crate::pools::transaction::decide;
use crate::sql::Sql;

/// How often a call runs again because a pool was deleted while it waited.
const ATTEMPTS: usize = 3;

const LOCK_TIMEOUT: &str = "lock_timeout";

/// Is set in a transaction in which a call was made.
const ENTERED: &str = "keypackage_pool.within";

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
/// rolled back, and nothing of it is there ([TX-3](kp_core::contract::TX_3)). Before the commit has succeeded, tell nobody an
/// answer, no refusal either, and act on none ([TX-2](kp_core::contract::TX_2)).
///
/// A refusal is an answer, and the transaction goes on: to tell it, commit. A failure never has an unknown effect; the
/// commit may have.
///
/// Commit by [`commit`](Self::commit). PostgreSQL answers the commit of a transaction in which a statement failed by rolling back, and
/// tokio-postgres and sqlx call that a success: who passed over the failure would hand out a KeyPackage that the pool still has.
///
/// The pools stay locked until the transaction ends, so end it soon: other calls on them wait. If the future of a call is dropped while
/// the call waits for a lock, the rollback comes when that wait ends: after the [time-out](crate::PostgresBuilder::timeout) of the
/// store at the latest. So let that be shorter than your own.
///
/// ```no_run
/// # use kp_core::server::TakeRequest;
/// # use kp_core::Timestamp;
/// # async fn example(store: kp_postgres::PostgresStore, mut client: tokio_postgres::Client, take: TakeRequest, now: Timestamp)
/// # -> Result<(), Box<dyn std::error::Error>> {
/// let transaction = client.transaction().await?;
/// let (transaction, claimed) = store.within(transaction).claim_key_packages(&[take], None, now).await?;
/// let claimed = claimed.only();
/// if let Ok(package) = &claimed {
///     let row = "INSERT INTO welcomes (ref, pool) VALUES ($1, $2) ON CONFLICT DO NOTHING";
///     transaction.execute(row, &[&package.info.key_package_ref.as_bytes(), &b"bob/phone".as_slice()]).await?;
/// }
/// store.within(transaction).commit().await?;
/// // Now the KeyPackage may be handed out, or the refusal be told.
/// let package = claimed?;
/// # Ok(())
/// # }
/// ```
///
/// # Refusals
///
/// A transaction is refused before anything is done in it ([TX-1](kp_core::contract::TX_1)) if:
///
/// - its isolation level is repeatable read or serializable: it might see a KeyPackage as free that another has spent. (Read
///   uncommitted is read committed in PostgreSQL.)
/// - it is read-only
/// - its `synchronous_commit` is less than the store's. [`commit`](Self::commit) looks again; with a commit of the driver's own, do not
///   lower it after the call
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

    /// Commits the transaction: the server's rows and the calls on the pools, or neither.
    ///
    /// The commit of the driver is not enough: after a statement that failed, PostgreSQL rolls back instead, and the driver
    /// answers `Ok`. This one asks the server first, which is one round trip more.
    ///
    /// Give it the transaction itself, no savepoint of it.
    ///
    /// # Errors
    ///
    /// A [`BackendError`], whose [`effect`](BackendError::effect) says what is known:
    ///
    /// - not applied: a statement failed before, the transaction is no longer as it must be (TX-1), or a deferred constraint
    ///   refuses it. It is rolled back: hand nothing out.
    /// - unknown: the answer to the commit was lost. The same call with the same id finds out.
    pub async fn commit(mut self) -> Result<(), BackendError> {
        let failed = |effect| move |failure| backend_error("commit", effect, Arc::new(explained(failure)));
        let limit = self.own.timeout;
        let as_it_was = settings([(ENTERED.into(), "yes".into())]);
        let checked = timeout(limit, self.check(as_it_was)).await;
        checked
            .unwrap_or(Err(Failure::TimedOut(limit)))
            .map_err(failed(Effect::NotApplied))?;
        let committed = timeout(limit, self.transaction.commit()).await;
        match committed.map_or(Err(Failure::TimedOut(limit)), |committed| committed.0) {
            Ok(_) => Ok(()),
            Err(failure) if failure.is_rolled_back() => Err(failed(Effect::NotApplied)(failure)),
            Err(failure) => Err(failed(Effect::Unknown)(failure)),
        }
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
        let failed = |failure| backend_error(name, Effect::NotApplied, Arc::new(explained(failure)));
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

    /// Sets what the statements need, and how long they wait for locks. Returns the settings that leave the transaction as it
    /// was.
    async fn enter(&mut self) -> std::result::Result<Vec<Param>, Failure> {
        let limit = format!("{}ms", self.own.timeout.as_millis());
        let needed = SETTINGS.map(|(name, value)| (name.into(), value.into()));
        let needed = needed.into_iter().chain([(LOCK_TIMEOUT.into(), limit.into())]);
        let rows = self.check(settings(needed)).await?;
        let mut found = vec![(ENTERED.into(), "yes".into())];
        for row in rows {
            found.push((row.try_get::<String>(3)?.into(), row.try_get::<String>(4)?.into()));
        }
        Ok(settings(found))
    }

    /// Checks the transaction (TX-1), and sets these settings. Returns them as they were.
    async fn check(&mut self, settings: Vec<Param>) -> std::result::Result<Vec<Row>, Failure> {
        let answers = self.exchange(vec![Sql::WithinEnter.with(settings)]).await?;
        let rows = answers.into_iter().next().unwrap_or_default();
        let row = rows.first().ok_or(Failure::Closed)?;
        let (isolation, commit): (&str, &str) = (row.try_get(0)?, row.try_get(2)?);
        // PostgreSQL has no dirty reads: read uncommitted is read committed.
        if !["read committed", "read uncommitted"].contains(&isolation) {
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
        Ok(rows)
    }
}

/// Says of a failure in a transaction of the server what the text of the database leaves out.
fn explained(failure: Failure) -> Failure {
    let Failure::Server { ref code, .. } = failure else {
        return failure;
    };
    let hint = if *code == SqlState::IN_FAILED_SQL_TRANSACTION {
        "a statement of it failed before, so it can only be rolled back"
    } else if [SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME].contains(code) {
        "is it in the store's database?"
    } else {
        return failure;
    };
    Failure::Transaction(format!("{hint} ({failure})"))
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
