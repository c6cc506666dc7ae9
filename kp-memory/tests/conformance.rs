//! Runs the conformance suite of stores on the memory backend.

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use async_trait::async_trait;
use kp_conformance::{Facets, Factory, Space};
use kp_core::OpenError;
use kp_core::moving::MovePools;
use kp_core::server::KeyPackageStore;
use kp_memory::MemoryStore;

/// The stores by the names of their spaces: a space opened twice is a second handle on one store.
static STORES: LazyLock<Mutex<HashMap<String, MemoryStore>>> = LazyLock::new(Mutex::default);

fn store(space: &Space) -> MemoryStore {
    let mut stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
    let new = || MemoryStore::with_limits(space.limits());
    stores.entry(space.name().to_owned()).or_insert_with(new).clone()
}

struct Memory;

#[async_trait]
impl Factory for Memory {
    fn name(&self) -> &str {
        "memory"
    }

    fn facets(&self) -> Facets {
        Facets::NONE.handles().limits().moves()
    }

    async fn open(&self, space: &Space) -> Result<Arc<dyn KeyPackageStore>, OpenError> {
        Ok(Arc::new(store(space)))
    }

    async fn open_mover(&self, space: &Space) -> Result<Arc<dyn MovePools>, OpenError> {
        Ok(Arc::new(store(space)))
    }

    async fn destroy(&self, space: &Space) {
        let mut stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
        stores.remove(space.name());
    }
}

fn main() -> ExitCode {
    kp_conformance::main(Memory)
}
