use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use kp_core::server::{
    Answers, Cursor, KeyPackageStore, Lease, OnLapse, Page, ReadyKeyPackage, Receipt, Reservation, ReservationToken,
    Save, SaveMode, SaveOutcome, Spend, StoredKeyPackage, TakeRequest, WithdrawOutcome, Withdrawal,
};
use kp_core::{
    BackendError, Effect, Error, GroupId, KeyPackage, KeyPackageInfo, KeyPackageRef, PoolCounts, PoolId, Result,
    Status, Timestamp, Ttl,
};
use serde::de::DeserializeOwned;

use super::process::{Adapter, Unmet};
use super::tally::Tally;
use super::wire::{self, Call, Hex, Misfit, Outcome};

/// A store of an adapter. Dropped, it is closed.
pub(crate) struct AdapterStore {
    adapter: Arc<Adapter>,
    store: u64,
    tally: Arc<Tally>,
}

impl AdapterStore {
    /// A store that the adapter has opened under this number.
    pub(crate) fn new(adapter: Arc<Adapter>, store: u64, tally: Arc<Tally>) -> Self {
        tally.opened();
        Self { adapter, store, tally }
    }

    /// Makes a call that is answered as a whole.
    async fn call<T: DeserializeOwned, U>(
        &self,
        call: Call,
        read: impl FnOnce(T) -> std::result::Result<U, Misfit>,
    ) -> Result<U> {
        self.tally.call(&call);
        let name = call.name();
        let answer = self.adapter.call(Some(self.store), call).await;
        let answer = answer.and_then(|value| read(value).map_err(|misfit| self.misfit(name, &misfit)));
        answer.map_err(|unmet| error(name, unmet))
    }

    /// Makes a call that answers each of its items.
    async fn each<T: DeserializeOwned, U: TryFrom<T>>(&self, call: Call, items: usize) -> Answers<U>
    where
        U::Error: Into<Misfit>,
    {
        let name = call.name();
        let answered = self.call(call, |answers: Vec<Outcome<T>>| {
            if answers.len() == items {
                Ok(answers)
            } else {
                Err(Misfit::new(format!("{} answers to {items} items", answers.len())))
            }
        });
        let answers = match answered.await {
            Ok(answers) => answers,
            Err(error) => return Answers::all_failed(items, &error),
        };
        let read = |outcome| match outcome {
            Outcome::Ok(value) => U::try_from(value).map_err(|misfit| self.misfit(name, &misfit.into())),
            Outcome::Rejected(rejection) => Err(Unmet::Rejected(rejection)),
            Outcome::Failed(failure) => Err(Unmet::Failed(failure)),
        };
        let each = answers
            .into_iter()
            .map(|outcome| read(outcome).map_err(|unmet| error(name, unmet)));
        each.collect()
    }

    fn misfit(&self, call: &'static str, misfit: &Misfit) -> Unmet {
        Unmet::Fault(self.adapter.wrong(call, misfit, "a value out of bounds".to_owned()))
    }
}

fn error(call: &'static str, unmet: Unmet) -> Error {
    match unmet {
        Unmet::Rejected(rejection) => Error::Rejected(rejection.into()),
        Unmet::Failed(failure) => {
            let effect = match failure.effect {
                wire::Effect::NotApplied => Effect::NotApplied,
                wire::Effect::Unknown => Effect::Unknown,
            };
            let report = if failure.transient {
                BackendError::transient
            } else {
                BackendError::new
            };
            report("adapter", call, effect, failure.message).into()
        }
        Unmet::Fault(fault) => BackendError::new("adapter", call, Effect::Unknown, fault).into(),
    }
}

/// Nobody waits for the answer but who destroys the space.
impl Drop for AdapterStore {
    fn drop(&mut self) {
        let asked = self.adapter.ask(None, Call::Close { store: self.store });
        self.tally.closing(&self.adapter, asked);
    }
}

impl fmt::Debug for AdapterStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdapterStore")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

fn all<T, U: TryFrom<T, Error = Misfit>>(items: Vec<T>) -> std::result::Result<Vec<U>, Misfit> {
    items.into_iter().map(U::try_from).collect()
}

fn tokens(tokens: &[ReservationToken]) -> Vec<wire::Token> {
    tokens.iter().map(wire::Token::from).collect()
}

