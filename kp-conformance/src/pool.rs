use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use kp_core::server::{
    Admitted, Answers, KeyPackageStore, KeyPackageStoreExt, Lease, OnLapse, Receipt, Reservation, ReservationToken,
    Save, SaveMode, SaveOutcome, Spend, StoredKeyPackage, TakeRequest, WithdrawOutcome, Withdrawal,
};
use kp_core::{
    Ciphersuite, Counts, Error, GroupId, KeyPackage, KeyPackageInfo, KeyPackageRef, PoolId, Rejection, Result, Status,
    Timestamp,
};

use crate::causes::with_causes;
use crate::histories::{Call, Reply};
use crate::must_be::{differ, must_be};
use crate::packages::{id, key_package_ref, ttl};

/// One pool through one handle: the calls of a store, shortened, with a failure of the backend as a failure of the
/// check. What the rules refuse stays an answer.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    pub(crate) store: Arc<dyn KeyPackageStore>,
    pub(crate) id: PoolId,
    /// The backend offers no reservations: what holds for both is asked of claims alone.
    pub(crate) only_claims: bool,
}

impl Pool {
    pub(crate) fn new(store: Arc<dyn KeyPackageStore>, name: &str) -> Self {
        let id = PoolId::try_from(name).expect("a short name is a pool id");
        Self {
            store,
            id,
            only_claims: false,
        }
    }

    /// Another pool through the same handle.
    pub(crate) fn beside(&self, name: &str) -> Self {
        self.through(Arc::clone(&self.store), name)
    }

    /// Another pool through another store over the same backend.
    pub(crate) fn through(&self, store: Arc<dyn KeyPackageStore>, name: &str) -> Self {
        Self {
            only_claims: self.only_claims,
            ..Self::new(store, name)
        }
    }

    /// Another pool through the same handles.
    pub(crate) fn all_beside(pools: &[Self], name: &str) -> Vec<Self> {
        pools.iter().map(|pool| pool.beside(name)).collect()
    }

    /// A request of the n-th id, for a minute.
    pub(crate) fn take(&self, n: u64) -> TakeRequest {
        TakeRequest::new(self.id.clone(), id(n), ttl(60))
    }

    /// The token of the n-th package and the m-th id.
    pub(crate) fn token(&self, n: u64, m: u64) -> ReservationToken {
        ReservationToken::new(self.id.clone(), key_package_ref(n), id(m))
    }

    pub(crate) fn request(&self, packages: Vec<KeyPackage>) -> Save {
        Save::new(self.id.clone(), packages).expect("the checks save 1,000 packages at most")
    }

    pub(crate) async fn save_as(&self, save: &Save, now: Timestamp) -> Vec<SaveOutcome> {
        let outcomes = works(self.store.save_key_packages(save, now).await);
        must_be!(outcomes.len(), save.packages().len(), "one outcome for each item");
        outcomes
    }

    pub(crate) async fn save(&self, packages: Vec<KeyPackage>, now: Timestamp) -> Vec<SaveOutcome> {
        self.save_as(&self.request(packages), now).await
    }

    /// A request to save packages with what is kept beside them.
    pub(crate) fn admitting(&self, items: Vec<Admitted>) -> Save {
        Save::new(self.id.clone(), items).expect("the checks save 1,000 packages at most")
    }

    pub(crate) async fn admit(&self, items: Vec<Admitted>, now: Timestamp) -> Vec<SaveOutcome> {
        self.save_as(&self.admitting(items), now).await
    }

    pub(crate) async fn admit_one(&self, item: Admitted, now: Timestamp) -> SaveOutcome {
        works(self.store.save_key_package(&self.id, item, now).await)
    }

    /// Saves a package that nothing speaks against.
    pub(crate) async fn stock_one(&self, item: Admitted, now: Timestamp) {
        must_be!(
            self.admit_one(item, now).await,
            SaveOutcome::Saved,
            "a new package is stored"
        );
    }

    pub(crate) async fn save_one(&self, package: KeyPackage, now: Timestamp) -> SaveOutcome {
        works(self.store.save_key_package(&self.id, package, now).await)
    }

