//! The calls of the trait, each by the pieces of the flaw.

use std::future::pending;

use async_trait::async_trait;
use kp_conformance::{Method, ReferenceStore};
use kp_core::moving::{ImportRejection, MovePools, PoolExport};
use kp_core::rules::{bounded, bounded_takes, bounded_withdrawal};
use kp_core::server::{
    Answers, Cursor, KeyPackageStore, Lease, OnLapse, Page, ReadyKeyPackage, Receipt, Reservation, ReservationToken,
    Save, SaveOutcome, Spend, StoredKeyPackage, TakeRequest, WithdrawOutcome, Withdrawal,
};
use kp_core::{
    BackendError, Effect, Error, GroupId, KeyPackage, KeyPackageInfo, KeyPackageRef, PoolCounts, PoolId, Rejection,
    Result, Status, Timestamp, Ttl,
};

use super::FlawedStore;
use crate::flaw::{Call, Records, Torn};

#[async_trait]
impl KeyPackageStore for FlawedStore {
    async fn save_key_packages(&self, save: &Save, now: Timestamp) -> Result<Vec<SaveOutcome>> {
        let whole = |records: &mut Records<'_>| (self.flaw.save)(records, save, now);
        if self.flaw.torn != Some(Torn::ItemByItem) {
            return Ok(self.step(Call::Save, &save.pool, whole).await);
        }
        let mut outcomes = Vec::new();
        for package in save.packages() {
            let one = Save::one(save.pool.clone(), package.clone()).cap_per_ciphersuite(save.cap_per_ciphersuite);
            outcomes.extend(self.first(|model| model.save(&one, now)).await);
        }
        Ok(outcomes)
    }

    async fn reserve_key_packages(
        &self,
        takes: &[TakeRequest],
        lapse: OnLapse,
        now: Timestamp,
    ) -> Answers<Reservation> {
        if self.refuses(bounded_takes(takes)) {
            return Answers::all_failed(takes.len(), &Rejection::TooManyItems.into());
        }
        let reserve = |records: &mut Records<'_>, take: &TakeRequest| (self.flaw.reserve)(records, take, lapse, now);
        let mut answers = Vec::new();
        for take in takes {
            let answer = match self.flaw.torn {
                Some(Torn::LooksFirst) => self.look_first(take, lapse, now).await,
                Some(Torn::BindsLater) => {
                    let reserved = self.bind_later(take, reserve).await;
                    reserved.map(|reserved| with_id(reserved, take))
                }
                _ => {
                    self.step(Call::Reserve, &take.pool, |records| reserve(records, take))
                        .await
                }
            };
            answers.push(answer.map_err(Into::into));
        }
        answers.into()
    }

    async fn claim_key_packages(
        &self,
        takes: &[TakeRequest],
        group: Option<&GroupId>,
        now: Timestamp,
    ) -> Answers<KeyPackage> {
        if self.refuses(bounded_takes(takes)) {
            return Answers::all_failed(takes.len(), &Rejection::TooManyItems.into());
        }
        let claim = |records: &mut Records<'_>, take: &TakeRequest| (self.flaw.claim)(records, take, group, now);
        let batch = (self.flaw.torn == Some(Torn::LocksAsItGoes)).then(|| self.locks.batch());
        let mut answers = Vec::new();
        for take in takes {
            if let Some(batch) = &batch
                && let Err(deadlock) = batch.lock(&take.pool).await
            {
                answers.push(Err(deadlock));
                continue;
            }
            let failed = (self.flaw.failed)(self.is_bound(take));
            let answer = match self.flaw.torn {
                Some(Torn::BindsLater) => self.bind_later(take, claim).await.map_err(Error::from),
                Some(Torn::SpendsLater) => self.spend_later(take, group, now).await.map_err(Error::from),
                Some(Torn::KeepsItsLock) => self.claim_under_lock(take, group, now).await,
                _ if self.seems_exhausted(&take.pool, now) => Err(Rejection::PoolExhausted.into()),
                _ => {
                    let step = self.step(Call::Claim, &take.pool, |records| claim(records, take));
                    step.await.map_err(Error::from)
                }
            };
            if matches!(answer, Err(Error::Rejected(Rejection::PoolExhausted))) {
                self.note_exhausted(&take.pool);
            }
            answers.push(match failed {
                Some(outcome) => Err(BackendError::transient("flawed", "claim", outcome, "it failed").into()),
                None => answer,
            });
        }
        (self.flaw.claimed)(&mut answers);
        answers.into()
    }

