use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use kp_core::rules::{self, Answer, Limits};
use kp_core::server::{
    Answers, Cursor, KeyPackageStore, Lease, OnLapse, Page, ReadyKeyPackage, Receipt, Reservation, ReservationToken,
    Save, SaveOutcome, Spend, StoredKeyPackage, TakeRequest, WithdrawOutcome, Withdrawal,
};
use kp_core::{
    BackendError, Effect, Error, GroupId, KeyPackage, KeyPackageInfo, KeyPackageRef, OpenError, PoolCounts, PoolId,
    Rejection, Result, Status, Timestamp, Ttl,
};

use crate::link::builder::PostgresBuilder;
use crate::link::calls::{Operation, Reply};
use crate::link::error::{Failure, backend_error};
use crate::link::migrations::POOLS;
use crate::link::param::Param;
use crate::link::readers::Readers;
use crate::link::server::Server;
use crate::pools::access::Access;
use crate::pools::repairer::Repairer;
use crate::pools::server_transaction::ServerTransaction;
use crate::pools::within::{OwnTransactions, Within};
use crate::pools::{cursor, operations, rows, sweep};
use crate::sql::{ReadSql, RepairSql, Sql};

/// Stores KeyPackage pools in a PostgreSQL database.
///
/// A clone is cheap and shares the connections. Any number of stores, in any number of processes, may use the same schema
/// of a database.
///
/// The store runs tasks on the tokio runtime that it was opened on. When the last clone is dropped, the store finishes the
/// calls that are under way, and closes its connections.
#[derive(Clone)]
pub struct PostgresStore(Arc<Shared>);

struct Shared {
    server: Server,
    schema: String,
    limits: Limits,
    access: Access,
    own: Arc<OwnTransactions>,
    repairer: Repairer,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("schema", &self.0.schema)
            .field("server", &self.0.server)
            .finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Connects to the database of this URL, with the defaults of [`PostgresBuilder`]. The front page of this crate tells
    /// what is in a URL.
    ///
    /// # Errors
    ///
    /// An [`OpenError`] that names the reason.
    pub async fn connect(url: impl Into<String>) -> Result<Self, OpenError> {
        Self::builder(url).connect().await
    }

    /// Returns a builder with the default settings.
    pub fn builder(url: impl Into<String>) -> PostgresBuilder {
        PostgresBuilder::new(url.into())
    }

    /// Returns what the server is set to do, as it was when the store was opened.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.0.server
    }

    pub(crate) fn access(&self) -> &Access {
        &self.0.access
    }

    pub(crate) fn repairer(&self) -> &Repairer {
        &self.0.repairer
    }

    /// Makes a call in a transaction of one's own, together with one's own rows.
    pub fn within<T: ServerTransaction>(&self, transaction: T) -> Within<T> {
        Within::new(Arc::clone(&self.0.own), transaction)
    }
}

impl PostgresBuilder {
    /// Connects to the database, checks the server, and makes or updates the tables.
    ///
    /// # Errors
    ///
    /// An [`OpenError`] that names the reason.
    pub async fn connect(self) -> Result<PostgresStore, OpenError> {
        let (texts, read_texts) = (self.texts(Sql::texts), self.texts(ReadSql::texts));
        let repair_texts = self.texts(RepairSql::texts);
        let (connector, server, first) = self.open(&POOLS, &read_texts).await?;
        let readers = Readers::start(&connector, &read_texts, first, self.readers);
        let access = Access::start(&connector, &texts, self.writers, readers);
        let own = OwnTransactions {
            texts,
            limits: self.limits,
            synchronous_commit: server.synchronous_commit.clone(),
            timeout: connector.timeout(),
        };
        let repairer = Repairer {
            texts: repair_texts,
            connector,
        };
        Ok(PostgresStore(Arc::new(Shared {
            server,
            schema: self.schema,
            limits: self.limits,
            access,
            own: Arc::new(own),
            repairer,
        })))
    }
}

/// Reports a row that cannot be read. A read changes nothing.
pub(crate) fn unreadable(operation: &'static str) -> impl Fn(Failure) -> BackendError {
    move |failure| backend_error(operation, Effect::NotApplied, Arc::new(failure))
}

