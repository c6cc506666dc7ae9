use kp_core::server::Answers;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use async_trait::async_trait;
use kp_core::server::{
    Cursor, KeyPackageStore, Lease, OnLapse, Page, ReadyKeyPackage, Receipt, Reservation, ReservationToken, Save,
    SaveOutcome, Spend, StoredKeyPackage, TakeRequest, WithdrawOutcome, Withdrawal,
};
use kp_core::{
    BackendError, Effect, GroupId, KeyPackage, KeyPackageInfo, KeyPackageRef, PoolCounts, PoolId, Result, Status,
    Timestamp, Ttl,
};

use crate::Fault;

/// A store whose calls fail now and then, as `ERR-1` and `ERR-2` allow: put it between a service and its store to see what
/// the service makes of that.
///
/// The n-th call suffers the n-th of the [`Fault`]s given, and nothing once they are used up. All failures are transient,
/// and those of a batch answer each of its items (`ERR-3`).
///
/// ```
/// # use std::sync::Arc;
/// use kp_conformance::{Fault, Faults, FaultyStore, ReferenceStore};
/// # use kp_core::server::KeyPackageStore;
/// # use kp_core::{Error, Effect, PoolId, Timestamp};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (pool, now) = (PoolId::try_from("bob/phone")?, Timestamp::try_from(1_700_000_000)?);
/// let store = Arc::new(ReferenceStore::default());
///
/// // One call is made, and nobody hears of it.
/// let faulty = FaultyStore::new(store.clone(), [Fault::LostReply]);
/// let Err(Error::Backend(failure)) = faulty.delete_pool(&pool).await else {
///     panic!("the reply was lost");
/// };
/// assert_eq!(failure.effect(), Effect::Unknown);
/// faulty.delete_pool(&pool).await?;
///
/// // Every other call fails, or takes its time, or has its future dropped.
/// let faulty = FaultyStore::new(store, Faults::seeded(7));
/// let counted = faulty.count_by_status(&pool, now).await;
/// # let _ = counted;
/// # Ok(())
/// # }
/// ```
pub struct FaultyStore {
    store: Arc<dyn KeyPackageStore>,
    faults: Mutex<Box<dyn Iterator<Item = Fault> + Send>>,
}

impl FaultyStore {
    /// This store, with faults.
    pub fn new(
        store: Arc<dyn KeyPackageStore>,
        faults: impl IntoIterator<Item = Fault, IntoIter: Send + 'static>,
    ) -> Self {
        let faults = Mutex::new(Box::new(faults.into_iter()) as _);
        Self { store, faults }
    }

    /// Makes the call, as the next fault has it.
    async fn suffer<T>(&self, operation: &'static str, call: impl Future<Output = T>) -> Result<T, BackendError> {
        let fault = self.faults.lock().unwrap_or_else(PoisonError::into_inner).next();
        let failed = |outcome, how| Err(BackendError::transient("faulty", operation, outcome, how));
        match fault.unwrap_or(Fault::None) {
            Fault::None => Ok(call.await),
            Fault::NotMade => failed(Effect::NotApplied, "the call was not made"),
            Fault::LostReply => {
                call.await;
                failed(Effect::Unknown, "the reply was lost")
            }
            Fault::Delayed { turns } => {
                let_others_in(turns).await;
                let answer = call.await;
                let_others_in(turns).await;
                Ok(answer)
            }
            Fault::Dropped { at_await } => match dropped_at(at_await, call).await {
                Some(answer) => Ok(answer),
                None => failed(Effect::Unknown, "the call was dropped on its way"),
            },
        }
    }

    /// The same for a call that answers each of so many items.
    async fn suffer_each<T>(
        &self,
        operation: &'static str,
        items: usize,
        call: impl Future<Output = Answers<T>>,
    ) -> Answers<T> {
        match self.suffer(operation, call).await {
            Ok(answers) => answers,
            Err(failure) => Answers::all_failed(items, &failure.into()),
        }
    }
}

async fn let_others_in(turns: u32) {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}

