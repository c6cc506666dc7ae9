//! Runs the conformance suite of stores on the memory backend.

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use async_trait::async_trait;
use kp_conformance::{Facets, Factory, Space};
use kp_core::OpenError;
use kp_core::server::KeyPackageStore;
use kp_memory::MemoryStore;

/// The stores by the names of their spaces: a space opened twice is a second handle on one store.
static STORES: LazyLock<Mutex<HashMap<String, MemoryStore>>> = LazyLock::new(Mutex::default);

struct Memory;

#[async_trait]
impl Factory for Memory {
    fn name(&self) -> &str {
        "memory"
    }

    fn facets(&self) -> Facets {
        Facets::NONE.handles().limits()
    }

    async fn open(&self, space: &Space) -> Result<Arc<dyn KeyPackageStore>, OpenError> {
        let mut stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || MemoryStore::with_limits(space.limits());
        Ok(Arc::new(
            stores.entry(space.name().to_owned()).or_insert_with(new).clone(),
        ))
    }

    async fn destroy(&self, space: &Space) {
        let mut stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
        stores.remove(space.name());
    }
}

fn main() -> ExitCode {
    kp_conformance::main(Memory)
}
