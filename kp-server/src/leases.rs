use kp_core::Result;
use kp_core::server::{Answers, Receipt, ReservationToken, Spend};

use crate::directory::KeyPackageDirectory;
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
}
