use std::path::PathBuf;

use kp_core::Role;
use kp_core::client::{KeyPackageMetadata, Lifecycle};
use kp_core::{Ciphersuite, CredentialHash, KeyPackageRef};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::file::busy::{Wait, retry};
use crate::file::calls::Statements;
use crate::file::connection::{Connector, Opened};
use crate::file::error::Failure;
use crate::file::migrations::METADATA;
use crate::import::table::{BadRow, ImportError, Imported, OldRow, RowError, blocking, has_table};
use crate::metadata::rows::{find, store};

/// The columns that the table must have: the imported ones, and some that no other table has, so that no other table is
/// dropped.
const COLUMNS: &[&str] = &[
    "keypackage_ref",
    "keypackage_bytes",
    "private_init_key",
    "private_encryption_key",
    "status",
    "created_at",
    "not_after",
    "credential_hash",
    "ciphersuite",
];

/// Moves the older client table `keypackages` into the table of [`SqliteMetadata`](crate::SqliteMetadata) in the same
/// file, and erases the private keys.
///
/// The state of every KeyPackage is kept. Its ref is the link to the storage of the MLS library. **Before the import, that
/// storage must hold the keys: the import destroys the copies in the old table.**
///
/// The old table is dropped, with its bad rows. Then the file is rewritten without the deleted bytes, and its write-ahead
/// log is truncated, so that neither holds a byte of a key. Blocks that the disk keeps of overwritten data are out of
/// reach.
///
/// The import may be repeated at any time: without an old table, it only rewrites the file. No other handle should have
/// the file open. Rows of other tables keep their contents. As with any `VACUUM`, a `rowid` that is no `INTEGER PRIMARY
/// KEY` may change.
///
/// # Errors
///
/// An [`ImportError`]. After [`InUse`](ImportError::InUse), only the last step is missing.
pub async fn import_client_table(path: impl Into<PathBuf>) -> Result<Imported, ImportError> {
    let connector = Connector::new(path.into(), &METADATA);
    blocking(move || {
        let Opened { connection, place, .. } = connector.writer()?;
        // From here on, SQLite overwrites deleted bytes with zeros.
        connection.pragma_update(None, "secure_delete", true)?;
        let imported = move_rows(&connection, Wait::begin(connector.timeout))?;
        rewrite(&connection, Wait::begin(connector.timeout))?;
        place.check()?;
        Ok(imported)
    })
    .await
}

/// Moves the rows in one transaction, so that a row is always in one of the two tables.
fn move_rows(connection: &Connection, wait: Wait) -> Result<Imported, ImportError> {
    let begin = || Ok(Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?);
    let step = retry(wait, begin)?;
    let mut done = Imported::default();
    if has_table(&step, COLUMNS)? {
        let mut statements = Statements::new(&step);
        let mut old = step.prepare(include_str!("sql/client_rows.sql"))?;
        let mut rows = old.query([])?;
        while let Some(row) = rows.next()? {
            let row = OldRow(row);
            match metadata(&row) {
                Err(why) => done.bad_rows.push(BadRow {
                    rowid: row.rowid()?,
                    why,
                }),
                Ok(row) if find(&mut statements, &row.key_package_ref)?.is_some() => done.already_here += 1,
                Ok(row) => {
                    store(&mut statements, &row)?;
                    done.imported += 1;
                }
            }
        }
        drop(rows);
        drop(old);
        drop(statements);
        step.execute_batch(include_str!("sql/client_drop.sql"))?;
    }
    step.commit()?;
    Ok(done)
}

fn metadata(row: &OldRow<'_, '_>) -> Result<KeyPackageMetadata, RowError> {
    let status = row.text("status")?;
    let credential = row.blob("credential_hash")?.try_into();
    Ok(KeyPackageMetadata {
        key_package_ref: KeyPackageRef::try_from(row.blob("keypackage_ref")?)
            .map_err(|_| RowError::Column("keypackage_ref"))?,
        ciphersuite: u16::try_from(row.integer("ciphersuite")?)
            .map(Ciphersuite)
            .map_err(|_| RowError::Column("ciphersuite"))?,
        // The old table had no last-resort packages.
        role: Role::OneTime,
        credential: credential
            .map(CredentialHash)
            .map_err(|_| RowError::Column("credential_hash"))?,
        created_at: row.time("created_at")?,
        // The old table does not tell when a lifetime begins, and whose a join was.
        not_before: None,
        not_after: row.time("not_after")?,
        lifecycle: Lifecycle::from_parts(status, None, None).ok_or_else(|| RowError::Status(status.to_owned()))?,
        // The old table does not tell, and a package that may be on the server must not be taken for one that never was.
        offered_at: Some(row.time("created_at")?),
        uploaded_at: row.optional("uploaded_at", |row| row.time("uploaded_at"))?,
        reserved_at: row.optional("reserved_at", |row| row.time("reserved_at"))?,
        spent_at: row.optional("spent_at", |row| row.time("spent_at"))?,
    })
}

/// Rewrites the file without the deleted bytes, and truncates the log, which still holds them.
fn rewrite(connection: &Connection, wait: Wait) -> Result<(), ImportError> {
    retry(wait, || Ok(connection.execute_batch("VACUUM")?))?;
    let truncate = || {
        let busy: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        // The pragma answers that it was busy, where another statement fails.
        if busy {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
            return Err(rusqlite::Error::SqliteFailure(code, None).into());
        }
        Ok(())
    };
    match retry(wait, truncate) {
        Err(Failure::Locked { .. }) => Err(ImportError::InUse),
        done => Ok(done?),
    }
}
