use kp_core::OpenError;
use rusqlite::{Connection, TransactionBehavior};

use crate::file::error::Failure;

/// A set of tables, with one migration for each version of their schema. A file holds the sets that it was opened for.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) name: &'static str,
    /// The migrations in order. A released migration never changes.
    pub(crate) migrations: &'static [&'static str],
}

/// The tables of a server's pools.
pub(crate) static POOLS: Tables = Tables {
    name: "pools",
    migrations: &[
        include_str!("../sql/migrations/0001_pools.sql"),
        include_str!("../sql/migrations/0002_pools.sql"),
    ],
};

/// The tables of a client's metadata.
pub(crate) static METADATA: Tables = Tables {
    name: "metadata",
    migrations: &[
        include_str!("../sql/migrations/0001_metadata.sql"),
        include_str!("../sql/migrations/0002_metadata.sql"),
        include_str!("../sql/migrations/0003_metadata.sql"),
    ],
};

/// An index or a trigger.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Made {
    kind: String,
    name: String,
    sql: String,
}

impl Made {
    fn all(connection: &Connection) -> rusqlite::Result<Vec<Self>> {
        let mut all = connection.prepare(include_str!("../sql/schema_made.sql"))?;
        let all = all.query_map([], |row| {
            Ok(Self {
                kind: row.get(0)?,
                name: row.get(1)?,
                sql: row.get(2)?,
            })
        })?;
        all.collect()
    }

    /// Makes it anew, also in place of another of its name.
    pub(crate) fn make(&self, connection: &Connection) -> rusqlite::Result<()> {
        let Self { kind, name, sql } = self;
        connection.execute_batch(&format!("DROP {kind} IF EXISTS {name}; {sql}"))
    }
}

impl Tables {
    /// Returns the newest version that this release knows.
    pub(crate) const fn known(&self) -> u32 {
        self.migrations.len() as u32
    }

    /// Reads the version of the tables in the file, without a change to the file. 0: the file has no such tables.
    pub(crate) fn schema(&self, connection: &Connection) -> Result<u32, Failure> {
        let exists: bool = connection.query_row(include_str!("../sql/schema_table.sql"), [], |row| row.get(0))?;
        let found: Option<u32> = if exists {
            connection.query_row(include_str!("../sql/schema_version.sql"), [self.name], |row| row.get(0))?
        } else if is_taken(connection, "keypackage_pool_schema")? {
            return Err(not_ours("keypackage_pool_schema"));
        } else {
            None
        };
        match found {
            Some(found) if found > self.known() => Err(OpenError::NewerSchema {
                found,
                known: self.known(),
            }
            .into()),
            found => Ok(found.unwrap_or(0)),
        }
    }

    /// Reads the version in one snapshot: another process may make the tables just now.
    fn look(&self, connection: &mut Connection) -> Result<u32, Failure> {
        let look = connection.transaction()?;
        self.schema(&look)
    }

    /// Makes these tables in memory.
    fn made(&self) -> Result<Connection, Failure> {
        let ours = Connection::open_in_memory()?;
        for migration in self.migrations {
            ours.execute_batch(migration)?;
        }
        Ok(ours)
    }

    /// Returns the indexes and triggers of these tables that the file has not, or has otherwise.
    pub(crate) fn missing(&self, connection: &Connection) -> Result<Vec<Made>, Failure> {
        let there = Made::all(connection)?;
        let mut missing = Made::all(&self.made()?)?;
        missing.retain(|made| !there.contains(made));
        Ok(missing)
    }

    /// Returns the names of these tables and indexes.
    pub(crate) fn names(&self) -> Result<Vec<String>, Failure> {
        let ours = self.made()?;
        let mut names = ours.prepare(include_str!("../sql/schema_names.sql"))?;
        let names = names.query_map([], |row| row.get(0))?;
        Ok(names.collect::<rusqlite::Result<_>>()?)
    }

    /// Runs the missing migrations, each in a transaction of its own.
    pub(crate) fn migrate(&self, connection: &mut Connection) -> Result<(), Failure> {
        // Bounded: in a damaged file, a version that was recorded may not be found again.
        for _ in 0..self.known() {
            if self.look(connection)? >= self.known() {
                return Ok(());
            }
            let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            // Another process may have run this migration meanwhile.
            let done = self.schema(&step)?;
            if let Some(migration) = self.migrations.get(done as usize) {
                step.execute_batch(include_str!("../sql/schema_create.sql"))?;
                step.execute_batch(migration)?;
                step.execute(include_str!("../sql/schema_insert.sql"), (self.name, done + 1))?;
            }
            step.commit()?;
        }
        match self.look(connection)? {
            found if found >= self.known() => Ok(()),
            _ => Err(OpenError::NotADatabase("its table of migrations is damaged".into()).into()),
        }
    }
}

/// Refuses a file in which somebody else has given one of our names to something.
pub(crate) fn check_names(connection: &Connection, ours: &[String]) -> Result<(), Failure> {
    for name in ours {
        if is_taken(connection, name)? {
            return Err(not_ours(name));
        }
    }
    Ok(())
}

fn is_taken(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    connection.query_row(include_str!("../sql/schema_taken.sql"), [name], |row| row.get(0))
}

pub(crate) fn not_ours(name: &str) -> Failure {
    OpenError::NotADatabase(format!("it has something else of the name {name}")).into()
}
