use async_trait::async_trait;
use kp_core::server::{
    Answers, Cursor, KeyPackageStore, Lease, OnLapse, Page, ReadyKeyPackage, Receipt, Reservation, ReservationToken,
    Save, SaveOutcome, Spend, StoredKeyPackage, TakeRequest, WithdrawOutcome, Withdrawal,
};
use kp_core::{GroupId, KeyPackage, KeyPackageInfo, KeyPackageRef, PoolCounts, PoolId, Result, Status, Timestamp, Ttl};

use super::Connected;

#[async_trait]
impl KeyPackageStore for Connected {
    async fn save_key_packages(&self, save: &Save, now: Timestamp) -> Result<Vec<SaveOutcome>> {
        let call = self.begin("save_key_packages").await?;
        let answer = call.store.save_key_packages(&call.stored(save), now).await;
        call.end(answer).await
    }

    async fn reserve_key_packages(
        &self,
        takes: &[TakeRequest],
        lapse: OnLapse,
        now: Timestamp,
    ) -> Answers<Reservation> {
        match self.begin("reserve_key_packages").await {
            Ok(call) => {
                let answers = call.store.reserve_key_packages(takes, lapse, now).await;
                call.end_each(answers).await
            }
            Err(failure) => Answers::all_failed(takes.len(), &failure.into()),
        }
    }

    async fn claim_key_packages(
        &self,
        takes: &[TakeRequest],
        group: Option<&GroupId>,
        now: Timestamp,
    ) -> Answers<KeyPackage> {
        match self.begin("claim_key_packages").await {
            Ok(call) => {
                let answers = call.store.claim_key_packages(takes, group, now).await;
                call.end_each(answers).await
            }
            Err(failure) => Answers::all_failed(takes.len(), &failure.into()),
        }
    }

    async fn spend_key_packages(&self, tokens: &[ReservationToken], usage: &Spend, now: Timestamp) -> Answers<Receipt> {
        match self.begin("spend_key_packages").await {
            Ok(call) => {
                let answers = call.store.spend_key_packages(tokens, usage, now).await;
                call.end_each(answers).await
            }
            Err(failure) => Answers::all_failed(tokens.len(), &failure.into()),
        }
    }

    async fn release_key_packages(&self, tokens: &[ReservationToken], now: Timestamp) -> Answers<()> {
        match self.begin("release_key_packages").await {
            Ok(call) => {
                let answers = call.store.release_key_packages(tokens, now).await;
                call.end_each(answers).await
            }
            Err(failure) => Answers::all_failed(tokens.len(), &failure.into()),
        }
    }

    async fn renew_key_packages(&self, tokens: &[ReservationToken], ttl: Ttl, now: Timestamp) -> Answers<Lease> {
        match self.begin("renew_key_packages").await {
            Ok(call) => {
                let answers = call.store.renew_key_packages(tokens, ttl, now).await;
                call.end_each(answers).await
            }
            Err(failure) => Answers::all_failed(tokens.len(), &failure.into()),
        }
    }

    async fn get_key_package(
        &self,
        pool: &PoolId,
        named: &KeyPackageRef,
        now: Timestamp,
    ) -> Result<Option<StoredKeyPackage>> {
        let call = self.begin("get_key_package").await?;
        let answer = call.store.get_key_package(pool, named, now).await;
        call.end(answer).await
    }

    async fn get_statuses(&self, pool: &PoolId, refs: &[KeyPackageRef], now: Timestamp) -> Result<Vec<Option<Status>>> {
        let call = self.begin("get_statuses").await?;
        let answer = call.store.get_statuses(pool, refs, now).await;
        call.end(answer).await
    }

    async fn list_available(
        &self,
        pool: &PoolId,
        after: Option<&Cursor>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Page<KeyPackageInfo>> {
        let call = self.begin("list_available").await?;
        let answer = call.store.list_available(pool, after, limit, now).await;
        call.end(answer).await
    }

    async fn list_ready(&self, pool: &PoolId, now: Timestamp) -> Result<Vec<ReadyKeyPackage>> {
        let call = self.begin("list_ready").await?;
        let answer = call.store.list_ready(pool, now).await;
        call.end(answer).await
    }

    async fn count_by_status(&self, pool: &PoolId, now: Timestamp) -> Result<PoolCounts> {
        let call = self.begin("count_by_status").await?;
        let answer = call.store.count_by_status(pool, now).await;
        call.end(answer).await
    }

    async fn list_pools(&self, after: Option<&Cursor>, limit: u32) -> Result<Page<PoolId>> {
        let call = self.begin("list_pools").await?;
        let answer = call.store.list_pools(after, limit).await;
        call.end(answer).await
    }

    async fn withdraw_key_packages(
        &self,
        pool: &PoolId,
        what: &Withdrawal,
        now: Timestamp,
    ) -> Result<Vec<(KeyPackageRef, WithdrawOutcome)>> {
        let call = self.begin("withdraw_key_packages").await?;
        let answer = call.store.withdraw_key_packages(pool, what, now).await;
        call.end(answer).await
    }

    async fn delete_pool(&self, pool: &PoolId) -> Result<()> {
        let call = self.begin("delete_pool").await?;
        let answer = call.store.delete_pool(pool).await;
        call.end(answer).await
    }

    async fn retire_unspent(
        &self,
        saved_before: Timestamp,
        now: Timestamp,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<(u64, Option<Cursor>)> {
        let call = self.begin("retire_unspent").await?;
        let answer = call.store.retire_unspent(saved_before, now, after, limit).await;
        call.end(answer).await
    }

    async fn cleanup_expired(&self, now: Timestamp, limit: u32) -> Result<u64> {
        let call = self.begin("cleanup_expired").await?;
        let answer = call.store.cleanup_expired(now, limit).await;
        call.end(answer).await
    }

    async fn release_expired_reservations(&self, now: Timestamp, limit: u32) -> Result<u64> {
        let call = self.begin("release_expired_reservations").await?;
        let answer = call.store.release_expired_reservations(now, limit).await;
        call.end(answer).await
    }
}
