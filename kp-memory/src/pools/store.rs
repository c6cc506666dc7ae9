use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use kp_core::rules::{self, Limits};
use kp_core::server::{
    Answers, Cursor, KeyPackageStore, Lease, OnLapse, Page, ReadyKeyPackage, Receipt, Reservation, ReservationToken,
    Save, SaveOutcome, Spend, StoredKeyPackage, TakeRequest, WithdrawOutcome, Withdrawal,
};
use kp_core::{
    BackendError, BoxError, Effect, GroupId, KeyPackage, KeyPackageInfo, KeyPackageRef, PoolCounts, PoolId, Result,
    Status, Timestamp, Ttl,
};

use crate::pools::sweep;
use crate::pools::table::{Entry, Pool, Table};

/// Keeps KeyPackage pools in memory. Nothing survives the process: see the [crate's front page](crate).
///
/// A clone is cheap, and shares the pools.
///
/// ```
/// use kp_core::server::{KeyPackageStore, KeyPackageStoreExt, SaveOutcome, TakeRequest};
/// use kp_core::{
///     Ciphersuite, CredentialHash, KeyPackage, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Lifetime, PoolId, ReservationId,
///     Timestamp, Ttl,
/// };
/// use kp_memory::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::new();
/// let pool = PoolId::try_from("bob/phone")?;
/// let now = Timestamp::try_from(1_700_000_000)?;
/// let info = KeyPackageInfo::new(
///     KeyPackageRef::try_from("the hash of it")?,
///     Ciphersuite(1),
///     Lifetime::new(now, now.plus(86_400))?,
///     CredentialHash([0; 32]),
/// );
/// let package = KeyPackage::new(info, KeyPackageBytes::try_from(b"a KeyPackage".as_slice())?);
/// assert_eq!(store.save_key_package(&pool, package.clone(), now).await?, SaveOutcome::Saved);
///
/// let take = TakeRequest::new(pool, ReservationId::from_bytes([1; 16]), Ttl::try_from(60)?);
/// assert_eq!(store.claim_key_package(&take, None, now).await?, package);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct MemoryStore {
    pools: Arc<Table>,
    limits: Limits,
}

impl MemoryStore {
    /// Makes an empty store with the default [`Limits`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes an empty store with these limits ([SAVE-6](kp_core::contract::SAVE_6)).
    #[must_use]
    pub fn with_limits(limits: Limits) -> Self {
        Self {
            pools: Arc::default(),
            limits,
        }
    }

    pub(crate) fn table(&self) -> &Table {
        &self.pools
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("pools", &self.pools.len())
            .field("limits", &self.limits)
            .finish()
    }
}

// No call awaits anything: a call does its work and returns. So a dropped future was never polled, or is done (ERR-2).
#[async_trait]
impl KeyPackageStore for MemoryStore {
    async fn save_key_packages(&self, save: &Save, now: Timestamp) -> Result<Vec<SaveOutcome>> {
        let step = |pool: &mut _| rules::save(pool, save, self.limits, now);
        let answer = self.pools.fill(&save.pool, now, step);
        Ok(answer.map_err(failed("save_key_packages"))?)
    }

    async fn reserve_key_packages(
        &self,
        takes: &[TakeRequest],
        lapse: OnLapse,
        now: Timestamp,
    ) -> Answers<Reservation> {
        let one = |take: &TakeRequest| {
            let step = |pool: &mut _| rules::reserve(pool, take, lapse, now);
            let answer = self.pools.change(&take.pool, now, step);
            Ok(answer.map_err(failed("reserve_key_packages"))??)
        };
        Answers::each(takes, rules::bounded_takes(takes), one)
    }

    async fn claim_key_packages(
        &self,
        takes: &[TakeRequest],
        group: Option<&GroupId>,
        now: Timestamp,
    ) -> Answers<KeyPackage> {
        let one = |take: &TakeRequest| {
            let step = |pool: &mut _| rules::claim(pool, take, group, now);
            let answer = self.pools.change(&take.pool, now, step);
            Ok(answer.map_err(failed("claim_key_packages"))??)
        };
        Answers::each(takes, rules::bounded_takes(takes), one)
    }

    async fn spend_key_packages(&self, tokens: &[ReservationToken], spend: &Spend, now: Timestamp) -> Answers<Receipt> {
        let one = |token: &ReservationToken| {
            let step = |pool: &mut _| rules::spend(pool, token, spend, now);
            let answer = self.pools.change(&token.pool, now, step);
            Ok(answer.map_err(failed("spend_key_packages"))??)
        };
        Answers::each(tokens, rules::bounded(tokens), one)
    }

    async fn release_key_packages(&self, tokens: &[ReservationToken], now: Timestamp) -> Answers<()> {
        let one = |token: &ReservationToken| {
            let step = |pool: &mut _| rules::release(pool, token, now);
            let answer = self.pools.change(&token.pool, now, step);
            Ok(answer.map_err(failed("release_key_packages"))??)
        };
        Answers::each(tokens, rules::bounded(tokens), one)
    }