/// What the call answers, unless it waits for the n-th time before: it is dropped then.
async fn dropped_at<T>(at_await: u32, call: impl Future<Output = T>) -> Option<T> {
    let mut call = pin!(call);
    let mut left = at_await;
    poll_fn(|context| {
        if left > 0 {
            if let Poll::Ready(answer) = call.as_mut().poll(context) {
                return Poll::Ready(Some(answer));
            }
            left -= 1;
        }
        if left > 0 { Poll::Pending } else { Poll::Ready(None) }
    })
    .await
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyStore")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl KeyPackageStore for FaultyStore {
    async fn save_key_packages(&self, save: &Save, now: Timestamp) -> Result<Vec<SaveOutcome>> {
        self.suffer("save_key_packages", self.store.save_key_packages(save, now))
            .await?
    }

    async fn reserve_key_packages(
        &self,
        takes: &[TakeRequest],
        lapse: OnLapse,
        now: Timestamp,
    ) -> Answers<Reservation> {
        let call = self.store.reserve_key_packages(takes, lapse, now);
        self.suffer_each("reserve_key_packages", takes.len(), call).await
    }

    async fn claim_key_packages(
        &self,
        takes: &[TakeRequest],
        group: Option<&GroupId>,
        now: Timestamp,
    ) -> Answers<KeyPackage> {
        let call = self.store.claim_key_packages(takes, group, now);
        self.suffer_each("claim_key_packages", takes.len(), call).await
    }

    async fn spend_key_packages(&self, tokens: &[ReservationToken], usage: &Spend, now: Timestamp) -> Answers<Receipt> {
        let call = self.store.spend_key_packages(tokens, usage, now);
        self.suffer_each("spend_key_packages", tokens.len(), call).await
    }

    async fn release_key_packages(&self, tokens: &[ReservationToken], now: Timestamp) -> Answers<()> {
        let call = self.store.release_key_packages(tokens, now);
        self.suffer_each("release_key_packages", tokens.len(), call).await
    }

    async fn renew_key_packages(&self, tokens: &[ReservationToken], ttl: Ttl, now: Timestamp) -> Answers<Lease> {
        let call = self.store.renew_key_packages(tokens, ttl, now);
        self.suffer_each("renew_key_packages", tokens.len(), call).await
    }

    async fn get_key_package(
        &self,
        pool: &PoolId,
        key_package_ref: &KeyPackageRef,
        now: Timestamp,
    ) -> Result<Option<StoredKeyPackage>> {
        let call = self.store.get_key_package(pool, key_package_ref, now);
        self.suffer("get_key_package", call).await?
    }

    async fn get_statuses(&self, pool: &PoolId, refs: &[KeyPackageRef], now: Timestamp) -> Result<Vec<Option<Status>>> {
        self.suffer("get_statuses", self.store.get_statuses(pool, refs, now))
            .await?
    }

    async fn list_available(
        &self,
        pool: &PoolId,
        after: Option<&Cursor>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Page<KeyPackageInfo>> {
        let call = self.store.list_available(pool, after, limit, now);
        self.suffer("list_available", call).await?
    }

    async fn list_ready(&self, pool: &PoolId, now: Timestamp) -> Result<Vec<ReadyKeyPackage>> {
        self.suffer("list_ready", self.store.list_ready(pool, now)).await?
    }

    async fn count_by_status(&self, pool: &PoolId, now: Timestamp) -> Result<PoolCounts> {
        self.suffer("count_by_status", self.store.count_by_status(pool, now))
            .await?
    }

    async fn list_pools(&self, after: Option<&Cursor>, limit: u32) -> Result<Page<PoolId>> {
        self.suffer("list_pools", self.store.list_pools(after, limit)).await?
    }

    async fn withdraw_key_packages(
        &self,
        pool: &PoolId,
        what: &Withdrawal,
        now: Timestamp,
    ) -> Result<Vec<(KeyPackageRef, WithdrawOutcome)>> {
        self.suffer(
            "withdraw_key_packages",
            self.store.withdraw_key_packages(pool, what, now),
        )
        .await?
    }

    async fn delete_pool(&self, pool: &PoolId) -> Result<()> {
        self.suffer("delete_pool", self.store.delete_pool(pool)).await?
    }

    async fn retire_unspent(
        &self,
        saved_before: Timestamp,
        now: Timestamp,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<(u64, Option<Cursor>)> {
        let call = self.store.retire_unspent(saved_before, now, after, limit);
        self.suffer("retire_unspent", call).await?
    }

    async fn cleanup_expired(&self, now: Timestamp, limit: u32) -> Result<u64> {
        self.suffer("cleanup_expired", self.store.cleanup_expired(now, limit))
            .await?
    }

    async fn release_expired_reservations(&self, now: Timestamp, limit: u32) -> Result<u64> {
        let call = self.store.release_expired_reservations(now, limit);
        self.suffer("release_expired_reservations", call).await?
    }
}