/// Waits for the answer of each item, in order (ERR-3).
async fn answers<T>(replies: Vec<Reply<Answer<T>>>) -> Answers<T> {
    let mut answers = Vec::with_capacity(replies.len());
    for reply in replies {
        answers.push(match reply.wait().await {
            Ok(answer) => answer.map_err(Error::Rejected),
            Err(failure) => Err(failure.into()),
        });
    }
    answers.into()
}

impl Shared {
    /// Makes a call for each item of a batch.
    async fn each<I, T: Send + 'static>(
        &self,
        items: &[I],
        bounded: std::result::Result<(), Rejection>,
        operation: impl Fn(&I) -> Operation<Answer<T>>,
    ) -> Answers<T> {
        if let Err(rejection) = bounded {
            return Answers::all_failed(items.len(), &rejection.into());
        }
        answers(items.iter().map(|item| self.access.write(operation(item))).collect()).await
    }
}

/// Each item of a batch is a call of its own. Calls that wait together share a commit, so a batch costs one commit, and an
/// item that fails does not fail the others.
#[async_trait]
impl KeyPackageStore for PostgresStore {
    async fn save_key_packages(&self, save: &Save, now: Timestamp) -> Result<Vec<SaveOutcome>> {
        // TIME-2: an empty batch changes nothing.
        if save.packages().is_empty() {
            return Ok(Vec::new());
        }
        let operation = operations::save(save, self.0.limits, now);
        Ok(self.0.access.write(operation).wait().await?)
    }

    async fn reserve_key_packages(
        &self,
        takes: &[TakeRequest],
        lapse: OnLapse,
        now: Timestamp,
    ) -> Answers<Reservation> {
        let reserve = |take: &TakeRequest| operations::reserve(take, lapse, now);
        self.0.each(takes, rules::bounded_takes(takes), reserve).await
    }

    async fn claim_key_packages(
        &self,
        takes: &[TakeRequest],
        group: Option<&GroupId>,
        now: Timestamp,
    ) -> Answers<KeyPackage> {
        let claim = |take: &TakeRequest| operations::claim(take, group, now);
        self.0.each(takes, rules::bounded_takes(takes), claim).await
    }

    async fn spend_key_packages(&self, tokens: &[ReservationToken], spend: &Spend, now: Timestamp) -> Answers<Receipt> {
        let spend = |token: &ReservationToken| operations::spend(token, spend, now);
        self.0.each(tokens, rules::bounded(tokens), spend).await
    }

    async fn release_key_packages(&self, tokens: &[ReservationToken], now: Timestamp) -> Answers<()> {
        let release = |token: &ReservationToken| operations::release(token, now);
        self.0.each(tokens, rules::bounded(tokens), release).await
    }

    async fn renew_key_packages(&self, tokens: &[ReservationToken], ttl: Ttl, now: Timestamp) -> Answers<Lease> {
        let renew = |token: &ReservationToken| operations::renew(token, ttl, now);
        self.0.each(tokens, rules::bounded(tokens), renew).await
    }

    async fn get_key_package(
        &self,
        pool: &PoolId,
        key_package_ref: &KeyPackageRef,
        now: Timestamp,
    ) -> Result<Option<StoredKeyPackage>> {
        let operation = "get_key_package";
        let params = || {
            let whole = Param::ManyBools(vec![Some(true)]);
            vec![Param::all_bytes([pool]), Param::all_bytes([key_package_ref]), whole]
        };
        let found = self.0.access.read(operation, ReadSql::ByRef, params).await?;
        let Some(row) = found.first() else { return Ok(None) };
        let record = rows::record(row).map_err(unreadable(operation))?;
        let bytes = rows::bytes(row).map_err(unreadable(operation))?;
        Ok(Some(record.into_stored(bytes, now)))
    }

