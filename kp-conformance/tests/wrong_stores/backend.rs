use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use kp_conformance::{Check, Facets, Factory, Space};
use kp_core::OpenError;
use kp_core::moving::MovePools;
use kp_core::server::KeyPackageStore;

use crate::flaw::Flaw;
use crate::store::FlawedStore;

/// Opens stores with a flaw; they keep what they hold until their space is destroyed.
struct Backend {
    flaw: Flaw,
    stores: Mutex<HashMap<String, Arc<FlawedStore>>>,
}

impl Backend {
    fn store(&self, space: &Space) -> Arc<FlawedStore> {
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(FlawedStore::new(self.flaw, space.limits()));
        let store = stores.entry(space.name().to_owned()).or_insert_with(new);
        if Arc::strong_count(store) == 1 {
            store.reopen();
        }
        store.clone()
    }
}

#[async_trait]
impl Factory for Backend {
    fn name(&self) -> &str {
        "flawed"
    }

    fn facets(&self) -> Facets {
        Facets::NONE.handles().reopens().limits().moves()
    }

    async fn open(&self, space: &Space) -> Result<Arc<dyn KeyPackageStore>, OpenError> {
        Ok(self.store(space))
    }

    async fn open_mover(&self, space: &Space) -> Result<Arc<dyn MovePools>, OpenError> {
        Ok(self.store(space))
    }

    async fn destroy(&self, space: &Space) {
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        stores.remove(space.name());
    }
}

/// What the check has to say against a store with this flaw; `None` when it passes, or does not apply.
pub(crate) fn caught_by(check: &'static Check, flaw: Flaw) -> Option<String> {
    let stores = Mutex::default();
    let backend: Arc<dyn Factory> = Arc::new(Backend { flaw, stores });
    let applies = backend.facets().missing(check.needs()).is_none();
    applies.then(|| check.run(&backend).err()).flatten()
}