    pub(crate) async fn replace(&self, packages: Vec<KeyPackage>, now: Timestamp) -> Vec<SaveOutcome> {
        self.save_as(&self.request(packages).mode(SaveMode::Replace), now).await
    }

    /// Saves packages that nothing speaks against.
    pub(crate) async fn stock(&self, packages: Vec<KeyPackage>, now: Timestamp) {
        for outcome in self.save(packages, now).await {
            must_be!(outcome, SaveOutcome::Saved, "a new package is stored");
        }
    }

    pub(crate) async fn reserve(&self, take: &TakeRequest, now: Timestamp) -> Answer<Reservation> {
        self.lend(take, OnLapse::Return, now).await
    }

    pub(crate) async fn lend(&self, take: &TakeRequest, lapse: OnLapse, now: Timestamp) -> Answer<Reservation> {
        answered(self.store.reserve_key_package(take, lapse, now).await)
    }

    /// Reserves, and says which package it was.
    pub(crate) async fn reserve_ref(&self, take: &TakeRequest, now: Timestamp) -> Answer<KeyPackageRef> {
        Ok(self.reserve(take, now).await?.package.info.key_package_ref)
    }

    /// Reserves a one-time package that must be there, and says what to spend it with.
    pub(crate) async fn lease(&self, take: &TakeRequest, now: Timestamp) -> ReservationToken {
        self.lease_until(take, OnLapse::Return, now).await.0
    }

    pub(crate) async fn lease_until(
        &self,
        take: &TakeRequest,
        lapse: OnLapse,
        now: Timestamp,
    ) -> (ReservationToken, Timestamp) {
        let reserved = self
            .lend(take, lapse, now)
            .await
            .expect("a package is there to reserve");
        let lease = reserved.lease.expect("a one-time package comes with a lease");
        must_be!(lease.token.key_package_ref, reserved.package.info.key_package_ref);
        (lease.token, lease.expires_at)
    }

    pub(crate) async fn claim(
        &self,
        take: &TakeRequest,
        group: Option<&GroupId>,
        now: Timestamp,
    ) -> Answer<KeyPackage> {
        answered(self.store.claim_key_package(take, group, now).await)
    }

    /// Such a request gets no package now, by reservation or by claim: both are refused with this.
    pub(crate) async fn refuses(&self, take: &TakeRequest, now: Timestamp, why: Rejection) {
        let claimed = self.claim(take, None, now).await.map(drop);
        if claimed != Err(why) {
            differ(
                &format!("a claim at {now:?}"),
                &format!("{take:?}"),
                &claimed,
                &Err::<(), _>(why),
            );
        }
        if !self.only_claims {
            let reserved = self.reserve(take, now).await.map(drop);
            if reserved != Err(why) {
                differ(
                    &format!("a reservation at {now:?}"),
                    &format!("{take:?}"),
                    &reserved,
                    &Err::<(), _>(why),
                );
            }
        }
    }

    /// Claims a package that must be there, for no group.
    pub(crate) async fn claimed(&self, take: &TakeRequest, now: Timestamp) -> KeyPackage {
        let claimed = self.claim(take, None, now).await;
        claimed.unwrap_or_else(|rejection| panic!("a package is there to claim at {now:?}: {rejection}"))
    }

    /// Claims for no group, and says which package it was.
    pub(crate) async fn claim_ref(&self, take: &TakeRequest, now: Timestamp) -> Answer<KeyPackageRef> {
        Ok(self.claim(take, None, now).await?.info.key_package_ref)
    }

    /// Claims or reserves, and says which package it was.
    pub(crate) async fn taken(&self, claims: bool, take: &TakeRequest, now: Timestamp) -> Answer<KeyPackageRef> {
        if claims {
            self.claim_ref(take, now).await
        } else {
            self.reserve_ref(take, now).await
        }
    }

    pub(crate) async fn spend(&self, token: &ReservationToken, usage: &Spend, now: Timestamp) -> Answer<Receipt> {
        answered(self.store.spend_key_package(token, usage, now).await)
    }

