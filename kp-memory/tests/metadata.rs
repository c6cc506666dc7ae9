//! Runs the conformance suite of metadata stores on the memory backend.

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use kp_conformance::{Facets, Factory, Space};
use kp_core::OpenError;
use kp_core::client::PoolMetadataStore;
use kp_memory::MemoryMetadata;
use parking_lot::Mutex;

/// Keeps one store for each space. Every handle on the space shares the store.
#[derive(Default)]
struct Memory {
    spaces: Mutex<HashMap<String, MemoryMetadata>>,
}

#[async_trait]
impl Factory<dyn PoolMetadataStore> for Memory {
    fn name(&self) -> &str {
        "memory"
    }

    /// Shares a store between handles. Nothing survives the last handle, and nothing leaves the process.
    fn facets(&self) -> Facets {
        Facets::NONE.handles()
    }

    async fn open(&self, space: &Space) -> Result<Arc<dyn PoolMetadataStore>, OpenError> {
        let mut spaces = self.spaces.lock();
        Ok(Arc::new(spaces.entry(space.name().to_owned()).or_default().clone()))
    }

    async fn destroy(&self, space: &Space) {
        self.spaces.lock().remove(space.name());
    }
}

fn main() -> ExitCode {
    kp_conformance::metadata_main(Memory::default())
}
