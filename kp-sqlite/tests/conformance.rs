//! Every rule, by the conformance suite.

use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use kp_conformance::{Facets, Factory, Space};
use kp_core::{KeyPackageStore, OpenError};
use kp_sqlite::SqliteStore;

struct Sqlite;

#[async_trait]
impl Factory for Sqlite {
    fn name(&self) -> &str {
        "sqlite"
    }

    fn facets(&self) -> Facets {
        Facets {
            handles: true,
            reopens: true,
            processes: true,
        }
    }

    async fn open(&self, space: &Space) -> Result<Arc<dyn KeyPackageStore>, OpenError> {
        Ok(Arc::new(SqliteStore::open(space.dir().join("pools.db")).await?))
    }

    async fn destroy(&self, _: &Space) {
        // The file goes with the space's directory.
    }
}

fn main() -> ExitCode {
    kp_conformance::main(Sqlite)
}
