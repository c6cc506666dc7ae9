//! Every rule, with each changing call in a closure, beside a row of the server's own. Each is made twice: once to be undone, which
//! must leave nothing.

mod suite;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kp_conformance::{Facets, Factory, Space};
use kp_core::server::{
    Answers, Cursor, KeyPackageStore, Lease, OnLapse, Page, ReadyKeyPackage, Receipt, Reservation, ReservationToken,
    Save, SaveOutcome, Spend, StoredKeyPackage, TakeRequest, WithdrawOutcome, Withdrawal,
};
use kp_core::{
    BackendError, BoxError, Effect, Error, GroupId, KeyPackage, KeyPackageInfo, KeyPackageRef, OpenError, PoolCounts,
    PoolId, Result, Status, Timestamp, Ttl,
};
use kp_sqlite::SqliteStore;
use rusqlite::Connection;

use crate::suite::{FACETS, check_rows, file};

/// A store whose changing calls are closures.
#[derive(Debug)]
struct Within(SqliteStore);

fn failure(error: impl Into<BoxError>) -> Error {
    BackendError::transient("within", "closure", Effect::NotApplied, error).into()
}

impl Within {
    async fn within<T: Send + 'static>(
        &self,
        call: impl Fn(&mut kp_sqlite::Within<'_, '_>) -> Result<T> + Clone + Send + 'static,
    ) -> Result<T> {
        let undone = call.clone();
        let undone = self.0.within(move |within| {
            let row = "INSERT INTO calls (undone) VALUES (1)";
            within.connection().execute(row, []).map_err(failure)?;
            undone(within)?;
            Err::<(), _>(failure("undone"))
        });
        undone.await.expect_err("it is undone");
        let made = self.0.within(move |within| {
            let row = "INSERT INTO calls (undone) VALUES (0)";
            within.connection().execute(row, []).map_err(failure)?;
            call(within)
        });
        made.await
    }
}

/// Answers each item of a batch; if the closure failed, with its failure.
fn each<T>(items: usize, ran: Result<Answers<T>>) -> Answers<T> {
    ran.unwrap_or_else(|error| Answers::all_failed(items, &error))
}

#[async_trait]
impl KeyPackageStore for Within {
    async fn save_key_packages(&self, save: &Save, now: Timestamp) -> Result<Vec<SaveOutcome>> {
        let save = save.clone();
        self.within(move |within| within.save_key_packages(&save, now)).await
    }

    async fn reserve_key_packages(
        &self,
        takes: &[TakeRequest],
        lapse: OnLapse,
        now: Timestamp,
    ) -> Answers<Reservation> {
        let items = takes.len();
        let takes = takes.to_vec();
        let ran = self
            .within(move |within| within.reserve_key_packages(&takes, lapse, now))
            .await;
        each(items, ran)
    }

    async fn claim_key_packages(
        &self,
        takes: &[TakeRequest],
        group: Option<&GroupId>,
        now: Timestamp,
    ) -> Answers<KeyPackage> {
        let items = takes.len();
        let (takes, group) = (takes.to_vec(), group.cloned());
        let ran = self
            .within(move |within| within.claim_key_packages(&takes, group.as_ref(), now))
            .await;
        each(items, ran)
    }

    async fn spend_key_packages(&self, tokens: &[ReservationToken], spend: &Spend, now: Timestamp) -> Answers<Receipt> {
        let items = tokens.len();
        let (tokens, spend) = (tokens.to_vec(), spend.clone());
        let ran = self
            .within(move |within| within.spend_key_packages(&tokens, &spend, now))
            .await;
        each(items, ran)
    }

    async fn release_key_packages(&self, tokens: &[ReservationToken], now: Timestamp) -> Answers<()> {
        let items = tokens.len();
        let tokens = tokens.to_vec();
        let ran = self
            .within(move |within| within.release_key_packages(&tokens, now))
            .await;
        each(items, ran)
    }

