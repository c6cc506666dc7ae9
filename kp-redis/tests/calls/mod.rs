//! Every call of both stores, so that a test can make each of them in a state of the server.
#![allow(dead_code)] // Each test takes what it needs of it.

use std::fmt::Debug;

use kp_core::client::*;
use kp_core::server::*;
use kp_core::*;
use kp_redis::{RedisBuilder, RedisMetadata, RedisStore};
use kp_test_support::servers::{Server, redis, valkey};

use crate::packages::{id, key_package_ref, now, package, pool, save, take};

/// The binaries to test with: Redis, and Valkey where it is named.
pub(crate) fn binaries() -> Vec<std::path::PathBuf> {
    std::iter::once(redis()).chain(valkey()).collect()
}

/// Starts a server of each kind.
pub(crate) fn servers(arguments: &[&str]) -> Vec<Server> {
    let start = |binary| Server::start_binary(binary, arguments);
    binaries().into_iter().map(start).collect()
}

/// How long a renewed lease lasts.
const LONGER: Ttl = Ttl::seconds(900).unwrap();

/// Who takes leases.
const HOLDER: LeaseHolder = LeaseHolder::from_bytes([7; 16]);

/// A call, and whether it may change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(crate) changes: bool,
}

const fn change(name: &'static str) -> Call {
    Call { name, changes: true }
}

const fn read(name: &'static str) -> Call {
    Call { name, changes: false }
}

/// The calls of both stores.
pub(crate) const CALLS: [Call; 29] = [
    change("save"),
    change("replace"),
    change("reserve"),
    change("claim"),
    change("claim_lease"),
    change("claim_again"),
    change("spend"),
    change("spend_refused"),
    change("release"),
    change("renew"),
    change("withdraw"),
    change("delete_pool"),
    change("retire"),
    change("cleanup"),
    change("settle"),
    read("get"),
    read("statuses"),
    read("available"),
    read("ready"),
    read("count"),
    read("pools"),
    change("create_rows"),
    change("update_rows"),
    change("delete_rows"),
    read("rows"),
    change("write_record"),
    change("lease"),
    change("release_lease"),
    read("record"),
];

/// Both stores, and the pool that the calls are made on.
#[derive(Clone)]
pub(crate) struct Stores {
    pub(crate) store: RedisStore,
    pub(crate) rows: RedisMetadata,
    pub(crate) pool: PoolId,
}

fn failed<T: Debug, R: Debug>(answer: std::result::Result<T, Error<R>>) -> std::result::Result<String, BackendError> {
    match answer {
        Err(Error::Backend(failure)) => Err(failure),
        other => Ok(format!("{other:?}")),
    }
}

impl Stores {
    pub(crate) async fn open(builder: RedisBuilder, name: &str) -> std::result::Result<Self, OpenError> {
        Ok(Self {
            store: builder.clone().open().await?,
            rows: builder.open_metadata(pool(name)).await?,
            pool: pool(name),
        })
    }

    /// The same stores, for another pool of theirs. The rows stay the client's.
    pub(crate) fn on(&self, name: &str) -> Self {
        Self {
            pool: pool(name),
            ..self.clone()
        }
    }

    pub(crate) fn token(&self, number: u32) -> ReservationToken {
        ReservationToken::new(self.pool.clone(), key_package_ref(number), id(number.into()))
    }

    /// Fills the pool: package 0 to 2 leased under the ids 0 to 2, package 3 used, 4 to 11 free; and rows 0 to 3.
    /// The lease `round` is taken.
    pub(crate) async fn prepare(&self) {
        self.store
            .save_key_packages(&save(&self.pool, 0..12), now())
            .await
            .unwrap();
        for number in 0..3 {
            let leased = self
                .store
                .reserve_key_package(&take(&self.pool, number), OnLapse::Return, now())
                .await;
            leased.unwrap();
        }
        self.store
            .claim_key_package(&take(&self.pool, 3), None, now())
            .await
            .unwrap();
        let _ = self
            .rows
            .delete_pool_metadata(&[0, 1, 2, 3, 4].map(key_package_ref))
            .await
            .unwrap();
        let rows: Vec<_> = (0..4)
            .map(|number| KeyPackageMetadata::created(&package(number).info, now()))
            .collect();
        self.rows.create_pool_metadata(&rows).await.unwrap();
        self.rows.lease(LeaseName::ROUND, HOLDER, LONGER, now()).await.unwrap();
    }

