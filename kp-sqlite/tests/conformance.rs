//! Every rule, by the conformance suite; and after every check, what the rows say of themselves.

mod suite;

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use kp_conformance::{Facets, Factory, Outage, Space};
use kp_core::OpenError;
use kp_core::moving::MovePools;
use kp_core::server::KeyPackageStore;
use kp_sqlite::SqliteStore;
use rusqlite::Connection;

use crate::suite::{FACETS, check_rows, file};

/// How long a call may take. Where the engine is disturbed, calls wait in vain; elsewhere a machine that is starved is no failure.
const SHORT: Duration = Duration::from_millis(500);
const LONG: Duration = Duration::from_secs(60);

async fn store(space: &Space) -> Result<SqliteStore, OpenError> {
    let timeout = if space.is_apart() { SHORT } else { LONG };
    let store = SqliteStore::builder(file(space)).limits(space.limits());
    store.timeout(timeout).open().await
}

/// A file for each space. Of those that are hung, a connection that writes, by name.
#[derive(Default)]
struct Sqlite(Mutex<HashMap<String, Connection>>);

/// The tables that a change may write to.
const TABLES: [&str; 3] = ["keypackage_pools", "keypackage_pool_packages", "keypackage_pool_leases"];

/// Has each change of a row do this, too.
fn on_each_change(rows: &Connection, statement: &str) {
    for table in TABLES {
        for change in ["INSERT", "UPDATE", "DELETE"] {
            let trigger =
                format!("CREATE TRIGGER outage_{table}_{change} BEFORE {change} ON {table} BEGIN {statement}; END");
            rows.execute_batch(&trigger).expect("a trigger is made");
        }
    }
}

#[async_trait]
impl Factory for Sqlite {
    fn name(&self) -> &str {
        "sqlite"
    }

    fn facets(&self) -> Facets {
        FACETS
            .moves()
            .outages(&[Outage::Hung, Outage::Full, Outage::CommitFails])
    }

    async fn open(&self, space: &Space) -> Result<Arc<dyn KeyPackageStore>, OpenError> {
        Ok(Arc::new(store(space).await?))
    }

    async fn open_mover(&self, space: &Space) -> Result<Arc<dyn MovePools>, OpenError> {
        Ok(Arc::new(store(space).await?))
    }

    /// What a disk without room answers to a write, a trigger answers. A commit fails for a row that refers to none.
    async fn disturb(&self, space: &Space, outage: Outage) {
        let rows = Connection::open(file(space)).expect("the file can be opened");
        match outage {
            Outage::Full => on_each_change(&rows, "SELECT RAISE(ABORT, 'there is no room')"),
            Outage::CommitFails => {
                let table = "CREATE TABLE outage (row INTEGER REFERENCES outage (rowid) DEFERRABLE INITIALLY DEFERRED)";
                rows.execute_batch(table).expect("a table is made");
                on_each_change(&rows, "INSERT INTO outage VALUES (-1)");
            }
            _ => {
                rows.execute_batch("BEGIN IMMEDIATE").expect("nobody writes for long");
                self.0
                    .lock()
                    .expect("no check panics with it")
                    .insert(space.name().to_owned(), rows);
            }
        }
    }

    async fn mend(&self, space: &Space, outage: Outage) {
        if outage == Outage::Hung {
            self.0.lock().expect("no check panics with it").remove(space.name());
            return;
        }
        let rows = Connection::open(file(space)).expect("the file can be opened");
        for table in TABLES {
            for change in ["INSERT", "UPDATE", "DELETE"] {
                let trigger = format!("DROP TRIGGER outage_{table}_{change}");
                rows.execute_batch(&trigger).expect("the trigger is there");
            }
        }
        rows.execute_batch("DROP TABLE IF EXISTS outage")
            .expect("the table can go");
    }

    /// The file goes with the space's directory.
    async fn destroy(&self, space: &Space) {
        check_rows(&file(space)).await;
    }
}

fn main() -> ExitCode {
    kp_conformance::main(Sqlite::default())
}
