//! The plans that SQLite makes of the statements.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::{Connection, StatementStatus};

use crate::file::migrations::{METADATA, POOLS};
use crate::pools::queue::CHUNK;
use crate::sql::Sql;

#[test]
fn every_file_is_a_statement() {
    let named: BTreeSet<_> = Sql::ALL.iter().map(|sql| sql.text()).collect();
    let mut unnamed = Vec::new();
    for folder in ["sql", "sql/migrations", "import/sql"] {
        let folder_path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder);
        for file in std::fs::read_dir(folder_path).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "sql") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.starts_with("-- "), "{path:?} says what it is for");
            if folder == "sql" && !named.contains(text.as_str()) {
                unnamed.push(path.file_name().unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    // The schema's own are used while a file is opened.
    assert!(unnamed.iter().all(|name| name.starts_with("schema_")), "{unnamed:?}");
}

/// COST-1: nothing scans a table, and nothing sorts but what is bounded by one pool.
#[test]
fn no_statement_scans_a_table() {
    let mut connection = Connection::open_in_memory().unwrap();
    POOLS.migrate(&mut connection).unwrap();
    METADATA.migrate(&mut connection).unwrap();
    let mut searches = 0;
    for sql in Sql::ALL {
        // The list of all rows of a client is a scan, of tens of rows, and so is the record. What belongs to no pool is searched for
        // by an operator.
        if matches!(
            sql,
            Sql::Begin
                | Sql::BeginRead
                | Sql::Commit
                | Sql::Rollback
                | Sql::PartBegin
                | Sql::PartUndo
                | Sql::PartEnd
                | Sql::MetadataList
                | Sql::MetadataRecord
                | Sql::MetadataRecordDelete
                | Sql::AuditStrays
                | Sql::RepairStrayPackages
                | Sql::RepairStrayLeases
                | Sql::RepairLostLeases
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

/// If the statement read fewer records than the code believes, a package behind them would not be found (RES-8).
#[test]
fn a_chunk_of_the_queue_is_as_long_in_sql() {
    let limit = format!("LIMIT {CHUNK}");
    for sql in [Sql::Queue, Sql::QueueSupport] {
        assert!(sql.text().trim_end().ends_with(&limit), "{sql:?}: {limit}");
    }
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
        Sql::QueueSupport,
        Sql::HasInitKey,
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
        (Sql::QueueSupport, "keypackage_pool_queue (pool=? AND rowid>?)"),
        (Sql::HasInitKey, "keypackage_pool_init_keys (pool=? AND <expr>=?)"),
        (Sql::Lapsed, "keypackage_pool_lease_ids (pool=?)"),
        (Sql::PoolsLapsed, "keypackage_pool_lapses (lapses_at>? AND lapses_at<?)"),
        (
            Sql::PoolsExpired,
            "keypackage_pools_expiry (next_expiry>? AND next_expiry<?)",
        ),
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
