use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use kp_core::rules::{self, Limits};
use kp_core::server::{
    Answers, Cursor, KeyPackageStore, OnLapse, Page, Receipt, Reservation, ReservationToken, Save, SaveOutcome, Spend,
    StoredKeyPackage, TakeRequest, WithdrawOutcome, Withdrawal,
};
use kp_core::{
    Ciphersuite, Counts, GroupId, KeyPackage, KeyPackageInfo, KeyPackageRef, PoolId, Result, Status, Timestamp,
};

use crate::pools::Pools;

/// How many packages a sweep removes in one step of a pool, before others get at it (`SWEEP-3`).
const SWEPT_IN_ONE_STEP: u64 = 256;

/// KeyPackage pools in memory. Nothing survives the process: see the [crate's front page](crate).
///
/// Cheap to clone; clones share the pools.
///
/// ```
/// use kp_core::*;
/// use kp_memory::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::new();
/// let pool = PoolId::try_from("bob/phone")?;
/// let now = Timestamp::try_from(1_700_000_000)?;
/// let package = KeyPackage {
///     info: KeyPackageInfo {
///         key_package_ref: KeyPackageRef::try_from("the hash of it")?,
///         ciphersuite: Ciphersuite(1),
///         lifetime: Lifetime::new(now, now.plus(86_400))?,
///         last_resort: false,
///         credential: CredentialHash([0; 32]),
///     },
///     bytes: KeyPackageBytes::try_from(b"a KeyPackage".as_slice())?,
/// };
/// assert_eq!(store.save_key_package(&pool, package.clone(), now).await?, SaveOutcome::Saved);
///
/// let take = TakeRequest::new(pool, ReservationId::from_bytes([1; 16]), Ttl::try_from(60)?);
/// assert_eq!(store.claim_key_package(&take, None, now).await?, package);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct MemoryStore {
    pools: Arc<Pools>,
    limits: Limits,
}

impl MemoryStore {
    /// An empty store, whose pools remember 10,000 records each.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store with other limits (`SAVE-6`).
    #[must_use]
    pub fn with_limits(limits: Limits) -> Self {
        Self {
            pools: Arc::default(),
            limits,
        }
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

// No call awaits anything: each does its work and returns, so that a dropped future was either never polled, or is
// done (ERR-2).
#[async_trait]
impl KeyPackageStore for MemoryStore {
    async fn save_key_packages(&self, save: &Save, now: Timestamp) -> Result<Vec<SaveOutcome>> {
        let step = |pool: &mut _| rules::save(pool, save, self.limits, now);
        Ok(self.pools.fill(&save.pool, now, step)?)
    }

    async fn reserve_key_packages(
        &self,
        takes: &[TakeRequest],
        lapse: OnLapse,
        now: Timestamp,
    ) -> Answers<Reservation> {
        let one = |take: &TakeRequest| {
            let step = |pool: &mut _| rules::reserve(pool, take, lapse, now);
            Ok(self.pools.change(&take.pool, now, step)??)
        };
        takes.iter().map(one).collect()
    }

    async fn claim_key_packages(
        &self,
        takes: &[TakeRequest],
        group: Option<&GroupId>,
        now: Timestamp,
    ) -> Answers<KeyPackage> {
        let one = |take: &TakeRequest| {
            let step = |pool: &mut _| rules::claim(pool, take, group, now);
            Ok(self.pools.change(&take.pool, now, step)??)
        };
        takes.iter().map(one).collect()
    }

    async fn spend_key_packages(&self, tokens: &[ReservationToken], usage: &Spend, now: Timestamp) -> Answers<Receipt> {
        let one = |token: &ReservationToken| {
            let step = |pool: &mut _| rules::spend(pool, token, usage, now);
            Ok(self.pools.change(&token.pool, now, step)??)
        };
        tokens.iter().map(one).collect()
    }

    async fn release_key_packages(&self, tokens: &[ReservationToken], now: Timestamp) -> Answers<()> {
        let one = |token: &ReservationToken| {
            let step = |pool: &mut _| rules::release(pool, token, now);
            Ok(self.pools.change(&token.pool, now, step)??)
        };
        tokens.iter().map(one).collect()
    }

    async fn get_key_package(
        &self,
        pool: &PoolId,
        key_package_ref: &KeyPackageRef,
        now: Timestamp,
    ) -> Result<Option<StoredKeyPackage>> {
        let found = self.pools.look(pool, |pool| pool.get(key_package_ref));
        Ok(found.map(|(record, bytes)| record.into_stored(bytes, now)))
    }

    async fn get_statuses(&self, pool: &PoolId, refs: &[KeyPackageRef], now: Timestamp) -> Result<Vec<Option<Status>>> {
        Ok(self.pools.look(pool, |pool| {
            let found = refs.iter().map(|key_package_ref| pool.get(key_package_ref));
            found
                .map(|found| found.map(|(record, _)| record.settled(now).status(now)))
                .collect()
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
            let ahead = pool.live(now).filter(|record| Some(record.sequence) > after);
            let settled = ahead.map(|record| record.clone().settled(now));
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

    async fn count_by_status(&self, pool: &PoolId, now: Timestamp) -> Result<BTreeMap<Ciphersuite, Counts>> {
        let mut counts = BTreeMap::<_, Counts>::new();
        self.pools.look(pool, |pool| {
            for record in pool.records() {
                let count = counts.entry(record.info.ciphersuite).or_default();
                count.add(record.clone().settled(now).status(now));
            }
        });
        Ok(counts)
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
        let step = |pool: &mut _| rules::withdraw(pool, what, now);
        Ok(self.pools.change(pool, now, step)?)
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
            count += self.pools.change(pool, now, step)?;
        }
        Ok((count, cursor_after(&pools, complete)))
    }

    async fn cleanup_expired(&self, now: Timestamp, limit: u32) -> Result<u64> {
        let limit = u64::from(limit.max(1));
        let mut count = 0;
        while count < limit
            && let Some(pool) = self.pools.over(now)
        {
            let lot = SWEPT_IN_ONE_STEP.min(limit - count);
            count += self.pools.change(&pool, now, |pool| pool.sweep(now, lot as usize))?;
        }
        Ok(count)
    }

    async fn release_expired_reservations(&self, now: Timestamp, limit: u32) -> Result<u64> {
        let (mut pools, mut count) = (0, 0);
        while pools < limit.max(1)
            && let Some(pool) = self.pools.ended(now)
        {
            let ended = self.pools.change(&pool, now, |pool| rules::settle(pool, now))?;
            pools += u32::from(ended > 0);
            count += ended;
        }
        Ok(count)
    }
}

/// 0 counts as 1.
fn size(limit: u32) -> usize {
    usize::try_from(limit.max(1)).unwrap_or(usize::MAX)
}

fn cursor_after(pools: &[PoolId], complete: bool) -> Option<Cursor> {
    let last = pools.last().filter(|_| !complete)?;
    Some(Cursor::after_pool(last.clone()))
}
