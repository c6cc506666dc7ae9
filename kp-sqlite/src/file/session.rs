use std::fmt;

use rusqlite::{Connection, Params, Row, Statement};

use crate::sql::Sql;

/// A connection at work: its statements, and what its thread keeps of the file between two transactions.
#[derive(Debug)]
pub(crate) struct Session<'c, C> {
    pub(crate) statements: Statements<'c>,
    pub(crate) cache: C,
    /// The version of the file that the cache is of: SQLite's `data_version`.
    version: i64,
}

/// What a thread keeps of the file between two transactions.
pub(crate) trait Cache: Default {
    /// Forgets all of it.
    fn clear(&mut self);
}

/// Nothing is kept.
impl Cache for () {
    fn clear(&mut self) {}
}

impl<'c, C: Cache> Session<'c, C> {
    pub(crate) fn new(connection: &'c Connection) -> Self {
        Self {
            statements: Statements::new(connection),
            cache: C::default(),
            version: 0,
        }
    }

    /// Clears the cache if another connection has committed. To be called inside a transaction.
    pub(crate) fn revalidate(&mut self) -> rusqlite::Result<()> {
        let version = self.statements.one(Sql::DataVersion, [], |row| row.get(0))?;
        if version != self.version {
            self.cache.clear();
            self.version = version;
        }
        Ok(())
    }
}

/// The statements of one connection, each prepared when it is first used, and kept.
pub(crate) struct Statements<'c> {
    connection: &'c Connection,
    prepared: [Option<Statement<'c>>; Sql::ALL.len()],
}

impl fmt::Debug for Statements<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statements").finish_non_exhaustive()
    }
}

impl<'c> Statements<'c> {
    pub(crate) fn new(connection: &'c Connection) -> Self {
        Self {
            connection,
            prepared: [const { None }; Sql::ALL.len()],
        }
    }

    pub(crate) fn connection(&self) -> &'c Connection {
        self.connection
    }

    /// The statement, ready to run.
    pub(crate) fn get(&mut self, sql: Sql) -> rusqlite::Result<&mut Statement<'c>> {
        Ok(match &mut self.prepared[sql as usize] {
            Some(statement) => statement,
            empty => empty.insert(self.connection.prepare(sql.text())?),
        })
    }

    /// Runs it; says how many rows it changed.
    pub(crate) fn execute(&mut self, sql: Sql, params: impl Params) -> rusqlite::Result<usize> {
        self.get(sql)?.execute(params)
    }

    /// Runs it, for its only row.
    pub(crate) fn one<T>(
        &mut self,
        sql: Sql,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.get(sql)?.query_row(params, read)
    }

    /// Runs it, for all its rows.
    pub(crate) fn all<T>(
        &mut self,
        sql: Sql,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        self.get(sql)?.query_map(params, read)?.collect()
    }
}
