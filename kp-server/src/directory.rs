use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use futures::stream::{self, Stream, TryStreamExt as _};
use kp_core::protocol::{PoolStatus, SyncReport};
use kp_core::server::{
    Admission, Answers, Cursor, KeyPackageStore, Page, Receipt, Reservation, ReservationToken, Spend, WithdrawOutcome,
    Withdrawal,
};
use kp_core::{Clock, Error, KeyPackage, KeyPackageInfo, KeyPackageRef, PoolId, Result, Timestamp};

use tokio::task::yield_now;

use crate::config::Config;
use crate::observe::observe;
use crate::status::pool_status;
use crate::take::Take;

/// How many KeyPackages or pools one step of a listing or a sweep takes.
pub(crate) const STEP: u32 = 500;

/// The delivery service's policy: KeyPackages in, KeyPackages out, over any [`KeyPackageStore`].
///
/// A directory adds what a store has not: the clock, how long leases and replay windows last, caps and limits, the
/// admission of uploads, spans and metrics, sweeping. Cheap to clone; clones are the same directory. Several nodes may
/// each have a directory over the same store.
///
/// The server decides who may call what for which pool: an uploader owns its pool, and a token is a bearer secret.
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
    /// Hands out a KeyPackage for good: what most delivery services do.
    ///
    /// # Errors
    ///
    /// [`Rejection::PoolExhausted`](kp_core::Rejection::PoolExhausted) and the other refusals of
    /// [`claim_key_packages`](KeyPackageStore::claim_key_packages), or a failure of the store.
    pub async fn claim(&self, pool: &PoolId, take: &Take) -> Result<KeyPackage> {
        let pools = std::slice::from_ref(pool);
        observe("claim", async { self.claim_each(pools, take, "claim").await.only() }).await
    }

    /// Hands out a KeyPackage of each pool, for good: one for every device of a user. An answer for each pool, in order.
    ///
    /// # Errors
    ///
    /// For each pool as [`claim`](Self::claim).
    pub async fn claim_many(&self, pools: &[PoolId], take: &Take) -> Answers<KeyPackage> {
        observe("claim_many", self.claim_each(pools, take, "claim_many")).await
    }

    async fn claim_each(&self, pools: &[PoolId], take: &Take, operation: &'static str) -> Answers<KeyPackage> {
        let Inner { store, config, .. } = &*self.0;
        match take.requests(pools, config.claim_window, config.limit_per_requester, operation) {
            Ok(requests) => {
                store
                    .claim_key_packages(&requests, take.group.as_ref(), self.now())
                    .await
            }
            Err(failure) => Answers::all_failed(pools.len(), &failure.into()),
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
        match take.requests(pools, config.lease_ttl, config.limit_per_requester, operation) {
            Ok(requests) => store.reserve_key_packages(&requests, config.on_lapse, self.now()).await,
            Err(failure) => Answers::all_failed(pools.len(), &failure.into()),
        }
    }

    /// Spends reservations; an answer for each token, in order. Deliver the Commit and its Welcome only *after* the
    /// receipts.
    ///
    /// # Errors
    ///
    /// For each token as [`spend_one`](Self::spend_one).
    pub async fn spend(&self, tokens: &[ReservationToken], spend: &Spend) -> Answers<Receipt> {
        let store = &self.0.store;
        observe("spend", store.spend_key_packages(tokens, spend, self.now())).await
    }

    /// Spends one reservation, by its lease or token. Deliver the Commit and its Welcome only *after* the receipt.
    ///
    /// # Errors
    ///
    /// [`Rejection::NoLiveReservation`](kp_core::Rejection::NoLiveReservation) and the other refusals of
    /// [`spend_key_packages`](KeyPackageStore::spend_key_packages), or a failure of the store.
    pub async fn spend_one(&self, lease: impl AsRef<ReservationToken> + Send, spend: &Spend) -> Result<Receipt> {
        let token = lease.as_ref().clone();
        self.spend(&[token], spend).await.only()
    }

    /// Gives reservations back whose KeyPackages were shown to nobody; an answer for each token, in order.
    ///
    /// # Errors
    ///
    /// For each token as [`release_one`](Self::release_one).
    pub async fn release(&self, tokens: &[ReservationToken]) -> Answers<()> {
        observe("release", self.0.store.release_key_packages(tokens, self.now())).await
    }

    /// Gives one reservation back, by its lease or token. The KeyPackage must have been shown to nobody.
    ///
    /// # Errors
    ///
    /// [`Rejection::NoLiveReservation`](kp_core::Rejection::NoLiveReservation) and the other refusals of
    /// [`release_key_packages`](KeyPackageStore::release_key_packages), or a failure of the store.
    pub async fn release_one(&self, lease: impl AsRef<ReservationToken> + Send) -> Result<()> {
        let token = lease.as_ref().clone();
        self.release(&[token]).await.only()
    }

    /// Tells how a pool is doing. Counts and expiry are two reads, so under load they may be a moment apart.
    ///
    /// # Errors
    ///
    /// Only failures of the store.
    pub async fn status(&self, pool: &PoolId) -> Result<PoolStatus> {
        observe("status", async {
            let now = self.now();
            let available = self.all_available(pool, now).await?;
            self.pool_status(pool, &available, now).await
        })
        .await
    }

    /// Tells a client what became of its KeyPackages, and which others the server would hand out.
    ///
    /// # Errors
    ///
    /// Only failures of the store.
    pub async fn sync(&self, pool: &PoolId, yours: &[KeyPackageRef]) -> Result<SyncReport> {
        observe("sync", async {
            let now = self.now();
            let statuses = self.0.store.get_statuses(pool, yours, now).await?;
            let available = self.all_available(pool, now).await?;
            let status = self.pool_status(pool, &available, now).await?;
            let named: HashSet<_> = yours.iter().collect();
            let available = available.into_iter().map(|info| info.key_package_ref);
            let unnamed = available.filter(|found| !named.contains(found)).collect();
            Ok(SyncReport::new(statuses, unnamed, status))
        })
        .await
    }

    async fn pool_status(&self, pool: &PoolId, available: &[KeyPackageInfo], now: Timestamp) -> Result<PoolStatus> {
        let counts = self.0.store.count_by_status(pool, now).await?;
        Ok(pool_status(counts, available, &self.0.config, now))
    }

    /// Withdraws KeyPackages at their owner's wish; an answer for each.
    ///
    /// # Errors
    ///
    /// Only failures of the store.
    pub async fn withdraw(&self, pool: &PoolId, what: &Withdrawal) -> Result<Vec<(KeyPackageRef, WithdrawOutcome)>> {
        let store = &self.0.store;
        observe("withdraw", store.withdraw_key_packages(pool, what, self.now())).await
    }

    /// Deletes everything about a pool, memory of spent KeyPackages included: for a device that is gone.
    ///
    /// # Errors
    ///
    /// Only failures of the store.
    pub async fn delete_pool(&self, pool: &PoolId) -> Result<()> {
        observe("delete_pool", self.0.store.delete_pool(pool)).await
    }

    /// Lists a page of the KeyPackages that could be handed out now, in that order.
    ///
    /// # Errors
    ///
    /// [`Rejection::InvalidCursor`](kp_core::Rejection::InvalidCursor), or a failure of the store.
    pub async fn list_available(
        &self,
        pool: &PoolId,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<KeyPackageInfo>> {
        let store = &self.0.store;
        observe("list_available", store.list_available(pool, after, limit, self.now())).await
    }

    /// Streams the KeyPackages that could be handed out now, in that order.
    ///
    /// # Errors
    ///
    /// Only failures of the store; the stream ends with the first.
    pub fn available(&self, pool: &PoolId) -> impl Stream<Item = Result<KeyPackageInfo>> + Send + use<> {
        let (directory, pool) = (self.clone(), pool.clone());
        pages(move |after| {
            let (directory, pool) = (directory.clone(), pool.clone());
            async move { directory.list_available(&pool, after.as_ref(), STEP).await }
        })
    }

    /// Lists a page of the pools that hold anything: for operators.
    ///
    /// # Errors
    ///
    /// [`Rejection::InvalidCursor`](kp_core::Rejection::InvalidCursor), or a failure of the store.
    pub async fn list_pools(&self, after: Option<&Cursor>, limit: u32) -> Result<Page<PoolId>> {
        observe("list_pools", self.0.store.list_pools(after, limit)).await
    }

    /// Streams the pools that hold anything: for operators.
    ///
    /// # Errors
    ///
    /// Only failures of the store; the stream ends with the first.
    pub fn pools(&self) -> impl Stream<Item = Result<PoolId>> + Send + use<> {
        let directory = self.clone();
        pages(move |after| {
            let directory = directory.clone();
            async move { directory.list_pools(after.as_ref(), STEP).await }
        })
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

    /// Collects all that reserve could hand out at `now`.
    async fn all_available(&self, pool: &PoolId, now: Timestamp) -> Result<Vec<KeyPackageInfo>> {
        let page = |after: Option<Cursor>| async move {
            let store = &self.0.store;
            store.list_available(pool, after.as_ref(), STEP, now).await
        };
        pages(page).try_collect().await
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }
}

/// Where a walk over the pages of a listing stands.
enum Walk {
    Next(Option<Cursor>),
    Done,
}

/// Streams the items of all pages of a listing.
fn pages<T, F>(page: impl Fn(Option<Cursor>) -> F) -> impl Stream<Item = Result<T>>
where
    F: Future<Output = Result<Page<T>>>,
{
    let pages = stream::try_unfold((page, Walk::Next(None)), |(page, walk)| async move {
        let Walk::Next(after) = walk else {
            return Ok::<_, Error>(None);
        };
        let Page { items, next, .. } = page(after).await?;
        let walk = next.map_or(Walk::Done, |next| Walk::Next(Some(next)));
        let items = stream::iter(items.into_iter().map(Ok));
        Ok(Some((items, (page, walk))))
    });
    pages.try_flatten()
}