    /// Spends a package whose lease must be live, or was spent by the same spend.
    pub(crate) async fn spent(&self, token: &ReservationToken, usage: &Spend, now: Timestamp) -> Receipt {
        let spent = self.spend(token, usage, now).await;
        spent.unwrap_or_else(|rejection| panic!("the lease is live at {now:?}, and its id may spend: {rejection}"))
    }

    /// Gives back a package whose lease must be live.
    pub(crate) async fn released(&self, token: &ReservationToken, now: Timestamp) {
        let released = self.release(token, now).await;
        released.unwrap_or_else(|rejection| panic!("the lease is live at {now:?}, and its id may end it: {rejection}"));
    }

    pub(crate) async fn release(&self, token: &ReservationToken, now: Timestamp) -> Answer<()> {
        answered(self.store.release_key_package(token, now).await)
    }

    pub(crate) async fn renew(&self, token: &ReservationToken, seconds: u32, now: Timestamp) -> Answer<Lease> {
        answered(self.store.renew_key_package(token, ttl(seconds), now).await)
    }

    /// Makes a live lease longer, and says when it ends then.
    pub(crate) async fn renewed(&self, token: &ReservationToken, seconds: u32, now: Timestamp) -> Timestamp {
        let renewed = self.renew(token, seconds, now).await;
        let lease = renewed.unwrap_or_else(|rejection| panic!("the lease is live at {now:?}: {rejection}"));
        must_be!(lease.token, *token, "the lease is the token's");
        lease.expires_at
    }

    pub(crate) async fn get(&self, n: u64, now: Timestamp) -> Option<StoredKeyPackage> {
        works(self.store.get_key_package(&self.id, &key_package_ref(n), now).await)
    }

    pub(crate) async fn status(&self, n: u64, now: Timestamp) -> Option<Status> {
        self.statuses([n], now).await.remove(0)
    }

    pub(crate) async fn statuses(&self, ns: impl IntoIterator<Item = u64>, now: Timestamp) -> Vec<Option<Status>> {
        let refs: Vec<_> = ns.into_iter().map(key_package_ref).collect();
        let statuses = works(self.store.get_statuses(&self.id, &refs, now).await);
        must_be!(statuses.len(), refs.len(), "one status for each ref");
        statuses
    }

    pub(crate) async fn counts(&self, now: Timestamp) -> BTreeMap<Ciphersuite, Counts> {
        works(self.store.count_by_status(&self.id, now).await).ciphersuites
    }

    /// How many one-time packages the pool's memory still takes.
    pub(crate) async fn room(&self, now: Timestamp) -> u32 {
        works(self.store.count_by_status(&self.id, now).await).room
    }

    /// What is counted of one ciphersuite.
    pub(crate) async fn count(&self, suite: Ciphersuite, now: Timestamp) -> Counts {
        self.counts(now).await.remove(&suite).unwrap_or_default()
    }

    /// All that `list_available` shows, in pages of `limit`.
    pub(crate) async fn available_by(&self, limit: u32, now: Timestamp) -> Vec<KeyPackageInfo> {
        let pool = self.id.clone();
        match works(Call::List { pool, limit, now }.ask(&*self.store).await) {
            Reply::Listed(all) => all,
            other => panic!("a page holds {limit} items at most, and the pages come to an end: {other:?}"),
        }
    }

    /// All pools, sorted, in pages of `limit`.
    pub(crate) async fn pools_by(&self, limit: u32) -> Vec<PoolId> {
        match works(Call::Pools { limit }.ask(&*self.store).await) {
            Reply::Pools(all) => all,
            other => panic!("a page holds {limit} items at most, and the pages come to an end: {other:?}"),
        }
    }

    /// The refs of all that `list_available` shows.
    pub(crate) async fn available(&self, now: Timestamp) -> Vec<KeyPackageRef> {
        let all = self.available_by(1_000, now).await;
        all.into_iter().map(|info| info.key_package_ref).collect()
    }

    pub(crate) async fn withdraw_as(&self, what: &Withdrawal, now: Timestamp) -> Vec<(KeyPackageRef, WithdrawOutcome)> {
        works(self.store.withdraw_key_packages(&self.id, what, now).await)
    }