    /// Fills the pool and the rows anew.
    pub(crate) async fn prepare_again(&self) {
        self.store.delete_pool(&self.pool).await.unwrap();
        self.prepare().await;
    }

    /// Makes a call by its name.
    pub(crate) async fn call(&self, name: &str) -> std::result::Result<String, BackendError> {
        let call = CALLS.iter().find(|call| call.name == name);
        self.make(*call.unwrap()).await
    }

    /// Makes a call. A refusal is an answer.
    pub(crate) async fn make(&self, call: Call) -> std::result::Result<String, BackendError> {
        let (store, pool) = (&self.store, &self.pool);
        let later = now().plus(100_000);
        match call.name {
            "save" => failed(store.save_key_packages(&save(pool, 20..24), now()).await),
            "replace" => {
                let replace = save(pool, 20..24).mode(SaveMode::Replace);
                failed(store.save_key_packages(&replace, now()).await)
            }
            "reserve" => failed(store.reserve_key_package(&take(pool, 10), OnLapse::Return, now()).await),
            "claim" => failed(store.claim_key_package(&take(pool, 11), None, now()).await),
            "claim_lease" => failed(store.claim_key_package(&take(pool, 0), None, now()).await),
            "spend" => failed(store.spend_key_package(&self.token(1), &Spend::default(), now()).await),
            "claim_again" => failed(store.claim_key_package(&take(pool, 3), None, now()).await),
            "spend_refused" => failed(store.spend_key_package(&self.token(5), &Spend::default(), now()).await),
            "release" => failed(store.release_key_package(&self.token(2), now()).await),
            "renew" => failed(store.renew_key_package(&self.token(2), LONGER, now()).await),
            "withdraw" => failed(store.withdraw_key_packages(pool, &Withdrawal::All, now()).await),
            "delete_pool" => failed(store.delete_pool(pool).await),
            "retire" => failed(store.retire_unspent(now().plus(1), now(), None, 1_000).await),
            "cleanup" => failed(store.cleanup_expired(later, 1_000).await),
            "settle" => failed(store.release_expired_reservations(now().plus(60), 1_000).await),
            "get" => failed(store.get_key_package(pool, &key_package_ref(5), now()).await),
            "statuses" => failed(store.get_statuses(pool, &[key_package_ref(5)], now()).await),
            "available" => failed(store.list_available(pool, None, 100, now()).await),
            "ready" => failed(store.list_ready(pool, now()).await),
            "count" => failed(store.count_by_status(pool, now()).await),
            "pools" => failed(store.list_pools(None, 1).await),
            "create_rows" => {
                let row = KeyPackageMetadata::created(&package(4).info, now());
                failed(self.rows.create_pool_metadata(&[row]).await)
            }
            "update_rows" => {
                let step = (key_package_ref(0), Lifecycle::Available);
                failed(self.rows.update_pool_status(&[step], now()).await)
            }
            "delete_rows" => failed(self.rows.delete_pool_metadata(&[key_package_ref(1)]).await),
            "rows" => failed(self.rows.list().await),
            "write_record" => {
                let mut record = PoolRecord::default();
                record.server_time = Some(later);
                failed(self.rows.apply(&MetadataChanges::new().record(record)).await)
            }
            "lease" => failed(self.rows.lease(LeaseName::ROUND, HOLDER, LONGER, now()).await),
            "release_lease" => failed(self.rows.release_lease(LeaseName::ROUND, HOLDER).await),
            "record" => failed(self.rows.record().await),
            other => panic!("no call {other}"),
        }
    }
}
