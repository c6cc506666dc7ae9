//! A store whose changing calls are each a transaction of the server's own.

use std::sync::{Arc, Mutex};

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
use kp_postgres::PostgresStore;
use tokio_postgres::{Client, NoTls};

use super::{FACETS, Suite};

/// A store whose changing calls are transactions of these clients.
#[derive(Debug)]
struct Within {
    store: PostgresStore,
    clients: Clients,
}

#[derive(Debug)]
enum Clients {
    Own(OwnClients),
    #[cfg(feature = "sqlx")]
    Sqlx(sqlx::PgPool),
}

/// Clients of tokio-postgres: those that have no transaction.
#[derive(Debug)]
struct OwnClients {
    url: String,
    idle: Mutex<Vec<Client>>,
}

fn failure(effect: Effect, error: impl Into<BoxError>) -> Error {
    BackendError::transient("within", "transaction", effect, error).into()
}

impl OwnClients {
    /// Returns a client that has no transaction.
    async fn client(&self) -> Result<Client> {
        let idle = self.idle.lock().expect("nobody panics with it").pop();
        match idle.filter(|client| !client.is_closed()) {
            Some(client) => Ok(client),
            None => {
                let connected = tokio_postgres::connect(&self.url, NoTls).await;
                let (client, connection) = connected.map_err(|error| failure(Effect::NotApplied, error))?;
                tokio::spawn(connection);
                Ok(client)
            }
        }
    }
}

/// Makes a call in a transaction, and commits.
macro_rules! within {
    ($store:ident, $call:ident($($argument:expr),*)) => {
        async {
            match &$store.clients {
                Clients::Own(clients) => {
                    let mut client = clients.client().await?;
                    let begun = client.transaction().await;
                    let transaction = begun.map_err(|error| failure(Effect::NotApplied, error))?;
                    let (transaction, answer) = $store.store.within(transaction).$call($($argument),*).await?;
                    $store.store.within(transaction).commit().await?;
                    clients.idle.lock().expect("nobody panics with it").push(client);
                    Ok(answer)
                }
                #[cfg(feature = "sqlx")]
                Clients::Sqlx(pool) => {
                    let begun = pool.begin().await;
                    let transaction = begun.map_err(|error| failure(Effect::NotApplied, error))?;
                    let (transaction, answer) = $store.store.within(transaction).$call($($argument),*).await?;
                    $store.store.within(transaction).commit().await?;
                    Ok(answer)
                }
            }
        }
        .await
    };
}

/// Answers each item of a batch; if the transaction failed, with its failure.
fn each<T>(items: usize, ran: Result<Answers<T>>) -> Answers<T> {
    ran.unwrap_or_else(|error| Answers::all_failed(items, &error))
}

#[async_trait]
impl KeyPackageStore for Within {
    async fn save_key_packages(&self, save: &Save, now: Timestamp) -> Result<Vec<SaveOutcome>> {
        within!(self, save_key_packages(save, now))
    }

    async fn reserve_key_packages(
        &self,
        takes: &[TakeRequest],
        lapse: OnLapse,
        now: Timestamp,
    ) -> Answers<Reservation> {
        each(takes.len(), within!(self, reserve_key_packages(takes, lapse, now)))
    }

    async fn claim_key_packages(
        &self,
        takes: &[TakeRequest],
        group: Option<&GroupId>,
        now: Timestamp,
    ) -> Answers<KeyPackage> {
        each(takes.len(), within!(self, claim_key_packages(takes, group, now)))
    }

    async fn spend_key_packages(&self, tokens: &[ReservationToken], spend: &Spend, now: Timestamp) -> Answers<Receipt> {
        each(tokens.len(), within!(self, spend_key_packages(tokens, spend, now)))
    }

    async fn release_key_packages(&self, tokens: &[ReservationToken], now: Timestamp) -> Answers<()> {
        each(tokens.len(), within!(self, release_key_packages(tokens, now)))
    }

    async fn renew_key_packages(&self, tokens: &[ReservationToken], ttl: Ttl, now: Timestamp) -> Answers<Lease> {
        each(tokens.len(), within!(self, renew_key_packages(tokens, ttl, now)))
    }

    async fn get_key_package(
        &self,
        pool: &PoolId,
        key_package_ref: &KeyPackageRef,
        now: Timestamp,
    ) -> Result<Option<StoredKeyPackage>> {
        self.store.get_key_package(pool, key_package_ref, now).await
    }

    async fn get_statuses(&self, pool: &PoolId, refs: &[KeyPackageRef], now: Timestamp) -> Result<Vec<Option<Status>>> {
        self.store.get_statuses(pool, refs, now).await
    }

    async fn list_available(
        &self,
        pool: &PoolId,
        after: Option<&Cursor>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Page<KeyPackageInfo>> {
        self.store.list_available(pool, after, limit, now).await
    }

    async fn list_ready(&self, pool: &PoolId, now: Timestamp) -> Result<Vec<ReadyKeyPackage>> {
        self.store.list_ready(pool, now).await
    }

    async fn count_by_status(&self, pool: &PoolId, now: Timestamp) -> Result<PoolCounts> {
        self.store.count_by_status(pool, now).await
    }

    async fn list_pools(&self, after: Option<&Cursor>, limit: u32) -> Result<Page<PoolId>> {
        self.store.list_pools(after, limit).await
    }

    async fn withdraw_key_packages(
        &self,
        pool: &PoolId,
        what: &Withdrawal,
        now: Timestamp,
    ) -> Result<Vec<(KeyPackageRef, WithdrawOutcome)>> {
        within!(self, withdraw_key_packages(pool, what, now))
    }

    async fn delete_pool(&self, pool: &PoolId) -> Result<()> {
        within!(self, delete_pool(pool))
    }

    async fn retire_unspent(
        &self,
        saved_before: Timestamp,
        now: Timestamp,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<(u64, Option<Cursor>)> {
        self.store.retire_unspent(saved_before, now, after, limit).await
    }

    async fn cleanup_expired(&self, now: Timestamp, limit: u32) -> Result<u64> {
        self.store.cleanup_expired(now, limit).await
    }

    async fn release_expired_reservations(&self, now: Timestamp, limit: u32) -> Result<u64> {
        self.store.release_expired_reservations(now, limit).await
    }
}

/// The suite, and the library whose transactions the calls are made in.
pub(crate) struct WithinSuite(pub(crate) Suite, pub(crate) String);

#[async_trait]
impl Factory for WithinSuite {
    fn name(&self) -> &str {
        "within a transaction"
    }

    fn facets(&self) -> Facets {
        FACETS
    }

    async fn open(&self, space: &Space) -> std::result::Result<Arc<dyn KeyPackageStore>, OpenError> {
        let store = self.0.builder(space).await.limits(space.limits()).connect().await?;
        let url = self.0.url(space);
        let clients = match self.1.as_str() {
            #[cfg(feature = "sqlx")]
            "sqlx" => {
                let pool = sqlx::postgres::PgPoolOptions::new().acquire_timeout(super::LONG);
                Clients::Sqlx(pool.connect_lazy(&url).expect("it is an address"))
            }
            "tokio-postgres" => Clients::Own(OwnClients {
                url,
                idle: Mutex::default(),
            }),
            other => panic!("KP_POSTGRES_WITHIN is tokio-postgres or sqlx, and not {other}"),
        };
        Ok(Arc::new(Within { store, clients }))
    }

    async fn destroy(&self, space: &Space) {
        <Suite as Factory>::destroy(&self.0, space).await;
    }
}
