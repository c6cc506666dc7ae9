use std::fmt;

use rusqlite::{Connection, Params, Row, Statement};

use crate::known::Known;

/// Every statement there is: one file each, in `src/sql`.
macro_rules! statements {
    ($($name:ident = $file:literal,)*) => {
        /// Names a statement.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Sql { $($name,)* }

        impl Sql {
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];

            /// The text of its file.
            pub(crate) const fn text(self) -> &'static str {
                match self { $(Self::$name => include_str!(concat!("sql/", $file, ".sql")),)* }
            }
        }
    };
}

statements! {
    Begin = "begin",
    BeginRead = "begin_read",
    Commit = "commit",
    Rollback = "rollback",
    DataVersion = "data_version",
    Pool = "pool",
    PoolInsert = "pool_insert",
    PoolUpdate = "pool_update",
    PoolDelete = "pool_delete",
    PoolDeletePackages = "pool_delete_packages",
    PoolsAfter = "pools_after",
    PoolsToSettle = "pools_to_settle",
    PoolsToSweep = "pools_to_sweep",
    SweepPackages = "sweep_packages",
    FirstExpiry = "first_expiry",
    ByRef = "by_ref",
    ById = "by_id",
    Queue = "queue",
    FreeUnexpired = "free_unexpired",
    Slots = "slots",
    Unspent = "unspent",
    Ended = "ended",
    NextEnd = "next_end",
    CountHeld = "count_held",
    CountHeldUnexpired = "count_held_unexpired",
    CountUnexpired = "count_unexpired",
    CountTakenBy = "count_taken_by",
    LastKey = "last_key",
    Bytes = "bytes",
    PackageInsert = "package_insert",
    PackageUpdate = "package_update",
    PackageDelete = "package_delete",
    LeaseStore = "lease_store",
    LeaseDelete = "lease_delete",
    Records = "records",
    Available = "available",
    MetadataCredential = "metadata_credential",
    MetadataInsert = "metadata_insert",
    MetadataUpdate = "metadata_update",
    MetadataGet = "metadata_get",
    MetadataList = "metadata_list",
    MetadataDelete = "metadata_delete",
}

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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rusqlite::StatementStatus;

    use super::*;
    use crate::migrations::{METADATA, POOLS};
    use crate::queue::STRETCH;

    #[test]
    fn every_file_is_a_statement() {
        let named: BTreeSet<_> = Sql::ALL.iter().map(|sql| sql.text()).collect();
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/sql");
        let mut unnamed = Vec::new();
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.starts_with("-- "), "{path:?} says what it is for");
            if !named.contains(text.as_str()) {
                unnamed.push(path.file_name().unwrap().to_str().unwrap().to_owned());
            }
        }
        // The schema's own are used while a file is opened, the origin's on its own tables.
        assert!(
            unnamed
                .iter()
                .all(|name| name.starts_with("schema_") || name.starts_with("origin_")),
            "{unnamed:?}"
        );
    }

    /// COST-1: nothing scans a table, and nothing sorts but what is bounded by one pool.
    #[test]
    fn no_statement_scans_a_table() {
        let mut connection = Connection::open_in_memory().unwrap();
        POOLS.migrate(&mut connection).unwrap();
        METADATA.migrate(&mut connection).unwrap();
        let mut searches = 0;
        for sql in Sql::ALL {
            // The list of all rows of a client is a scan, of tens of rows.
            if matches!(
                sql,
                Sql::Begin | Sql::BeginRead | Sql::Commit | Sql::Rollback | Sql::MetadataList
            ) {
                continue;
            }
            let mut explain = connection
                .prepare(&format!("EXPLAIN QUERY PLAN {}", sql.text()))
                .unwrap();
            let nulls = vec![rusqlite::types::Null; explain.parameter_count()];
            let plan: Vec<String> = explain
                .query_map(rusqlite::params_from_iter(nulls), |row| row.get("detail"))
                .unwrap()
                .map(Result::unwrap)
                .collect();
            assert!(!plan.iter().any(|step| step.contains("SCAN")), "{sql:?}: {plan:?}");
            searches += plan.iter().filter(|step| step.contains("SEARCH")).count();
        }
        assert!(searches > 30, "the plans were read: {searches}");
    }

    /// Were the SQL to look at fewer than the code believes, a package behind them would not be found (RES-8).
    #[test]
    fn a_stretch_of_the_queue_is_as_long_in_sql() {
        let limit = format!("LIMIT {STRETCH}");
        assert!(Sql::Queue.text().trim_end().ends_with(&limit), "{limit}");
    }

    /// SQLite prepares a statement again when what it was planned for is bound anew (a LIMIT is): that costs more than
    /// to run it.
    #[test]
    fn the_hot_statements_are_prepared_once() {
        let mut connection = Connection::open_in_memory().unwrap();
        POOLS.migrate(&mut connection).unwrap();
        for sql in [
            Sql::DataVersion,
            Sql::Pool,
            Sql::ById,
            Sql::ByRef,
            Sql::Bytes,
            Sql::Queue,
            Sql::PackageUpdate,
            Sql::LeaseDelete,
            Sql::PoolUpdate,
        ] {
            let mut statement = connection.prepare(sql.text()).unwrap();
            for value in 0..3 {
                let values = vec![value; statement.parameter_count()];
                let mut rows = statement.query(rusqlite::params_from_iter(values)).unwrap();
                while rows.next().unwrap().is_some() {}
            }
            assert_eq!(statement.get_status(StatementStatus::RePrepare), 0, "{sql:?}");
        }
        // The test can fail.
        let mut statement = connection.prepare(Sql::PoolsAfter.text()).unwrap();
        for value in 0..3 {
            statement.query((value, value)).unwrap().next().unwrap();
        }
        assert_ne!(statement.get_status(StatementStatus::RePrepare), 0);
    }

    /// COST-1: the queue, and what settling looks for, are ranges of an index, in its order.
    #[test]
    fn the_hot_statements_use_all_of_their_index() {
        let mut connection = Connection::open_in_memory().unwrap();
        POOLS.migrate(&mut connection).unwrap();
        for (sql, range) in [
            (Sql::Queue, "keypackage_pool_queue (pool=? AND rowid>?)"),
            (Sql::Ended, "keypackage_pool_held (pool=?)"),
            (Sql::PoolsToSettle, "keypackage_pool_ends (lapses_at>? AND lapses_at<?)"),
            (Sql::Available, "keypackage_pool_queue (pool=? AND rowid>?)"),
            (Sql::FreeUnexpired, "(pool=? AND not_after>?)"),
            (Sql::ById, "(pool=? AND id=?)"),
            (Sql::ByRef, "(pool=? AND <expr>=?)"),
        ] {
            let mut explain = connection
                .prepare(&format!("EXPLAIN QUERY PLAN {}", sql.text()))
                .unwrap();
            let zeros = vec![0; explain.parameter_count()];
            let plan: Vec<String> = explain
                .query_map(rusqlite::params_from_iter(zeros), |row| row.get("detail"))
                .unwrap()
                .map(Result::unwrap)
                .collect();
            assert!(plan.iter().any(|step| step.contains(range)), "{sql:?}: {plan:?}");
            assert!(
                !plan.iter().any(|step| step.contains("TEMP B-TREE")),
                "{sql:?}: {plan:?}"
            );
        }
    }
}
