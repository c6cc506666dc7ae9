//! A claim and a row of the server's own, in one commit of an SQLite file, whatever happens on the way.
//!
//! `cargo run --example own_tables_sqlite`

mod story;

use std::path::PathBuf;
use std::process::ExitCode;

use keypackage_pool::server::{KeyPackageStore, TakeRequest};
use keypackage_pool::sqlite::SqliteStore;
use keypackage_pool::sqlite::rusqlite::{Connection, OptionalExtension};
use keypackage_pool::{KeyPackage, KeyPackageRef, PoolId, Timestamp};

use crate::story::{Fate, Result, Server, Step};

struct SqliteServer {
    store: SqliteStore,
    path: PathBuf,
}

impl SqliteServer {
    /// The server's tables are made with a connection of its own.
    async fn open(path: &str) -> Result<Self> {
        let store = SqliteStore::open(path).await?;
        let table = "CREATE TABLE IF NOT EXISTS welcomes (ref BLOB, pool BLOB, PRIMARY KEY (ref, pool)) STRICT";
        Connection::open(path)?.execute_batch(table)?;
        let path = path.into();
        Ok(Self { store, path })
    }
}

impl Server for SqliteServer {
    fn store(&self) -> &impl KeyPackageStore {
        &self.store
    }

    async fn claim(&mut self, take: TakeRequest, now: Timestamp, fate: Fate) -> Result<KeyPackage> {
        let claimed = self.store.within(move |within| -> Result<_> {
            fate.meet(Step::Begun)?;
            let pool = take.pool.clone();
            let claimed = within.claim_key_packages(&[take], None, now)?.only();
            fate.meet(Step::Claimed)?;
            if let Ok(package) = &claimed {
                // Who asks again gets the same KeyPackage, whose row is there.
                let insert = "INSERT INTO welcomes (ref, pool) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
                let row = (package.info.key_package_ref.as_bytes(), pool.as_bytes());
                within.connection().execute(insert, row)?;
            }
            fate.meet(Step::Written)?;
            Ok(claimed)
        });
        let claimed = claimed.await?;
        // Only now may anybody learn of it, of a refusal too.
        fate.meet(Step::Committed)?;
        Ok(claimed?)
    }

    async fn addressee(&self, named: &KeyPackageRef) -> Result<Option<PoolId>> {
        let select = "SELECT pool FROM welcomes WHERE ref = ?1";
        let file = Connection::open(&self.path)?;
        let found = file.query_row(select, [named.as_bytes()], |row| row.get::<_, Vec<u8>>(0));
        Ok(found.optional()?.map(PoolId::try_from).transpose()?)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let Ok(dir) = tempfile::tempdir() else {
        return ExitCode::FAILURE;
    };
    let path = dir.path().join("server.db");
    story::run(&path.to_string_lossy(), SqliteServer::open).await
}
