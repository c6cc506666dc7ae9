//! The calls that are torn in a way of their own.

use std::sync::atomic::Ordering;

use kp_core::rules::{Answer, Model, ModelPool, State};
use kp_core::server::{OnLapse, Reservation, TakeRequest};
use kp_core::{BackendError, Effect, GroupId, KeyPackage, PoolId, Rejection, ReservationId, Result, Timestamp};
use tokio::task::yield_now;

use super::FlawedStore;
use crate::flaw::Records;

impl FlawedStore {
    /// [`Torn::LooksFirst`]
    pub(super) async fn look_first(&self, take: &TakeRequest, lapse: OnLapse, now: Timestamp) -> Answer<Reservation> {
        let oldest = |pool: &mut ModelPool| Ok((self.flaw.oldest)(pool, &take.options, now));
        let seen = self.first(|model| model.step(&take.pool, oldest)).await;
        let named = match seen {
            Some((record, _)) => {
                let named = take.options.clone().only(record.info.key_package_ref);
                take.clone().options(named)
            }
            None => take.clone(),
        };
        self.at_once(&take.pool, |records| records.reserve(&named, lapse, now))
            .map_err(|_| Rejection::PoolExhausted)
    }

    pub(super) fn is_bound(&self, take: &TakeRequest) -> bool {
        let bound = |records: &mut Records<'_>| (self.flaw.by_id)(records.pool, &take.id).is_some();
        self.at_once(&take.pool, bound)
    }

    /// [`Torn::SpendsLater`]
    pub(super) async fn spend_later(
        &self,
        take: &TakeRequest,
        group: Option<&GroupId>,
        now: Timestamp,
    ) -> Answer<KeyPackage> {
        if !self.is_bound(take) {
            self.at_once(&take.pool, |records| records.reserve(take, OnLapse::Return, now))?;
            yield_now().await;
        }
        self.at_once(&take.pool, |records| records.claim(take, group, now))
    }

    /// [`Torn::KeepsItsLock`]
    pub(super) async fn claim_under_lock(
        &self,
        take: &TakeRequest,
        group: Option<&GroupId>,
        now: Timestamp,
    ) -> Result<KeyPackage> {
        let mut turns = 0;
        while self.locked.swap(true, Ordering::Relaxed) {
            turns += 1;
            if turns == 5_000 {
                return Err(BackendError::transient("flawed", "claim", Effect::NotApplied, "it is locked").into());
            }
            yield_now().await;
        }
        yield_now().await;
        let answer = self.at_once(&take.pool, |records| records.claim(take, group, now));
        self.locked.store(false, Ordering::Relaxed);
        Ok(answer?)
    }

    /// [`Torn::FindsFirst`]
    pub(super) async fn settle_found(&self, now: Timestamp, limit: u32) -> u64 {
        let has_lapsed = |pool: &ModelPool| {
            let mut ends = pool.records.iter().filter_map(|(record, _)| record.state.lapses_at());
            ends.any(|end| end <= now)
        };
        let find = |model: &mut Model| -> Vec<PoolId> {
            let pools = model.list_pools().filter(|id| model.pool(id).is_some_and(has_lapsed));
            pools.take(limit.max(1) as usize).cloned().collect()
        };
        let found = self.first(find).await;
        let settle = |pool| self.at_once(&pool, |records| (self.flaw.settle)(records, now));
        found.into_iter().map(settle).sum()
    }

    /// [`Torn::BindsLater`]: the id, once others were let in, of what was taken without it.
    pub(super) async fn bind_later<T>(
        &self,
        take: &TakeRequest,
        step: impl FnOnce(&mut Records<'_>, &TakeRequest) -> T,
    ) -> T {
        if self.is_bound(take) {
            return self.at_once(&take.pool, |records| step(records, take));
        }
        let nobodys = u128::from(self.unbound.fetch_add(1, Ordering::Relaxed));
        let nobodys = ReservationId::from_bytes(nobodys.to_be_bytes());
        let mut unbound = take.clone();
        unbound.id = nobodys;
        let answer = self.at_once(&take.pool, |records| step(records, &unbound));
        yield_now().await;
        self.at_once(&take.pool, |records| {
            records.alter(|record| match &mut record.state {
                State::Reserved(hold) if hold.id == nobodys => hold.id = take.id,
                State::Used(usage) if usage.id == nobodys => usage.id = take.id,
                _ => (),
            });
        });
        answer
    }
}
