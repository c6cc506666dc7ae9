use std::sync::Arc;

use async_trait::async_trait;

use crate::server::{
    Answers, Cursor, KeyPackageStore, Lease, OnLapse, Page, ReadyKeyPackage, Receipt, Reservation, ReservationToken,
    Save, SaveOutcome, Spend, StoredKeyPackage, TakeRequest, WithdrawOutcome, Withdrawal,
};
use crate::{GroupId, KeyPackage, KeyPackageInfo, KeyPackageRef, PoolCounts, PoolId, Result, Status, Timestamp, Ttl};

/// Forwards every method, so that a pointer to a store is a store.
macro_rules! forward {
    ($pointer:ident) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<S: KeyPackageStore + ?Sized> KeyPackageStore for $pointer<S> {
            async fn save_key_packages(&self, save: &Save, now: Timestamp) -> Result<Vec<SaveOutcome>> {
                (**self).save_key_packages(save, now).await
            }

            async fn reserve_key_packages(
                &self,
                takes: &[TakeRequest],
                lapse: OnLapse,
                now: Timestamp,
            ) -> Answers<Reservation> {
                (**self).reserve_key_packages(takes, lapse, now).await
            }

            async fn claim_key_packages(
                &self,
                takes: &[TakeRequest],
                group: Option<&GroupId>,
                now: Timestamp,
            ) -> Answers<KeyPackage> {
                (**self).claim_key_packages(takes, group, now).await
            }

            async fn spend_key_packages(
                &self,
                tokens: &[ReservationToken],
                usage: &Spend,
                now: Timestamp,
            ) -> Answers<Receipt> {
                (**self).spend_key_packages(tokens, usage, now).await
            }

            async fn release_key_packages(&self, tokens: &[ReservationToken], now: Timestamp) -> Answers<()> {
                (**self).release_key_packages(tokens, now).await
            }

            async fn renew_key_packages(
                &self,
                tokens: &[ReservationToken],
                ttl: Ttl,
                now: Timestamp,
            ) -> Answers<Lease> {
                (**self).renew_key_packages(tokens, ttl, now).await
            }

            async fn get_key_package(
                &self,
                pool: &PoolId,
                key_package_ref: &KeyPackageRef,
                now: Timestamp,
            ) -> Result<Option<StoredKeyPackage>> {
                (**self).get_key_package(pool, key_package_ref, now).await
            }

            async fn get_statuses(
                &self,
                pool: &PoolId,
                refs: &[KeyPackageRef],
                now: Timestamp,
            ) -> Result<Vec<Option<Status>>> {
                (**self).get_statuses(pool, refs, now).await
            }

            async fn list_available(
                &self,
                pool: &PoolId,
                after: Option<&Cursor>,
                limit: u32,
                now: Timestamp,
            ) -> Result<Page<KeyPackageInfo>> {
                (**self).list_available(pool, after, limit, now).await
            }

            async fn list_ready(&self, pool: &PoolId, now: Timestamp) -> Result<Vec<ReadyKeyPackage>> {
                (**self).list_ready(pool, now).await
            }

            async fn count_by_status(&self, pool: &PoolId, now: Timestamp) -> Result<PoolCounts> {
                (**self).count_by_status(pool, now).await
            }

            async fn list_pools(&self, after: Option<&Cursor>, limit: u32) -> Result<Page<PoolId>> {
                (**self).list_pools(after, limit).await
            }

            async fn withdraw_key_packages(
                &self,
                pool: &PoolId,
                what: &Withdrawal,
                now: Timestamp,
            ) -> Result<Vec<(KeyPackageRef, WithdrawOutcome)>> {
                (**self).withdraw_key_packages(pool, what, now).await
            }

            async fn delete_pool(&self, pool: &PoolId) -> Result<()> {
                (**self).delete_pool(pool).await
            }

            async fn retire_unspent(
                &self,
                saved_before: Timestamp,
                now: Timestamp,
                after: Option<&Cursor>,
                limit: u32,
            ) -> Result<(u64, Option<Cursor>)> {
                (**self).retire_unspent(saved_before, now, after, limit).await
            }

            async fn cleanup_expired(&self, now: Timestamp, limit: u32) -> Result<u64> {
                (**self).cleanup_expired(now, limit).await
            }

            async fn release_expired_reservations(&self, now: Timestamp, limit: u32) -> Result<u64> {
                (**self).release_expired_reservations(now, limit).await
            }
        }
    };
}

forward!(Arc);
forward!(Box);