    async fn get_statuses(&self, pool: &PoolId, refs: &[KeyPackageRef], now: Timestamp) -> Result<Vec<Option<Status>>> {
        rules::bounded(refs)?;
        let operation = "get_statuses";
        let params = || {
            let whole = Param::ManyBools(vec![Some(false); refs.len()]);
            vec![
                Param::all_bytes(refs.iter().map(|_| pool)),
                Param::all_bytes(refs),
                whole,
            ]
        };
        let mut statuses = vec![None; refs.len()];
        for row in self.0.access.read(operation, ReadSql::ByRef, params).await? {
            let record = rows::record(&row).map_err(unreadable(operation))?;
            let number = rows::number(&row).map_err(unreadable(operation))?;
            if let Some(status) = statuses.get_mut(number) {
                *status = Some(record.settled(now).status(now));
            }
        }
        Ok(statuses)
    }

    async fn list_available(
        &self,
        pool: &PoolId,
        after: Option<&Cursor>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Page<KeyPackageInfo>> {
        let operation = "list_available";
        let (after, limit) = (cursor::sequence(after)?, limit.max(1) as usize);
        let params = || {
            let wanted = i64::try_from(limit + 1).unwrap_or(i64::MAX);
            let pool = Param::Bytes(pool.as_bytes().to_vec());
            vec![pool, Param::Int(after), Param::Int(now.get()), Param::Int(wanted)]
        };
        let mut found = self.0.access.read(operation, ReadSql::Available, params).await?;
        let more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().filter(|_| more).map(rows::sequence);
        let next = last
            .transpose()
            .map_err(unreadable(operation))?
            .map(Cursor::after_sequence);
        let records = rows::many(&found).map_err(unreadable(operation))?;
        Ok(Page::new(records.into_iter().map(|record| record.info).collect(), next))
    }

    async fn list_ready(&self, pool: &PoolId, now: Timestamp) -> Result<Vec<ReadyKeyPackage>> {
        let operation = "list_ready";
        let params = || vec![Param::Bytes(pool.as_bytes().to_vec())];
        let found = self.0.access.read(operation, ReadSql::Ready, params).await?;
        Ok(rules::ready(rows::many(&found).map_err(unreadable(operation))?, now))
    }

    async fn count_by_status(&self, pool: &PoolId, now: Timestamp) -> Result<PoolCounts> {
        let operation = "count_by_status";
        let params = || vec![Param::Bytes(pool.as_bytes().to_vec())];
        let found = self.0.access.read(operation, ReadSql::Records, params).await?;
        let records = rows::many(&found).map_err(unreadable(operation))?;
        Ok(rules::count(records, self.0.limits, now))
    }

    async fn list_pools(&self, after: Option<&Cursor>, limit: u32) -> Result<Page<PoolId>> {
        Ok(sweep::page_of_pools(&self.0.access, "list_pools", cursor::pool(after)?, limit.max(1)).await?)
    }

    async fn withdraw_key_packages(
        &self,
        pool: &PoolId,
        what: &Withdrawal,
        now: Timestamp,
    ) -> Result<Vec<(KeyPackageRef, WithdrawOutcome)>> {
        rules::bounded_withdrawal(what)?;
        // TIME-2: an empty batch changes nothing.
        if *what == Withdrawal::Refs(Vec::new()) {
            return Ok(Vec::new());
        }
        Ok(self
            .0
            .access
            .write(operations::withdraw(pool, what, now))
            .wait()
            .await?)
    }

    async fn delete_pool(&self, pool: &PoolId) -> Result<()> {
        Ok(self.0.access.write(operations::delete(pool)).wait().await?)
    }

    async fn retire_unspent(
        &self,
        saved_before: Timestamp,
        now: Timestamp,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<(u64, Option<Cursor>)> {
        Ok(sweep::retire_unspent(&self.0.access, saved_before, now, cursor::pool(after)?, limit.max(1)).await?)
    }

    async fn cleanup_expired(&self, now: Timestamp, limit: u32) -> Result<u64> {
        Ok(sweep::cleanup(&self.0.access, now, limit.max(1)).await?)
    }

    async fn release_expired_reservations(&self, now: Timestamp, limit: u32) -> Result<u64> {
        Ok(sweep::settle_lapsed(&self.0.access, now, limit.max(1)).await?)
    }
}
