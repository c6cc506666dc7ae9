//! Implements a store outside of the crate, and uses the store as `Arc<dyn KeyPackageStore>` and by the calls for one
//! package.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use kp_core::rules::Model;
use kp_core::server::{
    Answers, Cursor, KeyPackageStore, KeyPackageStoreExt, Lease, OnLapse, Page, ReadyKeyPackage, Receipt, Reservation,
    ReservationToken, Save, SaveOutcome, Spend, StoredKeyPackage, TakeRequest, WithdrawOutcome, Withdrawal,
};
use kp_core::{
    Ciphersuite, CredentialHash, Effect, Error, GroupId, KeyPackage, KeyPackageBytes, KeyPackageInfo, KeyPackageRef,
    Lifetime, PoolCounts, PoolId, Rejection, ReservationId, Result, Status, Timestamp, Ttl,
};

/// Puts the model behind a lock. A listing has one page.
#[derive(Debug, Default)]
struct TheirStore {
    model: Mutex<Model>,
    /// Whether the store is broken, and answers a batch with nothing.
    speechless: bool,
}

impl TheirStore {
    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn each<T, A>(&self, items: &[T], mut answer: impl FnMut(&mut Model, &T) -> Result<A, Rejection>) -> Answers<A> {
        let items = if self.speechless { &[] } else { items };
        let mut model = self.model();
        items
            .iter()
            .map(|item| answer(&mut model, item).map_err(Error::from))
            .collect()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl KeyPackageStore for TheirStore {
    async fn save_key_packages(&self, save: &Save, now: Timestamp) -> Result<Vec<SaveOutcome>> {
        let outcomes = self.model().save(save, now);
        Ok(if self.speechless { Vec::new() } else { outcomes })
    }

    async fn reserve_key_packages(
        &self,
        takes: &[TakeRequest],
        lapse: OnLapse,
        now: Timestamp,
    ) -> Answers<Reservation> {
        self.each(takes, |model, take| model.reserve(take, lapse, now))
    }

    async fn claim_key_packages(
        &self,
        takes: &[TakeRequest],
        group: Option<&GroupId>,
        now: Timestamp,
    ) -> Answers<KeyPackage> {
        self.each(takes, |model, take| model.claim(take, group, now))
    }

    async fn spend_key_packages(&self, tokens: &[ReservationToken], usage: &Spend, now: Timestamp) -> Answers<Receipt> {
        self.each(tokens, |model, token| model.spend(token, usage, now))
    }

    async fn release_key_packages(&self, tokens: &[ReservationToken], now: Timestamp) -> Answers<()> {
        self.each(tokens, |model, token| model.release(token, now))
    }

    async fn renew_key_packages(&self, tokens: &[ReservationToken], ttl: Ttl, now: Timestamp) -> Answers<Lease> {
        self.each(tokens, |model, token| model.renew(token, ttl, now))
    }

    async fn get_key_package(
        &self,
        pool: &PoolId,
        named: &KeyPackageRef,
        now: Timestamp,
    ) -> Result<Option<StoredKeyPackage>> {
        Ok(self.model().get(pool, named, now))
    }

    async fn get_statuses(&self, pool: &PoolId, refs: &[KeyPackageRef], now: Timestamp) -> Result<Vec<Option<Status>>> {
        let model = self.model();
        Ok(refs.iter().map(|named| model.status(pool, named, now)).collect())
    }

    async fn list_available(
        &self,
        pool: &PoolId,
        _after: Option<&Cursor>,
        _limit: u32,
        now: Timestamp,
    ) -> Result<Page<KeyPackageInfo>> {
        let items = self.model().list_available(pool, now);
        Ok(Page::new(items, None))
    }

    async fn list_ready(&self, pool: &PoolId, now: Timestamp) -> Result<Vec<ReadyKeyPackage>> {
        Ok(self.model().list_ready(pool, now))
    }

    async fn count_by_status(&self, pool: &PoolId, now: Timestamp) -> Result<PoolCounts> {
        Ok(self.model().count_by_status(pool, now))
    }

    async fn list_pools(&self, _after: Option<&Cursor>, _limit: u32) -> Result<Page<PoolId>> {
        let items = self.model().list_pools().cloned().collect();
        Ok(Page::new(items, None))
    }

    async fn withdraw_key_packages(
        &self,
        pool: &PoolId,
        what: &Withdrawal,
        now: Timestamp,
    ) -> Result<Vec<(KeyPackageRef, WithdrawOutcome)>> {
        Ok(self.model().withdraw(pool, what, now))
    }

    async fn delete_pool(&self, pool: &PoolId) -> Result<()> {
        self.model().delete_pool(pool);
        Ok(())
    }

    async fn retire_unspent(
        &self,
        saved_before: Timestamp,
        now: Timestamp,
        _after: Option<&Cursor>,
        _limit: u32,
    ) -> Result<(u64, Option<Cursor>)> {
        Ok((self.model().retire_unspent(saved_before, now), None))
    }

    async fn cleanup_expired(&self, now: Timestamp, _limit: u32) -> Result<u64> {
        Ok(self.model().cleanup_expired(now))
    }

    async fn release_expired_reservations(&self, now: Timestamp, _limit: u32) -> Result<u64> {
        Ok(self.model().release_expired_reservations(now))
    }
}

type Anything<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

fn package(name: &str) -> Anything<KeyPackage> {
    Ok(KeyPackage::new(
        KeyPackageInfo::new(
            KeyPackageRef::try_from(name)?,
            Ciphersuite(1),
            Lifetime::new(Timestamp::MIN, Timestamp::MAX)?,
            CredentialHash([0; 32]),
        ),
        KeyPackageBytes::try_from(name.as_bytes())?,
    ))
}

fn take(pool: &PoolId, id: u8) -> Anything<TakeRequest> {
    Ok(TakeRequest::new(
        pool.clone(),
        ReservationId::from_bytes([id; 16]),
        Ttl::try_from(60)?,
    ))
}

#[tokio::test]
async fn it_serves_as_a_trait_object_from_any_task() -> Anything {
    let store: Arc<dyn KeyPackageStore> = Arc::new(TheirStore::default());
    let pool = PoolId::try_from("bob/phone")?;
    let (first, second, now) = (package("first")?, package("second")?, Timestamp::MIN);
    let (reserve, claim) = (take(&pool, 1)?, take(&pool, 2)?);

    let task = tokio::spawn(async move {
        for package in [first, second] {
            assert_eq!(store.save_key_package(&pool, package, now).await?, SaveOutcome::Saved);
        }
        let reserved = store.reserve_key_package(&reserve, OnLapse::Return, now).await?;
        let token = reserved.lease.expect("a one-time package comes with a lease").token;
        let claimed = store.claim_key_package(&claim, None, now).await?;
        assert_eq!(claimed.bytes.as_ref(), b"second");
        store.release_key_package(&token, now).await?;
        let late = store.spend_key_package(&token, &Spend::default(), now).await;
        assert!(matches!(late, Err(Error::Rejected(Rejection::NoLiveReservation))));
        let again = store.reserve_key_package(&reserve, OnLapse::Return, now).await?;
        assert_eq!(again.package.bytes.as_ref(), b"first");
        let receipt = store.spend_key_package(&token, &Spend::default(), now).await?;
        assert_eq!(receipt.spent_at, now);
        Ok::<_, Error>(())
    });
    Ok(task.await??)
}

/// If a store answers a batch of one item with nothing, the store is broken, and nobody knows what the call did.
#[tokio::test]
async fn no_answer_is_a_failure_and_no_panic() -> Anything {
    let store = TheirStore {
        speechless: true,
        ..TheirStore::default()
    };
    let pool = PoolId::try_from("bob/phone")?;
    let (take, now) = (take(&pool, 1)?, Timestamp::MIN);
    let token = ReservationToken::new(pool.clone(), KeyPackageRef::try_from("first")?, take.id);
    let errors = [
        store.save_key_package(&pool, package("first")?, now).await.err(),
        store.reserve_key_package(&take, OnLapse::Return, now).await.err(),
        store.claim_key_package(&take, None, now).await.err(),
        store.spend_key_package(&token, &Spend::default(), now).await.err(),
        store.release_key_package(&token, now).await.err(),
    ];
    for error in errors {
        let Some(Error::Backend(failure)) = error else {
            panic!("a failure: {error:?}")
        };
        assert_eq!(failure.effect(), Effect::Unknown);
    }
    Ok(())
}
