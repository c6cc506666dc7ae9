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
    stores: Mutex<HashMap<String, FlawedStore>>,
}

impl Backend {
    fn handle(&self, space: &Space) -> FlawedStore {
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || FlawedStore::new(self.flaw, space.limits());
        stores.entry(space.name().to_owned()).or_insert_with(new).handle()
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
        Ok(Arc::new(self.handle(space)))
    }

    async fn open_mover(&self, space: &Space) -> Result<Arc<dyn MovePools>, OpenError> {
        Ok(Arc::new(self.handle(space)))
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
    applies.then(|| check.run_in_turns(&backend).err()).flatten()
}
