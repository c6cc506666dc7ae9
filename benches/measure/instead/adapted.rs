use std::fmt;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use kp_core::server::*;
use kp_core::*;

use super::peer::Peer;

/// What was asked of a peer that it has no notion of, if anything was: the answer is then the adaptation's, and shows nothing.
pub(crate) type Lacking = Arc<OnceLock<&'static str>>;

/// A peer as a store of ours, so that the same calls can be made of both, and the suite's checks.
pub(super) struct Adapted<P> {
    peer: P,
    lacking: Lacking,
}

impl<P: Peer> Adapted<P> {
    pub(super) fn over(peer: P, lacking: &Lacking) -> Arc<dyn KeyPackageStore> {
        let lacking = Arc::clone(lacking);
        Arc::new(Self { peer, lacking })
    }

    fn lacks(&self, what: &'static str) -> Error {
        let what = self.lacking.get_or_init(|| what);
        failed(format!("it has no notion of {what}"))
    }

    /// One package, of a request that asks for nothing else. An id that was used before means nothing: no peer has any.
    fn plain<'a>(&self, takes: &'a [TakeRequest]) -> Result<&'a TakeRequest> {
        match takes {
            [take] if take.options == TakeOptions::new() && take.limit.is_none() => Ok(take),
            [_] => Err(self.lacks("what the request asks for")),
            _ => Err(self.lacks("several packages in one call")),
        }
    }

    async fn reserve(&self, takes: &[TakeRequest], lapse: OnLapse, now: Timestamp) -> Result<Reservation> {
        if !P::HAS_LEASES || lapse != OnLapse::Return {
            return Err(self.lacks("such leases"));
        }
        let take = self.plain(takes)?;
        let reserved = self.peer.reserve(&take.pool, take.ttl, now).await.map_err(failed)?;
        let (package, ends) = reserved.ok_or(Rejection::PoolExhausted)?;
        let token = ReservationToken::new(take.pool.clone(), package.info.key_package_ref.clone(), take.id);
        Ok(Reservation::new(package, Some(Lease::new(token, ends))))
    }

    async fn claim(&self, takes: &[TakeRequest]) -> Result<KeyPackage> {
        if P::HAS_LEASES {
            return Err(self.lacks("a claim"));
        }
        let take = self.plain(takes)?;
        let taken = self.peer.take(&take.pool).await.map_err(failed)?;
        Ok(taken.ok_or(Rejection::PoolExhausted)?)
    }

    async fn spend(&self, tokens: &[ReservationToken], usage: &Spend, now: Timestamp) -> Result<Receipt> {
        match tokens {
            [token] if P::HAS_LEASES => self.peer.spend(token, usage, now).await,
            _ => Err(self.lacks("such a spend")),
        }
    }
}

pub(super) fn failed(error: impl Into<BoxError>) -> Error {
    BackendError::new("peer", "call", Effect::Unknown, error).into()
}

fn each<T>(items: usize, answer: Result<T>) -> Answers<T> {
    match answer {
        Err(error) if items != 1 => Answers::all_failed(items, &error),
        answer => Answers::from_iter([answer]),
    }
}

#[async_trait]
impl<P: Peer> KeyPackageStore for Adapted<P> {
    async fn save_key_packages(&self, save: &Save, now: Timestamp) -> Result<Vec<SaveOutcome>> {
        let packages: Vec<_> = save.packages().iter().map(|admitted| &admitted.package).collect();
        let is_plain = save.mode == SaveMode::Append && save.cap_per_ciphersuite == u32::MAX;
        let one_time = packages.iter().all(|package| package.info.role == Role::OneTime);
        if !is_plain || !(one_time || P::HAS_LAST_RESORT) {
            return Err(self.lacks("such a save"));
        }
        self.peer.save(&save.pool, &packages, now).await.map_err(failed)
    }

    async fn reserve_key_packages(
        &self,
        takes: &[TakeRequest],
        lapse: OnLapse,
        now: Timestamp,
    ) -> Answers<Reservation> {
        each(takes.len(), self.reserve(takes, lapse, now).await)
    }

    async fn claim_key_packages(
        &self,
        takes: &[TakeRequest],
        _: Option<&GroupId>,
        _: Timestamp,
    ) -> Answers<KeyPackage> {
        each(takes.len(), self.claim(takes).await)
    }

    async fn spend_key_packages(&self, tokens: &[ReservationToken], usage: &Spend, now: Timestamp) -> Answers<Receipt> {
        each(tokens.len(), self.spend(tokens, usage, now).await)
    }

    async fn release_key_packages(&self, tokens: &[ReservationToken], _: Timestamp) -> Answers<()> {
        each(tokens.len(), Err(self.lacks("a release")))
    }

    async fn renew_key_packages(&self, tokens: &[ReservationToken], _: Ttl, _: Timestamp) -> Answers<Lease> {
        each(tokens.len(), Err(self.lacks("a renewal")))
    }

    async fn get_key_package(&self, _: &PoolId, _: &KeyPackageRef, _: Timestamp) -> Result<Option<StoredKeyPackage>> {
        Err(self.lacks("a look at one package"))
    }

    async fn get_statuses(&self, _: &PoolId, _: &[KeyPackageRef], _: Timestamp) -> Result<Vec<Option<Status>>> {
        Err(self.lacks("what became of packages"))
    }

    async fn list_available(
        &self,
        _: &PoolId,
        _: Option<&Cursor>,
        _: u32,
        _: Timestamp,
    ) -> Result<Page<KeyPackageInfo>> {
        Err(self.lacks("a listing"))
    }

    async fn list_ready(&self, _: &PoolId, _: Timestamp) -> Result<Vec<ReadyKeyPackage>> {
        Err(self.lacks("a listing"))
    }

    async fn count_by_status(&self, _: &PoolId, _: Timestamp) -> Result<PoolCounts> {
        Err(self.lacks("a count"))
    }

    async fn list_pools(&self, _: Option<&Cursor>, _: u32) -> Result<Page<PoolId>> {
        Err(self.lacks("a listing"))
    }

    async fn withdraw_key_packages(
        &self,
        _: &PoolId,
        _: &Withdrawal,
        _: Timestamp,
    ) -> Result<Vec<(KeyPackageRef, WithdrawOutcome)>> {
        Err(self.lacks("a withdrawal"))
    }

    /// So that what is measured can be filled anew. It is none of what the peer offers.
    async fn delete_pool(&self, pool: &PoolId) -> Result<()> {
        self.lacks("the end of a pool");
        self.peer.clear(pool).await.map_err(failed)
    }

    async fn retire_unspent(
        &self,
        _: Timestamp,
        _: Timestamp,
        _: Option<&Cursor>,
        _: u32,
    ) -> Result<(u64, Option<Cursor>)> {
        Err(self.lacks("a restored backup"))
    }

    async fn cleanup_expired(&self, _: Timestamp, _: u32) -> Result<u64> {
        Err(self.lacks("a sweep"))
    }

    async fn release_expired_reservations(&self, _: Timestamp, _: u32) -> Result<u64> {
        Err(self.lacks("a sweep"))
    }
}

impl<P> fmt::Debug for Adapted<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adapted").finish_non_exhaustive()
    }
}