    async fn spend_key_packages(&self, tokens: &[ReservationToken], usage: &Spend, now: Timestamp) -> Answers<Receipt> {
        if self.refuses(bounded(tokens)) {
            return Answers::all_failed(tokens.len(), &Rejection::TooManyItems.into());
        }
        let mut answers = Vec::new();
        for token in tokens {
            let spend = |records: &mut Records<'_>| (self.flaw.spend)(records, token, usage, now);
            let answer = self.step(Call::Spend, &token.pool, spend).await;
            self.reach(Method::Spend, token, |records, token| {
                _ = (self.flaw.spend)(records, token, usage, now)
            });
            answers.push(answer.map_err(Into::into));
        }
        answers.into()
    }

    async fn release_key_packages(&self, tokens: &[ReservationToken], now: Timestamp) -> Answers<()> {
        if self.refuses(bounded(tokens)) {
            return Answers::all_failed(tokens.len(), &Rejection::TooManyItems.into());
        }
        let mut answers = Vec::new();
        for token in tokens {
            let release = |records: &mut Records<'_>| (self.flaw.release)(records, token, now);
            let answer = self.step(Call::Release, &token.pool, release).await;
            self.reach(Method::Release, token, |records, token| {
                _ = (self.flaw.release)(records, token, now)
            });
            answers.push(answer.map_err(Into::into));
        }
        answers.into()
    }

    async fn renew_key_packages(&self, tokens: &[ReservationToken], ttl: Ttl, now: Timestamp) -> Answers<Lease> {
        if self.refuses(bounded(tokens)) {
            return Answers::all_failed(tokens.len(), &Rejection::TooManyItems.into());
        }
        let mut answers = Vec::new();
        for token in tokens {
            let renew = |records: &mut Records<'_>| (self.flaw.renew)(records, token, ttl, now);
            let answer = self.step(Call::Renew, &token.pool, renew).await;
            self.reach(Method::Renew, token, |records, token| {
                _ = (self.flaw.renew)(records, token, ttl, now)
            });
            answers.push(answer.map_err(Into::into));
        }
        answers.into()
    }

    async fn get_key_package(
        &self,
        pool: &PoolId,
        key_package_ref: &KeyPackageRef,
        now: Timestamp,
    ) -> Result<Option<StoredKeyPackage>> {
        let readable = self.readable(Method::Get);
        let read = readable.get_key_package(pool, key_package_ref, now);
        let mut stored = self.read(pool, now, read).await?;
        (self.flaw.stored)(&mut stored);
        Ok(stored)
    }

    async fn get_statuses(&self, pool: &PoolId, refs: &[KeyPackageRef], now: Timestamp) -> Result<Vec<Option<Status>>> {
        if self.flaw.torn == Some(Torn::ReadsInHalves) {
            let (first, second) = refs.split_at(refs.len() / 2);
            let before = self.first(|model| model.clone()).await;
            let half = ReferenceStore::with_limits(self.limits);
            *half.model() = before;
            let mut statuses = half.get_statuses(pool, first, now).await?;
            statuses.extend(self.correct.get_statuses(pool, second, now).await?);
            return Ok(statuses);
        }
        let readable = self.readable(Method::Statuses);
        let read = readable.get_statuses(pool, refs, now);
        let mut statuses = self.read(pool, now, read).await?;
        (self.flaw.statuses)(&mut statuses);
        Ok(statuses)
    }

