use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kp_core::{
    Admission, BackendError, Ciphersuite, Cursor, Effect, KeyPackage, KeyPackageInfo, KeyPackageRef, KeyPackageStore,
    KeyPackageStoreExt as _, OnLapse, Page, PoolId, Receipt, Reservation, ReservationId, ReservationToken, Result,
    Spend, TakeRequest, Timestamp, Ttl, WithdrawOutcome, Withdrawal,
};

use crate::builder::Shared;
use crate::observe::{count_swept, observe};
use crate::{
    CiphersuiteStatus, Clock, DirectoryBuilder, PoolStatus, Sweeper, Swept, SyncReport, Take, Upload, UploadError,
    UploadOutcome,
};

/// How many packages or pools one step of a listing or a sweep takes.
const STEP: u32 = 500;

/// What a delivery service calls: KeyPackages in, KeyPackages out, over any [`KeyPackageStore`] (`DIR-1`).
///
/// It adds the policy that a store has not: the clock, how long leases and replay windows last, caps and limits, the
/// admission of uploads, spans and metrics, sweeping. Cheap to clone; clones are the same directory. Several nodes may
/// each have one over the same store.
///
/// Who may call what for which pool is the server's to decide: an uploader owns its pool, and a token is a bearer secret.
///
/// # Errors
///
/// [`kp_core::Error`]: a [`Rejection`](kp_core::Rejection) says what the rules have against it, and a
/// [`BackendError`] that the store failed. After a failure the same request again, with the same [`Take::id`], finds out
/// what became of it.
#[derive(Debug, Clone)]
pub struct KeyPackageDirectory(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) store: Arc<dyn KeyPackageStore>,
    pub(crate) admission: Shared,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: Config,
}

#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) lease_ttl: Ttl,
    pub(crate) claim_window: Ttl,
    pub(crate) cap_per_ciphersuite: u32,
    pub(crate) low_below: u8,
    pub(crate) max_upload: usize,
    pub(crate) limit_per_requester: Option<u32>,
    pub(crate) on_lapse: OnLapse,
    pub(crate) expiring_soon: u64,
    pub(crate) restore_point: Option<Timestamp>,
    pub(crate) skew: u64,
}

impl KeyPackageDirectory {
    /// The policy of a directory over this store, to be set and built.
    pub fn builder(store: Arc<dyn KeyPackageStore>, admission: impl Admission) -> DirectoryBuilder {
        DirectoryBuilder::new(store, admission)
    }

    /// Takes packages into a pool; a [`UploadOutcome`] for each, in order. The admission runs off the async threads (`ADM-3`).
    ///
    /// # Errors
    ///
    /// [`UploadError`]; what is wrong with a package is its verdict.
    pub async fn upload(&self, upload: Upload) -> Result<Vec<UploadOutcome>, UploadError> {
        observe("upload", self.admit_and_save(upload)).await
    }

    /// Hands out a package for good: what most delivery services do.
    ///
    /// # Errors
    ///
    /// As [`claim_key_packages`](KeyPackageStore::claim_key_packages).
    pub async fn claim(&self, pool: &PoolId, ask: &Take) -> Result<KeyPackage> {
        observe("claim", async {
            let take = self.take(pool, ask, request_id(ask, "claim")?, self.0.config.claim_window);
            let store = &self.0.store;
            store.claim_key_package(&take, ask.group.as_ref(), self.now()).await
        })
        .await
    }

    /// Hands out a package of each pool, for good: one for every device of a user. An answer for each pool, in order.
    ///
    /// # Errors
    ///
    /// For each pool as [`claim`](Self::claim).
    pub async fn claim_many(&self, pools: &[PoolId], ask: &Take) -> Vec<Result<KeyPackage>> {
        observe("claim_many", async {
            match self.takes(pools, ask, "claim_many", self.0.config.claim_window) {
                Ok(takes) => {
                    let store = &self.0.store;
                    store.claim_key_packages(&takes, ask.group.as_ref(), self.now()).await
                }
                Err(failure) => all_failed(pools, &failure),
            }
        })
        .await
    }

