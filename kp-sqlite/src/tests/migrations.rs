//! Migrations of a file that holds other tables too.

use rusqlite::Connection;

use crate::file::migrations::{POOLS, Tables};

#[test]
fn migrations_run_once_and_leave_other_tables_alone() {
    let mut connection = Connection::open_in_memory().unwrap();
    connection
        .execute_batch("CREATE TABLE packages (a); INSERT INTO packages VALUES (1); PRAGMA user_version = 7;")
        .unwrap();
    assert_eq!(POOLS.schema(&connection).unwrap(), 0);
    POOLS.migrate(&mut connection).unwrap();
    POOLS.migrate(&mut connection).unwrap();
    assert_eq!(POOLS.schema(&connection).unwrap(), POOLS.known());
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
fn leases_move_out_and_bytes_in() {
    let mut connection = Connection::open_in_memory().unwrap();
    let first = Tables {
        name: POOLS.name,
        migrations: &[include_str!("../sql/migrations/0001_pools.sql")],
    };
    first.migrate(&mut connection).unwrap();
    connection
        .execute_batch(
            "INSERT INTO keypackage_pools (key, pool, records, last_sequence, credential, sweep_at, settle_at)
             VALUES (1, x'01', 6, 9, zeroblob(32), 10, 6);
             INSERT INTO keypackage_pool_packages
                 (key, pool, ref, tag, suite, not_before, not_after, saved_at, state, id, reserver, lapses_at, spent_at)
             VALUES (4, 1, x'0a', 7, 1, 0, 10, 3, 0, NULL, NULL, NULL, NULL),
                 (5, 1, x'0b', 8, 1, 0, 10, 3, 9, x'000102030405060708090a0b0c0d0e05', NULL, NULL, 4),
                 (6, 1, x'0c', 8, 1, 0, 10, 3, 4, x'000102030405060708090a0b0c0d0e06', x'ee', 6, NULL),
                 (7, 1, x'0d', 8, 1, 0, 10, 3, 7, x'000102030405060708090a0b0c0d0e07', x'ee', 7, 5),
                 (8, 1, x'0e', 8, 1, 0, 10, 3, 8, x'000102030405060708090a0b0c0d0e08', NULL, 8, 5),
                 (9, 1, x'0f', 8, 1, 0, 10, 3, 2, NULL, NULL, NULL, NULL);
             INSERT INTO keypackage_pool_bytes (key, bytes) VALUES (4, x'f4'), (6, x'f6'), (8, x'f8'), (9, x'f9');",
        )
        .unwrap();
    POOLS.migrate(&mut connection).unwrap();
    assert_eq!(POOLS.schema(&connection).unwrap(), 2);
    let rows = |sql: &str| -> Vec<String> {
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    assert_eq!(
        rows(
            "SELECT concat_ws(' ', key, quote(ref), state, quote(substr(id, 16)), quote(spent_at), quote(bytes))
             FROM keypackage_pool_packages ORDER BY key"
        ),
        [
            "4 X'0A' 0 NULL NULL X'F4'",
            "5 X'0B' 9 X'05' 4 NULL",
            "6 X'0C' 0 NULL NULL X'F6'",
            "7 X'0D' 9 X'07' 5 NULL",
            "8 X'0E' 0 NULL NULL X'F8'",
            "9 X'0F' 2 NULL NULL X'F9'",
        ]
    );
    assert_eq!(
        rows(
            "SELECT concat_ws(' ', key, pool, state, quote(substr(id, 16)), lapses_at, quote(reserver), quote(spent_at))
             FROM keypackage_pool_leases ORDER BY key"
        ),
        [
            "6 1 4 X'06' 6 X'EE' NULL",
            "7 1 7 X'07' 7 X'EE' 5",
            "8 1 8 X'08' 8 NULL 5",
        ]
    );
    assert_eq!(rows("SELECT quote(unspent_from) FROM keypackage_pools"), ["0"]);
}

#[test]
fn a_migration_that_fails_leaves_no_trace() {
    let mut connection = Connection::open_in_memory().unwrap();
    // Somebody else's table of the same name: the migration cannot succeed.
    connection
        .execute_batch("CREATE TABLE keypackage_pool_bytes (a)")
        .unwrap();
    POOLS.migrate(&mut connection).unwrap_err();
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .unwrap();
    assert_eq!((tables, POOLS.schema(&connection).unwrap()), (1, 0));
}
