use kp_core::OpenError;
use rusqlite::{Connection, TransactionBehavior};

use crate::connection::refused;

/// What this crate did to its tables, release by release. Append only: a migration that was released never changes.
const MIGRATIONS: &[&str] = &[include_str!("migrations/0001_pools.sql")];

/// The newest schema that this release knows.
const KNOWN: u32 = MIGRATIONS.len() as u32;

/// The schema of the file: 0 where it holds no pools yet. Changes nothing, so that it can be asked first.
pub(crate) fn schema(connection: &Connection) -> Result<u32, OpenError> {
    let exists: bool = connection
        .query_row(include_str!("sql/schema_table.sql"), [], |row| row.get(0))
        .map_err(refused)?;
    let found: Option<u32> = if exists {
        connection
            .query_row(include_str!("sql/schema_version.sql"), [], |row| row.get(0))
            .map_err(refused)?
    } else {
        None
    };
    match found {
        Some(found) if found > KNOWN => Err(OpenError::NewerSchema { found, known: KNOWN }),
        found => Ok(found.unwrap_or(0)),
    }
}

/// Brings the tables up to date: one transaction for each migration, with its number.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), OpenError> {
    while schema(connection)? < KNOWN {
        let step = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(refused)?;
        // Another process may have been quicker.
        let done = schema(&step)?;
        if let Some(migration) = MIGRATIONS.get(done as usize) {
            step.execute_batch(include_str!("sql/schema_create.sql"))
                .map_err(refused)?;
            step.execute_batch(migration).map_err(refused)?;
            step.execute(include_str!("sql/schema_insert.sql"), [done + 1])
                .map_err(refused)?;
        }
        step.commit().map_err(refused)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_run_once_and_leave_other_tables_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE packages (a); INSERT INTO packages VALUES (1); PRAGMA user_version = 7;")
            .unwrap();
        assert_eq!(schema(&connection).unwrap(), 0);
        migrate(&mut connection).unwrap();
        migrate(&mut connection).unwrap();
        assert_eq!(schema(&connection).unwrap(), KNOWN);
        let kept: (i64, i64) = connection
            .query_row(
                "SELECT a, (SELECT user_version FROM pragma_user_version) FROM packages",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap();
        assert_eq!(kept, (1, 7));
    }

    #[test]
    fn a_migration_that_fails_leaves_no_trace() {
        let mut connection = Connection::open_in_memory().unwrap();
        // Somebody else's table of the same name: the migration cannot succeed.
        connection
            .execute_batch("CREATE TABLE keypackage_pool_bytes (a)")
            .unwrap();
        migrate(&mut connection).unwrap_err();
        let tables: i64 = connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .unwrap();
        assert_eq!((tables, schema(&connection).unwrap()), (1, 0));
    }
}
