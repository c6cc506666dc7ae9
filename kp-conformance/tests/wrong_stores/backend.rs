use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use kp_conformance::{Check, Facets, Factory, Outage, Space};
use kp_core::OpenError;
use kp_core::moving::MovePools;
use kp_core::server::KeyPackageStore;

use crate::engine::{Connected, Engine};
use crate::flaw::Flaw;
use crate::store::FlawedStore;

/// Opens stores with a flaw; they keep what they hold until their space is destroyed.
pub(crate) struct Backend {
    flaw: Flaw,
    stores: Mutex<HashMap<String, FlawedStore>>,
    /// Of the spaces that are apart.
    engines: Mutex<HashMap<String, Arc<Engine>>>,
}

const OUTAGES: &[Outage] = &[
    Outage::Cut,
    Outage::Killed,
    Outage::Hung,
    Outage::ReadOnly,
    Outage::Full,
    Outage::CommitFails,
];

impl Backend {
    pub(crate) fn of(flaw: Flaw) -> Self {
        Self {
            flaw,
            stores: Mutex::default(),
            engines: Mutex::default(),
        }
    }

    fn handle(&self, space: &Space) -> FlawedStore {
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || FlawedStore::new(self.flaw, space.limits());
        stores.entry(space.name().to_owned()).or_insert_with(new).handle()
    }

    fn engine(&self, space: &Space) -> Arc<Engine> {
        let mut engines = self.engines.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Engine::new(self.handle(space), self.flaw.mishap));
        Arc::clone(engines.entry(space.name().to_owned()).or_insert_with(new))
    }
}

#[async_trait]
impl Factory for Backend {
    fn name(&self) -> &str {
        "flawed"
    }

    fn facets(&self) -> Facets {
        Facets::NONE.handles().reopens().limits().moves().outages(OUTAGES)
    }

    async fn open(&self, space: &Space) -> Result<Arc<dyn KeyPackageStore>, OpenError> {
        if space.is_apart() {
            return Ok(Arc::new(Connected::to(&self.engine(space))));
        }
        Ok(Arc::new(self.handle(space)))
    }

    async fn disturb(&self, space: &Space, outage: Outage) {
        self.engine(space).disturb(outage);
    }

    async fn mend(&self, space: &Space, _outage: Outage) {
        self.engine(space).mend();
    }

    async fn open_mover(&self, space: &Space) -> Result<Arc<dyn MovePools>, OpenError> {
        Ok(Arc::new(self.handle(space)))
    }

    async fn destroy(&self, space: &Space) {
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        stores.remove(space.name());
        let mut engines = self.engines.lock().unwrap_or_else(PoisonError::into_inner);
        engines.remove(space.name());
    }
}

/// What the check has to say against a store with this flaw; `None` when it passes, or does not apply.
pub(crate) fn caught_by(check: &'static Check, flaw: Flaw) -> Option<String> {
    let backend: Arc<dyn Factory> = Arc::new(Backend::of(flaw));
    let applies = backend.facets().missing(check.needs()).is_none();
    applies.then(|| check.run_in_turns(&backend).err()).flatten()
}
