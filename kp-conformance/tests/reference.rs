//! The suite on the reference store.

use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use kp_conformance::{Facets, Factory, ReferenceStore, Space};
use kp_core::OpenError;
use kp_core::moving::MovePools;
use kp_core::server::KeyPackageStore;

struct Reference;

#[async_trait]
impl Factory for Reference {
    fn name(&self) -> &str {
        "reference"
    }

    /// The registry of spaces keeps what was answered, within the process.
    fn facets(&self) -> Facets {
        Facets::NONE.handles().reopens().limits().moves()
    }

    async fn open(&self, space: &Space) -> Result<Arc<dyn KeyPackageStore>, OpenError> {
        Ok(Arc::new(ReferenceStore::of_space(space)))
    }

    async fn open_mover(&self, space: &Space) -> Result<Arc<dyn MovePools>, OpenError> {
        Ok(Arc::new(ReferenceStore::of_space(space)))
    }

    async fn destroy(&self, space: &Space) {
        ReferenceStore::forget_space(space);
    }
}

fn main() -> ExitCode {
    kp_conformance::main(Reference)
}
