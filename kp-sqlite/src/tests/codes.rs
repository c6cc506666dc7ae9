//! What the codes of SQLite say of a call.

use rusqlite::ffi;

use crate::file::codes::{is_busy, meaning};

/// ERR-1: only what is certain is "not applied", and what may be gone soon is transient.
#[test]
fn a_code_says_what_is_known_of_a_commit_and_whether_to_try_again() {
    for (code, is_undone, is_transient, busy) in [
        (ffi::SQLITE_FULL, true, true, false),
        (ffi::SQLITE_BUSY, true, true, true),
        (ffi::SQLITE_BUSY_SNAPSHOT, true, true, true),
        (ffi::SQLITE_BUSY_RECOVERY, true, true, true),
        (ffi::SQLITE_LOCKED, true, true, true),
        (ffi::SQLITE_PROTOCOL, true, true, true),
        (ffi::SQLITE_NOMEM, false, true, false),
        (ffi::SQLITE_CANTOPEN, false, true, false),
        (ffi::SQLITE_IOERR, false, false, false),
        (ffi::SQLITE_IOERR_NOMEM, false, true, false),
        (ffi::SQLITE_IOERR_WRITE, false, true, false),
        (ffi::SQLITE_IOERR_SHMSIZE, false, true, false),
        (ffi::SQLITE_IOERR_TRUNCATE, false, true, false),
        (ffi::SQLITE_IOERR_FSYNC, false, false, false),
        (ffi::SQLITE_IOERR_READ, false, false, false),
        (ffi::SQLITE_IOERR_FSTAT, false, false, false),
        (ffi::SQLITE_READONLY, false, false, false),
        (ffi::SQLITE_READONLY_DBMOVED, false, false, false),
        (ffi::SQLITE_READONLY_RECOVERY, false, false, false),
        (ffi::SQLITE_CORRUPT, false, false, false),
        (ffi::SQLITE_CORRUPT_INDEX, false, false, false),
        (ffi::SQLITE_NOTADB, false, false, false),
        (ffi::SQLITE_CONSTRAINT_COMMITHOOK, false, false, false),
        (ffi::SQLITE_ERROR, false, false, false),
    ] {
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        let found = meaning(&error);
        assert_eq!(
            (found.is_undone, found.is_transient),
            (is_undone, is_transient),
            "{code}"
        );
        assert_eq!(is_busy(&error), busy, "{code}");
    }
    let other = meaning(&rusqlite::Error::QueryReturnedNoRows);
    assert_eq!((other.is_undone, other.is_transient), (false, false));
}
