use async_trait::async_trait;
use kp_core::server::{Receipt, ReservationToken, SaveOutcome, Spend};
use kp_core::{KeyPackage, PoolId, Timestamp, Ttl};

use crate::measure::Fallible;

/// What such a server can do, in its own terms. It has either [`take`](Self::take), or [`reserve`](Self::reserve) and
/// [`spend`](Self::spend).
#[async_trait]
pub(crate) trait Peer: Send + Sync + 'static {
    /// Whether it keeps last-resort packages.
    const HAS_LAST_RESORT: bool;
    const HAS_LEASES: bool = false;

    async fn save(&self, pool: &PoolId, packages: &[&KeyPackage], now: Timestamp) -> Fallible<Vec<SaveOutcome>>;

    /// Hands out a package for good; none when it finds none.
    async fn take(&self, _pool: &PoolId) -> Fallible<Option<KeyPackage>> {
        Err("it has reserve and spend".into())
    }

    async fn reserve(&self, _pool: &PoolId, _ttl: Ttl, _now: Timestamp) -> Fallible<Option<(KeyPackage, Timestamp)>> {
        Err("it has no leases".into())
    }

    /// Uses a package that is reserved.
    async fn spend(&self, _token: &ReservationToken, _usage: &Spend, _now: Timestamp) -> kp_core::Result<Receipt> {
        Err(super::adapted::failed("it has no leases"))
    }

    /// Removes a pool, so that it can be filled anew.
    async fn clear(&self, pool: &PoolId) -> Fallible<()>;
}