    async fn list_available(
        &self,
        pool: &PoolId,
        after: Option<&Cursor>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Page<KeyPackageInfo>> {
        let readable = self.readable(Method::ListAvailable);
        let read = readable.list_available(pool, after, (self.flaw.page_limit)(limit), now);
        let mut page = self.read(pool, now, read).await?;
        (self.flaw.listed)(&mut page);
        if after.is_some() {
            self.at_once(pool, |records| (self.flaw.next_page)(records, now, &mut page));
        }
        Ok(page)
    }

    async fn list_ready(&self, pool: &PoolId, now: Timestamp) -> Result<Vec<ReadyKeyPackage>> {
        let readable = self.readable(Method::ListReady);
        let mut ready = self.read(pool, now, readable.list_ready(pool, now)).await?;
        (self.flaw.ready)(&mut ready);
        Ok(ready)
    }

    async fn count_by_status(&self, pool: &PoolId, now: Timestamp) -> Result<PoolCounts> {
        let readable = self.readable(Method::Count);
        let read = readable.count_by_status(pool, now);
        let mut counts = self.read(pool, now, read).await?;
        counts.ciphersuites.values_mut().for_each(self.flaw.counts);
        (self.flaw.room)(&mut counts);
        Ok(counts)
    }

    async fn list_pools(&self, after: Option<&Cursor>, limit: u32) -> Result<Page<PoolId>> {
        let limit = (self.flaw.page_limit)(limit);
        let mut page = self.readable(Method::ListPools).list_pools(after, limit).await?;
        (self.flaw.pools)(&mut page);
        Ok(page)
    }

    async fn withdraw_key_packages(
        &self,
        pool: &PoolId,
        what: &Withdrawal,
        now: Timestamp,
    ) -> Result<Vec<(KeyPackageRef, WithdrawOutcome)>> {
        if self.refuses(bounded_withdrawal(what)) {
            return Err(Rejection::TooManyItems.into());
        }
        Ok(self.at_once(pool, |records| (self.flaw.withdraw)(records, what, now)))
    }

    async fn delete_pool(&self, pool: &PoolId) -> Result<()> {
        self.at_once(pool, self.flaw.delete);
        Ok(())
    }

    async fn retire_unspent(
        &self,
        saved_before: Timestamp,
        now: Timestamp,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<(u64, Option<Cursor>)> {
        let saved_before = (self.flaw.saved_before)(saved_before);
        self.correct.retire_unspent(saved_before, now, after, limit).await
    }

    async fn cleanup_expired(&self, now: Timestamp, limit: u32) -> Result<u64> {
        let pools = self.pools();
        self.on_each(&pools, |records| (self.flaw.swept)(records, now));
        let limit = (self.flaw.sweep_limit)(limit);
        if self.flaw.torn != Some(Torn::Apart(Call::CleanUp)) {
            return Ok((self.flaw.cleaned)(self.correct.cleanup_expired(now, limit).await?));
        }
        let before = self.first(|model| model.clone()).await;
        *self.model() = before;
        self.correct.cleanup_expired(now, limit).await
    }

    async fn release_expired_reservations(&self, now: Timestamp, limit: u32) -> Result<u64> {
        if self.flaw.torn == Some(Torn::FindsFirst) {
            return Ok(self.settle_found(now, limit).await);
        }
        if self.is_due_for_a_gone_pool() {
            return pending().await;
        }
        let (mut settled, mut total) = (0, 0);
        for pool in self.pools() {
            if settled == limit.max(1) {
                break;
            }
            let settle = |records: &mut Records<'_>| (self.flaw.settle)(records, now);
            let count = self.step(Call::Settle, &pool, settle).await;
            settled += u32::from((self.flaw.counts_as_settled)(count));
            total += count;
        }
        Ok(total)
    }
}

#[async_trait]
impl MovePools for FlawedStore {
    async fn export_pool(&self, pool: &PoolId) -> Result<PoolExport> {
        let mut records = self.model().pool(pool).cloned().unwrap_or_default().records;
        (self.flaw.exported)(&mut records);
        let export = PoolExport::new(records);
        Ok(export
            .map_err(|contradiction| BackendError::new("flawed", "export_pool", Effect::NotApplied, contradiction))?)
    }

    async fn import_pool(&self, pool: &PoolId, export: &PoolExport) -> Result<(), Error<ImportRejection>> {
        let step = |records: &mut Records<'_>| (self.flaw.imported)(records.pool, export);
        self.at_once(pool, step).map_err(Error::Rejected)
    }
}

/// A lease under the id that it was asked for with.
fn with_id(mut reserved: Reservation, take: &TakeRequest) -> Reservation {
    if let Some(lease) = &mut reserved.lease {
        let key_package_ref = lease.token.key_package_ref.clone();
        lease.token = ReservationToken::new(take.pool.clone(), key_package_ref, take.id);
    }
    reserved
}
