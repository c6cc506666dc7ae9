//! Reads and writes rows of `keypackage_pool_metadata`.

use kp_core::Role;
use kp_core::client::{JoinMark, KeyPackageMetadata, LeaseHolder, Lifecycle};
use kp_core::{Ciphersuite, CredentialHash, KeyPackageRef, Timestamp};
use rusqlite::Row;

use crate::file::calls::Statements;
use crate::file::columns::Columns;
use crate::file::error::{Damage, Failure};
use crate::sql::Sql;

/// Reads the row of a ref.
pub(crate) fn find(
    statements: &mut Statements<'_>,
    key_package_ref: &KeyPackageRef,
) -> Result<Option<KeyPackageMetadata>, Failure> {
    let mut rows = statements.get(Sql::MetadataGet)?.query([key_package_ref.as_bytes()])?;
    rows.next()?.map(read).transpose()
}

/// Reads all rows, the oldest first. A damaged row is an error: a client that misses a row would take its key for lost.
pub(crate) fn list(statements: &mut Statements<'_>) -> Result<Vec<KeyPackageMetadata>, Failure> {
    let mut rows = statements.get(Sql::MetadataList)?.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(read(row)?);
    }
    Ok(all)
}

/// Writes a row: a new one, or the lifecycle and the times of the one that is there.
pub(crate) fn store(statements: &mut Statements<'_>, row: &KeyPackageMetadata) -> Result<(), Failure> {
    statements.execute(Sql::MetadataCredential, [row.credential.0])?;
    let mark = row.lifecycle.mark();
    let values = rusqlite::params![
        row.key_package_ref.as_bytes(),
        row.lifecycle.name(),
        row.lifecycle.delete_at().map(Timestamp::get),
        row.created_at.get(),
        row.uploaded_at.map(Timestamp::get),
        row.reserved_at.map(Timestamp::get),
        row.spent_at.map(Timestamp::get),
        row.not_after.get(),
        row.ciphersuite.0,
        row.role.is_last_resort(),
        row.credential.0,
        row.offered_at.map(Timestamp::get),
        mark.map(|mark| *mark.holder.as_bytes()),
        mark.map(|mark| mark.until.get()),
        row.not_before.map(Timestamp::get),
    ];
    match statements.execute(Sql::MetadataStore, values)? {
        1 => Ok(()),
        _ => Err(Damage {
            key: -1,
            column: "keypackage_ref",
        }
        .into()),
    }
}

/// Deletes a row, and returns whether there was one.
pub(crate) fn delete(statements: &mut Statements<'_>, key_package_ref: &KeyPackageRef) -> Result<bool, Failure> {
    Ok(statements.execute(Sql::MetadataDelete, [key_package_ref.as_bytes()])? == 1)
}

fn read(row: &Row<'_>) -> Result<KeyPackageMetadata, Failure> {
    let columns = Columns::of(row)?;
    let delete_at = columns.optional_time(3, "delete_at")?;
    let until = columns.optional_time(14, "join_until")?;
    let holder = columns.optional(13, "join_holder", |bytes| {
        bytes.try_into().ok().map(LeaseHolder::from_bytes)
    })?;
    let mark = match (holder, until) {
        (None, None) => None,
        (Some(holder), Some(until)) => Some(JoinMark { holder, until }),
        _ => return Err(columns.damage("join_until")),
    };
    Ok(KeyPackageMetadata {
        key_package_ref: columns.made(1, "keypackage_ref", |bytes: &[u8]| KeyPackageRef::try_from(bytes).ok())?,
        lifecycle: columns.made(2, "status", |name: &str| Lifecycle::from_parts(name, delete_at, mark))?,
        created_at: columns.time(4, "created_at")?,
        uploaded_at: columns.optional_time(5, "uploaded_at")?,
        reserved_at: columns.optional_time(6, "reserved_at")?,
        spent_at: columns.optional_time(7, "spent_at")?,
        not_before: columns.optional_time(15, "not_before")?,
        not_after: columns.time(8, "not_after")?,
        ciphersuite: columns.made(9, "ciphersuite", |suite: i64| {
            u16::try_from(suite).ok().map(Ciphersuite)
        })?,
        role: columns.made(10, "last_resort", |flag: i64| Some(Role::of(flag != 0)))?,
        credential: columns.made(11, "hash", |bytes: &[u8]| bytes.try_into().ok().map(CredentialHash))?,
        offered_at: columns.optional_time(12, "offered_at")?,
    })
}