    async fn renew_key_packages(&self, tokens: &[ReservationToken], ttl: Ttl, now: Timestamp) -> Answers<Lease> {
        let items = tokens.len();
        let tokens = tokens.to_vec();
        let ran = self
            .within(move |within| within.renew_key_packages(&tokens, ttl, now))
            .await;
        each(items, ran)
    }

    async fn get_key_package(
        &self,
        pool: &PoolId,
        key_package_ref: &KeyPackageRef,
        now: Timestamp,
    ) -> Result<Option<StoredKeyPackage>> {
        self.0.get_key_package(pool, key_package_ref, now).await
    }

    async fn get_statuses(&self, pool: &PoolId, refs: &[KeyPackageRef], now: Timestamp) -> Result<Vec<Option<Status>>> {
        self.0.get_statuses(pool, refs, now).await
    }

    async fn list_available(
        &self,
        pool: &PoolId,
        after: Option<&Cursor>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Page<KeyPackageInfo>> {
        self.0.list_available(pool, after, limit, now).await
    }

    async fn list_ready(&self, pool: &PoolId, now: Timestamp) -> Result<Vec<ReadyKeyPackage>> {
        self.0.list_ready(pool, now).await
    }

    async fn count_by_status(&self, pool: &PoolId, now: Timestamp) -> Result<PoolCounts> {
        self.0.count_by_status(pool, now).await
    }

    async fn list_pools(&self, after: Option<&Cursor>, limit: u32) -> Result<Page<PoolId>> {
        self.0.list_pools(after, limit).await
    }

    async fn withdraw_key_packages(
        &self,
        pool: &PoolId,
        what: &Withdrawal,
        now: Timestamp,
    ) -> Result<Vec<(KeyPackageRef, WithdrawOutcome)>> {
        let (pool, what) = (pool.clone(), what.clone());
        self.within(move |within| within.withdraw_key_packages(&pool, &what, now))
            .await
    }

    async fn delete_pool(&self, pool: &PoolId) -> Result<()> {
        let pool = pool.clone();
        self.within(move |within| within.delete_pool(&pool)).await
    }

    async fn retire_unspent(
        &self,
        saved_before: Timestamp,
        now: Timestamp,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<(u64, Option<Cursor>)> {
        self.0.retire_unspent(saved_before, now, after, limit).await
    }

    async fn cleanup_expired(&self, now: Timestamp, limit: u32) -> Result<u64> {
        self.0.cleanup_expired(now, limit).await
    }

    async fn release_expired_reservations(&self, now: Timestamp, limit: u32) -> Result<u64> {
        self.0.release_expired_reservations(now, limit).await
    }
}

/// How long a call may take: a machine that is starved is no failure.
const LONG: Duration = Duration::from_secs(60);

struct WithinSuite;

#[async_trait]
impl Factory for WithinSuite {
    fn name(&self) -> &str {
        "within a closure"
    }

    fn facets(&self) -> Facets {
        FACETS
    }

    async fn open(&self, space: &Space) -> std::result::Result<Arc<dyn KeyPackageStore>, OpenError> {
        let store = SqliteStore::builder(file(space)).limits(space.limits());
        let store = store.timeout(LONG).open().await?;
        let table = "CREATE TABLE IF NOT EXISTS calls (undone INTEGER NOT NULL)";
        let made = Connection::open(file(space)).and_then(|server| {
            server.busy_timeout(LONG)?;
            server.execute_batch(table)
        });
        made.map_err(|error| OpenError::Unreachable(error.into()))?;
        Ok(Arc::new(Within(store)))
    }

    async fn destroy(&self, space: &Space) {
        check_rows(&file(space)).await;
        if !file(space).exists() {
            return; // The check opened no store.
        }
        let rows = Connection::open(file(space)).expect("the file can be opened");
        let undone = "SELECT count(*) FROM calls WHERE undone";
        let undone: i64 = rows
            .query_row(undone, [], |row| row.get(0))
            .expect("the file can be read");
        assert_eq!(undone, 0, "what was undone is not there");
    }
}

fn main() -> ExitCode {
    kp_conformance::main(WithinSuite)
}
