use std::path::PathBuf;

use kp_core::Role;
use kp_core::client::{KeyPackageMetadata, Lifecycle};
use kp_core::{Ciphersuite, CredentialHash, KeyPackageRef};
use rusqlite::{Connection, TransactionBehavior};

use crate::file::calls::Statements;
use crate::file::connection::Connector;
use crate::file::migrations::METADATA;
use crate::import::table::{BadRow, ImportError, Imported, OldRow, RowError, has_table, on_a_thread};
use crate::metadata::rows::{find, insert};

/// What the table must have: what is kept of a row, and what is the origin's alone, so that no other table is dropped.
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

/// Moves the origin's client table, `keypackages` with its bundles, over into [`SqliteMetadata`](crate::SqliteMetadata)'s
/// of the same file: the state of every package is kept, with its ref as the link to the MLS library's storage, and the
/// keys are gone for good.
///
/// The old table is dropped, bad rows and all; then the file is rewritten without what was deleted, and its write-ahead
/// log is cut, so that no byte of a key is left in either. (What the disk underneath keeps of overwritten blocks is out of
/// reach.) **The MLS library's storage must have the keys before**: here they cannot be had again.
///
/// It may be run again at any time: without an old table it only rewrites the file. No other handle should have the file
/// open. Rows of the application's own tables keep their contents; a `rowid` that is no `INTEGER PRIMARY KEY` may change,
/// as with any `VACUUM`.
///
/// # Errors
///
/// [`ImportError`]. When it is [`InUse`](ImportError::InUse), all is done but the last step.
pub async fn import_client_table(path: impl Into<PathBuf>) -> Result<Imported, ImportError> {
    let connector = Connector::new(path.into(), &METADATA);
    on_a_thread(move || {
        let mut connection = connector.writer()?;
        connection.busy_timeout(connector.timeout)?;
        // What is deleted from now on is overwritten with zeros.
        connection.pragma_update(None, "secure_delete", true)?;
        let imported = move_rows(&mut connection)?;
        rewrite(&connection)?;
        Ok(imported)
    })
    .await
}

/// In one transaction, so that a package is always in one table or the other.
fn move_rows(connection: &mut Connection) -> Result<Imported, ImportError> {
    let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
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
                    insert(&mut statements, &row)?;
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
        // The origin had none.
        role: Role::OneTime,
        credential: credential
            .map(CredentialHash)
            .map_err(|_| RowError::Column("credential_hash"))?,
        created_at: row.time("created_at")?,
        not_after: row.time("not_after")?,
        lifecycle: Lifecycle::from_parts(status, None).ok_or_else(|| RowError::Status(status.to_owned()))?,
        uploaded_at: row.optional("uploaded_at", |row| row.time("uploaded_at"))?,
        reserved_at: row.optional("reserved_at", |row| row.time("reserved_at"))?,
        spent_at: row.optional("spent_at", |row| row.time("spent_at"))?,
    })
}

/// Rewrites the file without what was deleted, and cuts the log, in which it still stands.
fn rewrite(connection: &Connection) -> Result<(), ImportError> {
    connection.execute_batch("VACUUM")?;
    let busy: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy { Err(ImportError::InUse) } else { Ok(()) }
}
