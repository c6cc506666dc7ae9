use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use kp_core::server::TakeRequest;
use kp_core::{KeyPackage, KeyPackageRef, PoolId, ReservationId, Timestamp};

use crate::measure::Fallible;
use crate::measure::inputs::{self, Kind, NOW, PER_POOL};

/// Pools under one lock: the oldest package is reserved, remembered by the id that took it, and then spent, remembered
/// by its ref.
pub(crate) struct MemoryFloor(Mutex<HashMap<PoolId, Pool>>);

#[derive(Default)]
struct Pool {
    free: VecDeque<KeyPackage>,
    reserved: HashMap<ReservationId, (KeyPackage, Timestamp)>,
    spent: HashMap<KeyPackageRef, (ReservationId, Timestamp)>,
}

impl MemoryFloor {
    pub(crate) fn fill(pools: u32, kind: Kind) -> Fallible<Self> {
        let pools = (0..pools).map(|pool| {
            let packages = (0..PER_POOL).map(|number| inputs::package(pool, number, kind));
            let full = Pool {
                free: packages.collect::<Fallible<_>>()?,
                ..Pool::default()
            };
            Ok((inputs::pool_id(pool)?, full))
        });
        Ok(Self(Mutex::new(pools.collect::<Fallible<_>>()?)))
    }

    pub(crate) fn reserve(&self, take: &TakeRequest) -> Option<KeyPackage> {
        let mut pools = self.0.lock().ok()?;
        let pool = pools.get_mut(&take.pool)?;
        let package = pool.free.pop_front()?;
        pool.reserved.insert(take.id, (package.clone(), NOW.after(take.ttl)));
        Some(package)
    }

    pub(crate) fn spend(&self, pool: &PoolId, id: ReservationId) -> Option<Timestamp> {
        let mut pools = self.0.lock().ok()?;
        let pool = pools.get_mut(pool)?;
        let (package, _) = pool.reserved.remove(&id).filter(|(_, expires_at)| NOW < *expires_at)?;
        pool.spent.insert(package.info.key_package_ref, (id, NOW));
        Some(NOW)
    }
}