    /// Lends a package until it is spent, released, or its lease lapses. A last-resort package carries no lease.
    ///
    /// # Errors
    ///
    /// As [`reserve_key_packages`](KeyPackageStore::reserve_key_packages).
    pub async fn reserve(&self, pool: &PoolId, ask: &Take) -> Result<Reservation> {
        observe("reserve", async {
            let Config {
                lease_ttl, on_lapse, ..
            } = self.0.config;
            let take = self.take(pool, ask, request_id(ask, "reserve")?, lease_ttl);
            self.0.store.reserve_key_package(&take, on_lapse, self.now()).await
        })
        .await
    }

    /// Lends a package of each pool. An answer for each pool, in order.
    ///
    /// # Errors
    ///
    /// For each pool as [`reserve`](Self::reserve).
    pub async fn reserve_many(&self, pools: &[PoolId], ask: &Take) -> Vec<Result<Reservation>> {
        observe("reserve_many", async {
            let Config {
                lease_ttl, on_lapse, ..
            } = self.0.config;
            match self.takes(pools, ask, "reserve_many", lease_ttl) {
                Ok(takes) => self.0.store.reserve_key_packages(&takes, on_lapse, self.now()).await,
                Err(failure) => all_failed(pools, &failure),
            }
        })
        .await
    }

    /// Spends reservations. Deliver the Commit and its Welcome only *after* the receipts (`SPEND-1`).
    ///
    /// # Errors
    ///
    /// For each token as [`spend_key_packages`](KeyPackageStore::spend_key_packages).
    pub async fn spend(&self, tokens: &[ReservationToken], usage: &Spend) -> Vec<Result<Receipt>> {
        observe("spend", self.0.store.spend_key_packages(tokens, usage, self.now())).await
    }

    /// Gives reservations back whose packages were shown to nobody.
    ///
    /// # Errors
    ///
    /// For each token as [`release_key_packages`](KeyPackageStore::release_key_packages).
    pub async fn release(&self, tokens: &[ReservationToken]) -> Vec<Result<()>> {
        observe("release", self.0.store.release_key_packages(tokens, self.now())).await
    }

    /// How a pool is doing. Counts and expiry are two reads, so under load they may be a moment apart.
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    pub async fn status(&self, pool: &PoolId) -> Result<PoolStatus> {
        observe("status", async {
            let now = self.now();
            let available = self.available(pool, now).await?;
            self.pool_status(pool, &available, now).await
        })
        .await
    }

    /// Tells a client what became of its packages, and which others the server would hand out.
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    pub async fn sync(&self, pool: &PoolId, yours: &[KeyPackageRef]) -> Result<SyncReport> {
        observe("sync", async {
            let now = self.now();
            let statuses = self.0.store.get_statuses(pool, yours, now).await?;
            let available = self.available(pool, now).await?;
            let status = self.pool_status(pool, &available, now).await?;
            let known: std::collections::HashSet<_> = yours.iter().collect();
            let available = available.into_iter().map(|info| info.key_package_ref);
            Ok(SyncReport {
                yours: statuses,
                unknown_to_you: available.filter(|found| !known.contains(found)).collect(),
                status,
            })
        })
        .await
    }

    /// The owner withdraws packages (`DEL-3`); an answer for each.
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    pub async fn withdraw(&self, pool: &PoolId, what: &Withdrawal) -> Result<Vec<(KeyPackageRef, WithdrawOutcome)>> {
        observe("withdraw", self.0.store.withdraw_key_packages(pool, what, self.now())).await
    }

    /// The device is gone: everything goes, memory of spent refs included (`DEL-1`).
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    pub async fn delete_pool(&self, pool: &PoolId) -> Result<()> {
        observe("delete_pool", self.0.store.delete_pool(pool)).await
    }

    /// For operators: the pools that hold anything, page by page (`READ-5`).
    ///
    /// # Errors
    ///
    /// As [`list_pools`](KeyPackageStore::list_pools).
    pub async fn list_pools(&self, after: Option<&Cursor>, limit: u32) -> Result<Page<PoolId>> {
        observe("list_pools", self.0.store.list_pools(after, limit)).await
    }

    /// For operators, after a restore from backup: what was saved before this moment is never handed out again, in any
    /// pool (`DEL-2`). Says how many packages that were. After a failure, call it again.
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    pub async fn retire_unspent(&self, saved_before: Timestamp) -> Result<u64> {
        observe("retire_unspent", async {
            let now = self.now();
            let mut retired = 0;
            let mut after = None;
            loop {
                let (count, next) = self
                    .0
                    .store
                    .retire_unspent(saved_before, now, after.as_ref(), STEP)
                    .await?;
                retired += count;
                after = next;
                if after.is_none() {
                    return Ok(retired);
                }
            }
        })
        .await
    }

