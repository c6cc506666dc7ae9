use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use kp_core::server::SaveOutcome;
use kp_core::{KeyPackage, PoolId, Timestamp};
use parking_lot::Mutex;

use super::peer::Peer;
use crate::measure::Fallible;

type Pools = Arc<Mutex<HashMap<PoolId, Vec<KeyPackage>>>>;

/// By name: one that is opened twice is one.
static ALL: LazyLock<Mutex<HashMap<String, Pools>>> = LazyLock::new(Mutex::default);

/// What a server begins with: it pushes what is uploaded, and pops what is asked for.
pub(super) struct Map(Pools);

impl Map {
    pub(super) fn named(name: &str) -> Self {
        Self(Arc::clone(ALL.lock().entry(name.to_owned()).or_default()))
    }
}

#[async_trait]
impl Peer for Map {
    const HAS_LAST_RESORT: bool = false;

    async fn save(&self, pool: &PoolId, packages: &[&KeyPackage], _: Timestamp) -> Fallible<Vec<SaveOutcome>> {
        let mut pools = self.0.lock();
        let pool = pools.entry(pool.clone()).or_default();
        pool.extend(packages.iter().copied().cloned());
        Ok(vec![SaveOutcome::Saved; packages.len()])
    }

    async fn take(&self, pool: &PoolId) -> Fallible<Option<KeyPackage>> {
        Ok(self.0.lock().get_mut(pool).and_then(Vec::pop))
    }

    async fn clear(&self, pool: &PoolId) -> Fallible<()> {
        self.0.lock().remove(pool);
        Ok(())
    }
}