    /// Withdraws these packages, and says what became of each.
    pub(crate) async fn withdraw(&self, ns: impl IntoIterator<Item = u64>, now: Timestamp) -> Vec<WithdrawOutcome> {
        let refs: Vec<_> = ns.into_iter().map(key_package_ref).collect();
        let withdrawn = self.withdraw_as(&Withdrawal::Refs(refs.clone()), now).await;
        let answered: Vec<_> = withdrawn.iter().map(|(named, _)| named.clone()).collect();
        must_be!(answered, refs, "an answer for each ref, in order");
        withdrawn.into_iter().map(|(_, what)| what).collect()
    }

    pub(crate) async fn delete(&self) {
        works(self.store.delete_pool(&self.id).await);
    }

    /// `retire_unspent` over all pools, in steps of `limit` pools.
    pub(crate) async fn retire_by(&self, limit: u32, saved_before: Timestamp, now: Timestamp) -> u64 {
        let retire = Call::Retire {
            saved_before,
            limit,
            now,
        };
        match works(retire.ask(&*self.store).await) {
            Reply::Swept(total) => total,
            other => panic!("a retirement counts what it retires, and comes to an end: {other:?}"),
        }
    }

    pub(crate) async fn retire(&self, saved_before: Timestamp, now: Timestamp) -> u64 {
        self.retire_by(100, saved_before, now).await
    }

    pub(crate) async fn cleanup(&self, now: Timestamp, limit: u32) -> u64 {
        works(self.store.cleanup_expired(now, limit).await)
    }

    pub(crate) async fn settle(&self, now: Timestamp, limit: u32) -> u64 {
        works(self.store.release_expired_reservations(now, limit).await)
    }

    /// All that the reads show of the pool: equal pictures, nothing changed.
    pub(crate) async fn picture(&self, ns: impl IntoIterator<Item = u64>, now: Timestamp) -> Picture {
        let mut stored = Vec::new();
        for n in ns {
            stored.push(self.get(n, now).await);
        }
        Picture {
            counts: self.counts(now).await,
            available: self.available(now).await,
            stored,
        }
    }
}

/// What the reads show of a pool.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    counts: BTreeMap<Ciphersuite, Counts>,
    available: Vec<KeyPackageRef>,
    stored: Vec<Option<StoredKeyPackage>>,
}

/// What the rules answer.
pub(crate) type Answer<T, R = Rejection> = std::result::Result<T, R>;

/// The answer of a call that the rules cannot refuse.
pub(crate) fn works<T: Debug, R: StdError + 'static>(result: Result<T, Error<R>>) -> T {
    result.unwrap_or_else(|error| {
        let error = with_causes(&error);
        panic!("this call cannot be refused, and the backend has to work: {error}")
    })
}

/// The answer of the rules; a failure of the backend is a failure of the check.
pub(crate) fn answered<T, R: StdError + 'static>(result: Result<T, Error<R>>) -> Answer<T, R> {
    match result {
        Ok(answer) => Ok(answer),
        Err(Error::Rejected(rejection)) => Err(rejection),
        Err(failure) => panic!("the backend has to work: {}", with_causes(&failure)),
    }
}

/// What each item of a batch was answered.
pub(crate) fn each<T, U>(answers: Answers<T>, of: impl Fn(T) -> U) -> Vec<Answer<U>> {
    answers.into_iter().map(|answer| answered(answer).map(&of)).collect()
}

/// How often a call is made again before it counts as never answered: far more often than faults come in a row.
const ATTEMPTS: u32 = 40;

/// After so many failures in a row, an engine may be starved: each call that is made again at once would add to its queue.
const AT_ONCE: u32 = 4;
const PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Makes a call until it is answered: after a failure the same request again finds out what became of it (`ERR-1`).
pub(crate) async fn until_answered<T, F: Future<Output = Result<T>>>(call: impl Fn() -> F) -> Answer<T> {
    let mut answer = call().await;
    for attempt in 0..ATTEMPTS {
        if !matches!(answer, Err(Error::Backend(_))) {
            break;
        }
        if attempt >= AT_ONCE {
            let pause = PAUSE.saturating_mul(attempt - AT_ONCE + 1);
            tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
        }
        answer = call().await;
    }
    answered(answer)
}