    /// Removes what has expired and settles what has lapsed, in bounded steps beside live traffic, until nothing is left.
    ///
    /// # Errors
    ///
    /// Only failures of the backend.
    pub async fn sweep(&self) -> Result<Swept> {
        self.sweep_while(|| true).await
    }

    /// Starts a task that sweeps at once, and then every so often, a second at least. It needs a tokio runtime, and stops
    /// when the [`Sweeper`] is dropped. A sweep that fails is logged, and the next one tries again.
    pub fn start_sweeper(&self, every: Duration) -> Sweeper {
        Sweeper::start(self.clone(), every)
    }

    pub(crate) async fn sweep_while(&self, goes_on: impl Fn() -> bool) -> Result<Swept> {
        observe("sweep", async {
            let Inner { store, config, .. } = &*self.0;
            let now = self.now();
            let mut swept = Swept::default();
            // DIR-4: what is swept is forgotten, so no node's clock may still be behind.
            let behind = now.minus(config.skew);
            while goes_on() {
                let removed = store.cleanup_expired(behind, STEP).await?;
                count_swept("expired", removed);
                swept.expired += removed;
                if removed == 0 {
                    break;
                }
            }
            while goes_on() {
                let ended = store.release_expired_reservations(now, STEP).await?;
                count_swept("lapsed", ended);
                swept.lapsed += ended;
                if ended == 0 {
                    break;
                }
            }
            Ok(swept)
        })
        .await
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn take(&self, pool: &PoolId, ask: &Take, id: ReservationId, ttl: Ttl) -> TakeRequest {
        let mut take = TakeRequest::new(pool.clone(), id, ttl)
            .suites(ask.suites.iter().copied())
            .remaining(ask.remaining)
            .last_resort(ask.last_resort);
        take.only = ask.only.clone();
        take.by = ask.by.clone();
        take.limit = self.0.config.limit_per_requester;
        take
    }

    /// One request for each pool, all under the same id.
    fn takes(
        &self,
        pools: &[PoolId],
        ask: &Take,
        operation: &'static str,
        ttl: Ttl,
    ) -> Result<Vec<TakeRequest>, BackendError> {
        let id = request_id(ask, operation)?;
        Ok(pools.iter().map(|pool| self.take(pool, ask, id, ttl)).collect())
    }

    /// All that reserve could hand out now.
    async fn available(&self, pool: &PoolId, now: Timestamp) -> Result<Vec<KeyPackageInfo>> {
        let mut page = self.0.store.list_available(pool, None, STEP, now).await?;
        let mut available = page.items;
        while let Some(after) = page.next.take() {
            page = self.0.store.list_available(pool, Some(&after), STEP, now).await?;
            available.append(&mut page.items);
        }
        Ok(available)
    }

    async fn pool_status(&self, pool: &PoolId, available: &[KeyPackageInfo], now: Timestamp) -> Result<PoolStatus> {
        let config = &self.0.config;
        let soon = now.plus(config.expiring_soon);
        let mut expiring = BTreeMap::<Ciphersuite, u32>::new();
        for info in available.iter().filter(|info| info.lifetime.is_expired(soon)) {
            *expiring.entry(info.ciphersuite).or_default() += 1;
        }
        let counts = self.0.store.count_by_status(pool, now).await?;
        let status = |(suite, counts)| {
            let expiring_soon = expiring.get(&suite).copied().unwrap_or_default();
            let status = CiphersuiteStatus::new(counts, expiring_soon, config.cap_per_ciphersuite, config.low_below);
            (suite, status)
        };
        Ok(PoolStatus {
            suites: counts.into_iter().map(status).collect(),
        })
    }
}

/// The caller's id, or a fresh random one.
fn request_id(ask: &Take, operation: &'static str) -> Result<ReservationId, BackendError> {
    if let Some(id) = ask.id {
        return Ok(id);
    }
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| BackendError::new("directory", operation, Effect::NotApplied, error))?;
    Ok(ReservationId::from_bytes(bytes))
}

fn all_failed<T>(pools: &[PoolId], failure: &BackendError) -> Vec<Result<T>> {
    pools.iter().map(|_| Err(failure.clone().into())).collect()
}
