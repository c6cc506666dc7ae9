//! The suite of a client's metadata on SQLite.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use kp_conformance::{Facets, Factory, Space};
use kp_core::OpenError;
use kp_core::client::PoolMetadataStore;
use kp_sqlite::SqliteMetadata;
use rusqlite::Connection;

struct Sqlite;

fn file(space: &Space) -> PathBuf {
    space.dir().join("client.db")
}

#[async_trait]
impl Factory<dyn PoolMetadataStore> for Sqlite {
    fn name(&self) -> &str {
        "sqlite"
    }

    fn facets(&self) -> Facets {
        Facets::NONE.handles().reopens().processes()
    }

    async fn open(&self, space: &Space) -> Result<Arc<dyn PoolMetadataStore>, OpenError> {
        Ok(Arc::new(SqliteMetadata::open(file(space)).await?))
    }

    async fn destroy(&self, _space: &Space) {}

    /// All pages of the file, those that are still in the write-ahead log too.
    async fn bytes(&self, space: &Space) -> Option<u64> {
        let connection = Connection::open(file(space)).ok()?;
        let pages = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
        let bytes: i64 = connection.query_row(pages, [], |row| row.get(0)).ok()?;
        u64::try_from(bytes).ok()
    }
}

fn main() -> ExitCode {
    kp_conformance::metadata_main(Sqlite)
}