fn takes(takes: &[TakeRequest]) -> Vec<wire::Take> {
    takes.iter().map(wire::Take::from).collect()
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl KeyPackageStore for AdapterStore {
    async fn save_key_packages(&self, save: &Save, now: Timestamp) -> Result<Vec<SaveOutcome>> {
        let call = Call::SaveKeyPackages {
            pool: Hex(save.pool.clone()),
            packages: save.packages().iter().map(wire::Item::from).collect(),
            mode: match save.mode {
                SaveMode::Append => wire::SaveMode::Append,
                SaveMode::Replace => wire::SaveMode::Replace,
                SaveMode::Amend => wire::SaveMode::Amend,
            },
            cap_per_ciphersuite: save.cap_per_ciphersuite,
            now: now.get(),
        };
        self.call(call, |outcomes: Vec<wire::SaveOutcome>| {
            Ok(outcomes.into_iter().map(SaveOutcome::from).collect())
        })
        .await
    }

    async fn reserve_key_packages(
        &self,
        requests: &[TakeRequest],
        lapse: OnLapse,
        now: Timestamp,
    ) -> Answers<Reservation> {
        let call = Call::ReserveKeyPackages {
            takes: takes(requests),
            on_lapse: match lapse {
                OnLapse::Return => wire::OnLapse::Return,
                OnLapse::Retire => wire::OnLapse::Retire,
            },
            now: now.get(),
        };
        self.each::<wire::Reservation, _>(call, requests.len()).await
    }

    async fn claim_key_packages(
        &self,
        requests: &[TakeRequest],
        group: Option<&GroupId>,
        now: Timestamp,
    ) -> Answers<KeyPackage> {
        let call = Call::ClaimKeyPackages {
            takes: takes(requests),
            group: group.cloned().map(Hex),
            now: now.get(),
        };
        self.each::<wire::Package, _>(call, requests.len()).await
    }

    async fn spend_key_packages(&self, named: &[ReservationToken], usage: &Spend, now: Timestamp) -> Answers<Receipt> {
        let call = Call::SpendKeyPackages {
            tokens: tokens(named),
            group: usage.group.clone().map(Hex),
            by: usage.by.clone().map(Hex),
            now: now.get(),
        };
        self.each::<wire::Receipt, _>(call, named.len()).await
    }

    async fn release_key_packages(&self, named: &[ReservationToken], now: Timestamp) -> Answers<()> {
        let call = Call::ReleaseKeyPackages {
            tokens: tokens(named),
            now: now.get(),
        };
        self.each::<(), ()>(call, named.len()).await
    }

    async fn renew_key_packages(&self, named: &[ReservationToken], ttl: Ttl, now: Timestamp) -> Answers<Lease> {
        let call = Call::RenewKeyPackages {
            tokens: tokens(named),
            ttl: ttl.get(),
            now: now.get(),
        };
        self.each::<wire::Lease, _>(call, named.len()).await
    }

    async fn get_key_package(
        &self,
        pool: &PoolId,
        key_package_ref: &KeyPackageRef,
        now: Timestamp,
    ) -> Result<Option<StoredKeyPackage>> {
        let call = Call::GetKeyPackage {
            pool: Hex(pool.clone()),
            key_package_ref: Hex(key_package_ref.clone()),
            now: now.get(),
        };
        self.call(call, |stored: Option<wire::Stored>| {
            stored.map(TryInto::try_into).transpose()
        })
        .await
    }

    async fn get_statuses(&self, pool: &PoolId, refs: &[KeyPackageRef], now: Timestamp) -> Result<Vec<Option<Status>>> {
        let call = Call::GetStatuses {
            pool: Hex(pool.clone()),
            refs: refs.iter().cloned().map(Hex).collect(),
            now: now.get(),
        };
        self.call(call, |statuses: Vec<Option<wire::Status>>| {
            let status = |status: Option<wire::Status>| status.map(TryInto::try_into).transpose();
            statuses.into_iter().map(status).collect()
        })
        .await
    }

    async fn list_available(
        &self,
        pool: &PoolId,
        after: Option<&Cursor>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Page<KeyPackageInfo>> {
        let call = Call::ListAvailable {
            pool: Hex(pool.clone()),
            after: after.cloned().map(wire::Place),
            limit,
            now: now.get(),
        };
        self.call(call, wire::Page::<wire::Info>::into_page).await
    }

    async fn list_ready(&self, pool: &PoolId, now: Timestamp) -> Result<Vec<ReadyKeyPackage>> {
        let call = Call::ListReady {
            pool: Hex(pool.clone()),
            now: now.get(),
        };
        self.call(call, all::<wire::Ready, _>).await
    }

    async fn count_by_status(&self, pool: &PoolId, now: Timestamp) -> Result<PoolCounts> {
        let call = Call::CountByStatus {
            pool: Hex(pool.clone()),
            now: now.get(),
        };
        self.call(call, |counted: wire::Counted| counted.try_into()).await
    }

    async fn list_pools(&self, after: Option<&Cursor>, limit: u32) -> Result<Page<PoolId>> {
        let call = Call::ListPools {
            after: after.cloned().map(wire::Place),
            limit,
        };
        self.call(call, wire::Page::<Hex<PoolId>>::into_page).await
    }

    async fn withdraw_key_packages(
        &self,
        pool: &PoolId,
        what: &Withdrawal,
        now: Timestamp,
    ) -> Result<Vec<(KeyPackageRef, WithdrawOutcome)>> {
        let refs = match what {
            Withdrawal::Refs(refs) => Some(refs.iter().cloned().map(Hex).collect()),
            Withdrawal::All => None,
        };
        let call = Call::WithdrawKeyPackages {
            pool: Hex(pool.clone()),
            refs,
            now: now.get(),
        };
        self.call(call, |withdrawn: Vec<wire::Withdrawn>| {
            let became = |one: wire::Withdrawn| (one.key_package_ref.0, one.outcome.into());
            Ok(withdrawn.into_iter().map(became).collect())
        })
        .await
    }

    async fn delete_pool(&self, pool: &PoolId) -> Result<()> {
        let pool = Hex(pool.clone());
        self.call(Call::DeletePool { pool }, Ok).await
    }

    async fn retire_unspent(
        &self,
        saved_before: Timestamp,
        now: Timestamp,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<(u64, Option<Cursor>)> {
        let call = Call::RetireUnspent {
            saved_before: saved_before.get(),
            now: now.get(),
            after: after.cloned().map(wire::Place),
            limit,
        };
        self.call(call, |retired: wire::Retired| {
            Ok((retired.retired, retired.next.map(|place| place.0)))
        })
        .await
    }

    async fn cleanup_expired(&self, now: Timestamp, limit: u32) -> Result<u64> {
        let now = now.get();
        self.call(Call::CleanupExpired { now, limit }, Ok).await
    }

    async fn release_expired_reservations(&self, now: Timestamp, limit: u32) -> Result<u64> {
        let now = now.get();
        self.call(Call::ReleaseExpiredReservations { now, limit }, Ok).await
    }
}
