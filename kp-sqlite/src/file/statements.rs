use std::fmt;

use rusqlite::{Connection, Params, Row, Statement};

use crate::pools::cache::Known;
use crate::sql::Sql;

/// The statements of one connection, each prepared when it is first used, and kept.
pub(crate) struct Statements<'c> {
    connection: &'c Connection,
    prepared: [Option<Statement<'c>>; Sql::ALL.len()],
    /// What the writer knows without asking.
    pub(crate) known: Known,
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
            known: Known::default(),
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
