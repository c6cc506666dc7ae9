//! Every rule, by the conformance suite; and after every check, what the rows say of themselves.

mod suite;

use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use kp_conformance::{Facets, Factory, Space};
use kp_core::OpenError;
use kp_core::server::KeyPackageStore;
use kp_sqlite::SqliteStore;

use crate::suite::{FACETS, check_rows, file};

struct Sqlite;

#[async_trait]
impl Factory for Sqlite {
    fn name(&self) -> &str {
        "sqlite"
    }

    fn facets(&self) -> Facets {
        FACETS
    }

    async fn open(&self, space: &Space) -> Result<Arc<dyn KeyPackageStore>, OpenError> {
        let store = SqliteStore::builder(file(space)).limits(space.limits());
        Ok(Arc::new(store.open().await?))
    }

    /// The file goes with the space's directory.
    async fn destroy(&self, space: &Space) {
        check_rows(&file(space));
    }
}

fn main() -> ExitCode {
    kp_conformance::main(Sqlite)
}
