//! Looks at the rows that a check of the conformance suite has left.

use std::path::{Path, PathBuf};

use kp_conformance::{Facets, Space};
use rusqlite::Connection;

/// All that there is.
pub(crate) const FACETS: Facets = Facets::NONE.handles().reopens().processes().limits();

pub(crate) fn file(space: &Space) -> PathBuf {
    space.dir().join("pools.db")
}

/// The bounds and counts of pools hold, and bytes are kept where they should be, and nowhere else.
pub(crate) fn check_rows(path: &Path) {
    let wrong = [
        "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
        "SELECT count(*) FROM keypackage_pools AS q WHERE
             records <> (SELECT count(*) FROM keypackage_pool_packages WHERE pool = q.key)
             OR next_expiry > (SELECT min(not_after) FROM keypackage_pool_packages WHERE pool = q.key)
             OR last_sequence < (SELECT max(key) FROM keypackage_pool_packages WHERE pool = q.key)
             OR unspent_from > (SELECT min(key) FROM keypackage_pool_packages WHERE pool = q.key AND state = 0)",
        "SELECT count(*) FROM keypackage_pool_packages AS p WHERE
             (state <= 2) <> (bytes IS NOT NULL)
             OR NOT EXISTS (SELECT 1 FROM keypackage_pools WHERE key = p.pool)",
        "SELECT count(*) FROM keypackage_pool_leases AS l WHERE NOT EXISTS (
             SELECT 1 FROM keypackage_pool_packages AS p
             WHERE p.key = l.key AND p.pool = l.pool AND p.state = iif(l.state = 7, 9, 0)
         )",
    ];
    if !path.exists() {
        return; // The check opened no store.
    }
    let rows = Connection::open(path).expect("the file can be opened");
    for wrong in wrong {
        let count: i64 = rows
            .query_row(wrong, [], |row| row.get(0))
            .expect("the file can be read");
        assert_eq!(count, 0, "{wrong}");
    }
}
