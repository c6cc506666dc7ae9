use kp_core::server::{Answers, Lease, Receipt, ReservationToken, Spend};
use kp_core::{Result, Ttl};

use crate::directory::{Inner, KeyPackageDirectory};
use crate::observe::observe;

impl KeyPackageDirectory {
    /// Spends reservations; an answer for each token, in order. Deliver the Commit and its Welcome only *after* the
    /// receipts.
    ///
    /// # Errors
    ///
    /// For each token as [`spend_one`](Self::spend_one).
    pub async fn spend(&self, tokens: &[ReservationToken], spend: &Spend) -> Answers<Receipt> {
        observe("spend", async {
            match self.0.config.bounded(tokens) {
                Ok(()) => self.0.store.spend_key_packages(tokens, spend, self.now()).await,
                Err(refused) => Answers::all_failed(tokens.len(), &refused.into()),
            }
        })
        .await
    }

    /// Spends one reservation, by its lease or token. Deliver the Commit and its Welcome only *after* the receipt.
    ///
    /// # Errors
    ///
    /// [`Rejection::NoLiveReservation`](kp_core::Rejection::NoLiveReservation) and the other refusals of
    /// [`spend_key_packages`](kp_core::server::KeyPackageStore::spend_key_packages), or a failure of the store.
    pub async fn spend_one(&self, lease: impl AsRef<ReservationToken> + Send, spend: &Spend) -> Result<Receipt> {
        let token = lease.as_ref().clone();
        self.spend(&[token], spend).await.only()
    }

    /// Gives reservations back whose KeyPackages were shown to nobody; an answer for each token, in order.
    ///
    /// # Errors
    ///
    /// For each token as [`release_one`](Self::release_one).
    pub async fn release(&self, tokens: &[ReservationToken]) -> Answers<()> {
        observe("release", async {
            match self.0.config.bounded(tokens) {
                Ok(()) => self.0.store.release_key_packages(tokens, self.now()).await,
                Err(refused) => Answers::all_failed(tokens.len(), &refused.into()),
            }
        })
        .await
    }

    /// Gives one reservation back, by its lease or token. The KeyPackage must have been shown to nobody.
    ///
    /// # Errors
    ///
    /// [`Rejection::NoLiveReservation`](kp_core::Rejection::NoLiveReservation) and the other refusals of
    /// [`release_key_packages`](kp_core::server::KeyPackageStore::release_key_packages), or a failure of the store.
    pub async fn release_one(&self, lease: impl AsRef<ReservationToken> + Send) -> Result<()> {
        let token = lease.as_ref().clone();
        self.release(&[token]).await.only()
    }

    /// Makes reservations longer, for an add that takes its time; an answer for each token, in order.
    ///
    /// A lease then ends `ttl` from now, and never earlier than before: `None` is the directory's
    /// [`lease_ttl`](crate::DirectoryBuilder::lease_ttl). It does not outlast the KeyPackage's `not_after`. A lease may be
    /// renewed as often as its holder wants; it goes on counting for the holder's limit.
    ///
    /// # Errors
    ///
    /// For each token as [`renew_one`](Self::renew_one).
    pub async fn renew(&self, tokens: &[ReservationToken], ttl: Option<Ttl>) -> Answers<Lease> {
        observe("renew", async {
            let Inner { store, config, .. } = &*self.0;
            match config.bounded(tokens) {
                Ok(()) => {
                    let ttl = ttl.unwrap_or(config.lease_ttl);
                    store.renew_key_packages(tokens, ttl, self.now()).await
                }
                Err(refused) => Answers::all_failed(tokens.len(), &refused.into()),
            }
        })
        .await
    }

    /// Makes one reservation longer, by its lease or token: see [`renew`](Self::renew).
    ///
    /// # Errors
    ///
    /// [`Rejection::NoLiveReservation`](kp_core::Rejection::NoLiveReservation) and the other refusals of
    /// [`renew_key_packages`](kp_core::server::KeyPackageStore::renew_key_packages), or a failure of the store.
    pub async fn renew_one(&self, lease: impl AsRef<ReservationToken> + Send, ttl: Option<Ttl>) -> Result<Lease> {
        let token = lease.as_ref().clone();
        self.renew(&[token], ttl).await.only()
    }
}