    async fn renew_key_packages(&self, tokens: &[ReservationToken], ttl: Ttl, now: Timestamp) -> Answers<Lease> {
        let one = |token: &ReservationToken| {
            let step = |pool: &mut _| rules::renew(pool, token, ttl, now);
            let answer = self.pools.change(&token.pool, now, step);
            Ok(answer.map_err(failed("renew_key_packages"))??)
        };
        Answers::each(tokens, rules::bounded(tokens), one)
    }

    async fn get_key_package(
        &self,
        pool: &PoolId,
        key_package_ref: &KeyPackageRef,
        now: Timestamp,
    ) -> Result<Option<StoredKeyPackage>> {
        Ok(self.pools.look(pool, |pool| {
            let found = pool.get(key_package_ref);
            found.map(|entry| entry.record().into_stored(entry.bytes().cloned(), now))
        }))
    }

    async fn get_statuses(&self, pool: &PoolId, refs: &[KeyPackageRef], now: Timestamp) -> Result<Vec<Option<Status>>> {
        rules::bounded(refs)?;
        Ok(self.pools.look(pool, |pool| {
            let found = refs.iter().map(|key_package_ref| pool.get(key_package_ref));
            let status = |entry: &Entry| entry.record().settled(now).status(now);
            found.map(|found| found.map(status)).collect()
        }))
    }

    async fn list_available(
        &self,
        pool: &PoolId,
        after: Option<&Cursor>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Page<KeyPackageInfo>> {
        let after = after.map(Cursor::sequence).transpose()?;
        let limit = size(limit);
        let available: Vec<_> = self.pools.look(pool, |pool| {
            let following = pool.unexpired(now).filter(|record| Some(record.sequence) > after);
            let settled = following.map(|record| record.settled(now));
            settled
                .filter(|record| record.is_available(now))
                .take(limit.saturating_add(1))
                .collect()
        });
        let next = available.get(limit - 1).filter(|_| available.len() > limit);
        let next = next.map(|last| Cursor::after_sequence(last.sequence));
        let items = available.into_iter().take(limit).map(|record| record.info).collect();
        Ok(Page::new(items, next))
    }

    async fn list_ready(&self, pool: &PoolId, now: Timestamp) -> Result<Vec<ReadyKeyPackage>> {
        let ready = |pool: &Pool| rules::ready(pool.unexpired(now), now);
        Ok(self.pools.look(pool, ready))
    }

    async fn count_by_status(&self, pool: &PoolId, now: Timestamp) -> Result<PoolCounts> {
        let count = |pool: &Pool| rules::count(pool.records(), self.limits, now);
        Ok(self.pools.look(pool, count))
    }

    async fn list_pools(&self, after: Option<&Cursor>, limit: u32) -> Result<Page<PoolId>> {
        let (items, complete) = self.pools.page(after.map(Cursor::pool).transpose()?, size(limit));
        let next = cursor_after(&items, complete);
        Ok(Page::new(items, next))
    }

    async fn withdraw_key_packages(
        &self,
        pool: &PoolId,
        what: &Withdrawal,
        now: Timestamp,
    ) -> Result<Vec<(KeyPackageRef, WithdrawOutcome)>> {
        rules::bounded_withdrawal(what)?;
        let step = |pool: &mut _| rules::withdraw(pool, what, now);
        let answer = self.pools.change(pool, now, step);
        Ok(answer.map_err(failed("withdraw_key_packages"))?)
    }

    async fn delete_pool(&self, pool: &PoolId) -> Result<()> {
        self.pools.delete(pool);
        Ok(())
    }

    async fn retire_unspent(
        &self,
        saved_before: Timestamp,
        now: Timestamp,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<(u64, Option<Cursor>)> {
        let (pools, complete) = self.pools.page(after.map(Cursor::pool).transpose()?, size(limit));
        let mut count = 0;
        for pool in &pools {
            let step = |pool: &mut _| rules::retire(pool, saved_before, now);
            count += self.pools.change(pool, now, step).map_err(failed("retire_unspent"))?;
        }
        Ok((count, cursor_after(&pools, complete)))
    }

    async fn cleanup_expired(&self, now: Timestamp, limit: u32) -> Result<u64> {
        let swept = sweep::cleanup_expired(&self.pools, now, u64::from(limit.max(1)));
        Ok(swept.map_err(failed("cleanup_expired"))?)
    }

    async fn release_expired_reservations(&self, now: Timestamp, limit: u32) -> Result<u64> {
        let released = sweep::release_expired_reservations(&self.pools, now, limit.max(1));
        Ok(released.map_err(failed("release_expired_reservations"))?)
    }
}

/// Reads a limit, of which 0 counts as 1.
fn size(limit: u32) -> usize {
    usize::try_from(limit.max(1)).unwrap_or(usize::MAX)
}

fn cursor_after(pools: &[PoolId], complete: bool) -> Option<Cursor> {
    let last = pools.last().filter(|_| !complete)?;
    Some(Cursor::after_pool(last.clone()))
}

/// Reports a step of this call that could not be done, and changed nothing.
pub(crate) fn failed(call: &'static str) -> impl FnOnce(BoxError) -> BackendError {
    move |source| BackendError::new("memory", call, Effect::NotApplied, source)
}
