//! What a failure of SQLite says of the call: the one place where its codes are read.

use rusqlite::ffi;

/// What an SQLite code says of the call that met it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meaning {
    /// Whether a commit that failed with this code, and left no transaction behind, certainly changed nothing (ERR-1). A
    /// failure before the commit always changed nothing.
    pub(crate) is_undone: bool,
    /// Whether the same call may succeed soon.
    pub(crate) is_transient: bool,
}

/// Returns what a failure says.
///
/// | code | of a commit | transient | why |
/// |---|---|---|---|
/// | `BUSY_*`, `LOCKED_*`, `PROTOCOL` | undone | yes | others had the lock, and the commit did not begin |
/// | `FULL` | undone | yes | the log took no whole commit mark, and SQLite rolled back; there may be room soon |
/// | `IOERR_WRITE`, `IOERR_SHMSIZE`, `IOERR_TRUNCATE` | unknown | yes | a quota or a limit on files, of which SQLite does not say more than of a broken disk; the commit mark may be in the log already |
/// | `IOERR_NOMEM`, `NOMEM` | unknown | yes | memory may have run out after the commit mark |
/// | `CANTOPEN_*` | unknown | yes | out of file descriptors |
/// | `INTERRUPT`, `ABORT_*`, `SCHEMA` | unknown | yes | others came in between |
/// | other `IOERR_*` | unknown | no | the disk; after a failed sync, nobody knows what it kept |
/// | `READONLY_*`, `PERM`, `AUTH` | unknown | no | somebody has to change the file system |
/// | `CORRUPT_*`, `NOTADB` | unknown | no | somebody has to mend the file |
/// | all others | unknown | no | |
///
/// In a log, the commit mark is in the head of the last page. A write that fails as `FULL` was too short, so the page and
/// its checksum are not whole; the next commit writes over it. (A library that was built without
/// `SQLITE_POWERSAFE_OVERWRITE` pads the log behind the mark, and could meet `FULL` there; none is built so by default.)
pub(crate) fn meaning(error: &rusqlite::Error) -> Meaning {
    let Some(code) = error.sqlite_error().map(|error| error.extended_code) else {
        return Meaning::of(false, false);
    };
    match (code & 0xff, code) {
        (ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED | ffi::SQLITE_PROTOCOL | ffi::SQLITE_FULL, _) => Meaning::of(true, true),
        (
            ffi::SQLITE_IOERR,
            ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_SHMSIZE | ffi::SQLITE_IOERR_TRUNCATE | ffi::SQLITE_IOERR_NOMEM,
        )
        | (
            ffi::SQLITE_NOMEM | ffi::SQLITE_CANTOPEN | ffi::SQLITE_INTERRUPT | ffi::SQLITE_ABORT | ffi::SQLITE_SCHEMA,
            _,
        ) => Meaning::of(false, true),
        _ => Meaning::of(false, false),
    }
}

impl Meaning {
    const fn of(is_undone: bool, is_transient: bool) -> Self {
        Self {
            is_undone,
            is_transient,
        }
    }
}

/// Returns whether another connection holds the lock, so that an attempt is to be repeated.
pub(crate) fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| {
        matches!(
            error.extended_code & 0xff,
            ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED | ffi::SQLITE_PROTOCOL
        )
    })
}

/// Returns whether rows break a foreign key. Of a commit, which then did not begin: a deferred key of the server's.
pub(crate) fn is_foreign_key(error: &rusqlite::Error) -> bool {
    error
        .sqlite_error()
        .is_some_and(|error| error.extended_code == ffi::SQLITE_CONSTRAINT_FOREIGNKEY)
}

/// Returns whether a failure while a file is opened is one of its content: it is no database, it is damaged, or its tables are
/// not ours. All others are failures of the way to the file.
pub(crate) fn is_content(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_none_or(|error| {
        matches!(
            error.extended_code & 0xff,
            ffi::SQLITE_ERROR
                | ffi::SQLITE_CORRUPT
                | ffi::SQLITE_NOTADB
                | ffi::SQLITE_CONSTRAINT
                | ffi::SQLITE_MISMATCH
                | ffi::SQLITE_TOOBIG
                | ffi::SQLITE_RANGE
                | ffi::SQLITE_FORMAT
                | ffi::SQLITE_EMPTY
        )
    })
}

/// Returns whether the file is no database, or a damaged one.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    error
        .sqlite_error()
        .is_some_and(|error| matches!(error.extended_code & 0xff, ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB))
}
