use std::fmt;
use std::sync::Arc;

use kp_core::server::{Admission, Answers, KeyPackageStore, Reservation, TakeRequest};
use kp_core::{Clock, KeyPackage, PoolId, Result, Timestamp, Ttl};
use tokio::task::yield_now;

use crate::config::Config;
use crate::notices::Subscriber;
use crate::observe::observe;
use crate::take::Take;

/// How many KeyPackages or pools one step of a listing or a sweep takes.
pub(crate) const STEP: u32 = 500;

/// The delivery service's policy: KeyPackages in, KeyPackages out, over any [`KeyPackageStore`].
///
/// A directory adds what a store has not: the clock, how long leases and replay windows last, caps and limits, the
/// admission of uploads, spans and metrics, sweeping. Cheap to clone; clones are the same directory. Several nodes may
/// each have a directory over the same store.
///
/// The server decides who may call what for which pool: an uploader owns its pool, and a token is a bearer secret. Whoever
/// knows a ref can learn whether its KeyPackage was used: by a reservation that names it, or by a spend, a release or a
/// renewal under an id of their own, which answers [`AlreadySpent`](kp_core::Rejection::AlreadySpent) from then on. A server
/// that minds answers all refusals alike.
///
/// Every list in a call is bounded: see [`max_items`](crate::DirectoryBuilder::max_items).
///
/// # Errors
///
/// [`Rejected`](kp_core::Error::Rejected): the rules refuse the request. [`Backend`](kp_core::Error::Backend): the store
/// failed; repeat the request with the same [`Take::id`].
///
/// # Cancellation
///
/// Every future may be dropped at any point. The effect of its call is then unknown; repeat the request to find out.
#[derive(Clone)]
pub struct KeyPackageDirectory(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn KeyPackageStore>,
    pub(crate) admission: Arc<dyn Admission>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: Config,
    pub(crate) subscriber: Option<Subscriber>,
}

impl fmt::Debug for KeyPackageDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPackageDirectory")
            .field("store", &self.0.store)
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}

impl KeyPackageDirectory {
    /// Hands out a KeyPackage for good: what most delivery services do. `info.role` says whether it is a last resort.
    ///
    /// # Errors
    ///
    /// [`Rejection::PoolExhausted`](kp_core::Rejection::PoolExhausted) and the other refusals of
    /// [`claim_key_packages`](KeyPackageStore::claim_key_packages), or a failure of the store.
    pub async fn claim(&self, pool: &PoolId, take: &Take) -> Result<KeyPackage> {
        let pools = std::slice::from_ref(pool);
        observe("claim", async { self.claim_each(pools, take, "claim").await.only() }).await
    }

    /// Hands out a KeyPackage of each pool, for good: one for every device of a user. An answer for each pool, in order. A
    /// pool that is named twice is answered twice with the same KeyPackage: it is the same request.
    ///
    /// # Errors
    ///
    /// For each pool as [`claim`](Self::claim).
    pub async fn claim_many(&self, pools: &[PoolId], take: &Take) -> Answers<KeyPackage> {
        observe("claim_many", self.claim_each(pools, take, "claim_many")).await
    }

    async fn claim_each(&self, pools: &[PoolId], take: &Take, operation: &'static str) -> Answers<KeyPackage> {
        let Inner { store, config, .. } = &*self.0;
        let now = self.now();
        match self.requests(pools, take, config.claim_window, operation) {
            Ok(requests) => {
                let claim = store.claim_key_packages(&requests, take.group.as_ref(), now);
                let answers = claim.await;
                self.note_taken(pools, &answers, now, |package| {
                    (package.info.role, package.info.ciphersuite)
                });
                answers
            }
            Err(error) => Answers::all_failed(pools.len(), &error),
        }
    }

    /// Lends a KeyPackage until it is spent, released, or its lease lapses. A last-resort package carries no lease.
    ///
    /// # Errors
    ///
    /// [`Rejection::PoolExhausted`](kp_core::Rejection::PoolExhausted) and the other refusals of
    /// [`reserve_key_packages`](KeyPackageStore::reserve_key_packages), or a failure of the store.
    pub async fn reserve(&self, pool: &PoolId, take: &Take) -> Result<Reservation> {
        let pools = std::slice::from_ref(pool);
        observe("reserve", async {
            self.reserve_each(pools, take, "reserve").await.only()
        })
        .await
    }

    /// Lends a KeyPackage of each pool. An answer for each pool, in order.
    ///
    /// # Errors
    ///
    /// For each pool as [`reserve`](Self::reserve).
    pub async fn reserve_many(&self, pools: &[PoolId], take: &Take) -> Answers<Reservation> {
        observe("reserve_many", self.reserve_each(pools, take, "reserve_many")).await
    }

    async fn reserve_each(&self, pools: &[PoolId], take: &Take, operation: &'static str) -> Answers<Reservation> {
        let Inner { store, config, .. } = &*self.0;
        let now = self.now();
        match self.requests(pools, take, config.lease_ttl, operation) {
            Ok(requests) => {
                let reserve = store.reserve_key_packages(&requests, config.on_lapse, now);
                let answers = reserve.await;
                self.note_taken(pools, &answers, now, |Reservation { package, .. }| {
                    (package.info.role, package.info.ciphersuite)
                });
                answers
            }
            Err(error) => Answers::all_failed(pools.len(), &error),
        }
    }

    /// Makes the store's requests, unless there are too many (`DIR-8`).
    fn requests(&self, pools: &[PoolId], take: &Take, ttl: Ttl, operation: &'static str) -> Result<Vec<TakeRequest>> {
        let config = &self.0.config;
        config.bounded(pools)?;
        config.bounded_ciphersuites(&take.options)?;
        Ok(take.requests(pools, ttl, config.limit_per_requester, operation)?)
    }

    /// Retires what was saved before this moment and is unspent, in every pool: for operators, after a restore from backup.
    /// Returns how many KeyPackages that were. After a failure, call it again.
    ///
    /// # Errors
    ///
    /// Only failures of the store.
    pub async fn retire_unspent(&self, saved_before: Timestamp) -> Result<u64> {
        observe("retire_unspent", async {
            let (store, now) = (&self.0.store, self.now());
            let mut retired = 0;
            let mut after = None;
            loop {
                let (count, next) = store.retire_unspent(saved_before, now, after.as_ref(), STEP).await?;
                retired += count;
                after = next;
                if after.is_none() {
                    return Ok(retired);
                }
                yield_now().await;
            }
        })
        .await
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }
}
