use std::slice::from_ref;

use crate::server::answers::no_answer;
use crate::server::{
    Admitted, KeyPackageStore, Lease, OnLapse, Receipt, Reservation, ReservationToken, Save, SaveOutcome, Spend,
    TakeRequest,
};
use crate::{GroupId, KeyPackage, PoolId, Result, Timestamp, Ttl};

/// Adds the calls for one package to every [`KeyPackageStore`]: nothing to implement.
pub trait KeyPackageStoreExt: KeyPackageStore {
    /// Stores one package, appended without a cap: see [`KeyPackageStore::save_key_packages`].
    ///
    /// # Errors
    ///
    /// Only failures of the backend. A package that the rules refuse has an outcome.
    fn save_key_package(
        &self,
        pool: &PoolId,
        package: impl Into<Admitted>,
        now: Timestamp,
    ) -> impl Future<Output = Result<SaveOutcome>> + Send {
        let save = Save::one(pool.clone(), package);
        async move { self.save_key_packages(&save, now).await?.pop().ok_or_else(no_answer) }
    }

    /// Leases one package: see [`KeyPackageStore::reserve_key_packages`].
    ///
    /// # Errors
    ///
    /// The [`Rejection`](crate::Rejection), or a failure of the backend.
    fn reserve_key_package(
        &self,
        take: &TakeRequest,
        lapse: OnLapse,
        now: Timestamp,
    ) -> impl Future<Output = Result<Reservation>> + Send {
        async move { self.reserve_key_packages(from_ref(take), lapse, now).await.only() }
    }

    /// Hands one package out for good: see [`KeyPackageStore::claim_key_packages`].
    ///
    /// # Errors
    ///
    /// The [`Rejection`](crate::Rejection), or a failure of the backend.
    fn claim_key_package(
        &self,
        take: &TakeRequest,
        group: Option<&GroupId>,
        now: Timestamp,
    ) -> impl Future<Output = Result<KeyPackage>> + Send {
        async move { self.claim_key_packages(from_ref(take), group, now).await.only() }
    }

    /// Spends one reservation: see [`KeyPackageStore::spend_key_packages`].
    ///
    /// # Errors
    ///
    /// The [`Rejection`](crate::Rejection), or a failure of the backend.
    fn spend_key_package(
        &self,
        token: &ReservationToken,
        usage: &Spend,
        now: Timestamp,
    ) -> impl Future<Output = Result<Receipt>> + Send {
        async move { self.spend_key_packages(from_ref(token), usage, now).await.only() }
    }

    /// Gives one reservation back: see [`KeyPackageStore::release_key_packages`].
    ///
    /// # Errors
    ///
    /// The [`Rejection`](crate::Rejection), or a failure of the backend.
    fn release_key_package(&self, token: &ReservationToken, now: Timestamp) -> impl Future<Output = Result<()>> + Send {
        async move { self.release_key_packages(from_ref(token), now).await.only() }
    }

    /// Makes one reservation longer: see [`KeyPackageStore::renew_key_packages`].
    ///
    /// # Errors
    ///
    /// The [`Rejection`](crate::Rejection), or a failure of the backend.
    fn renew_key_package(
        &self,
        token: &ReservationToken,
        ttl: Ttl,
        now: Timestamp,
    ) -> impl Future<Output = Result<Lease>> + Send {
        async move { self.renew_key_packages(from_ref(token), ttl, now).await.only() }
    }
}

impl<S: KeyPackageStore + ?Sized> KeyPackageStoreExt for S {}
