//! Converts rows into records, and records into rows.

use kp_core::rules::{Column, Kept, ReadColumns, Record};
use kp_core::server::{InitKeyFingerprint, Support};
use kp_core::{Ciphersuite, CredentialHash, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Lifetime};
use rusqlite::{OptionalExtension, Params, Row};

use crate::file::calls::Statements;
use crate::file::columns::Columns;
use crate::file::error::{Damage, Failure};
use crate::pools::pool_row::PoolRow;
use crate::sql::Sql;

/// The columns of a record, after its key: every statement that reads records selects these, in this order.
mod column {
    use kp_core::rules::Column;

    pub(super) const REF: usize = 1;
    pub(super) const SUITE: usize = 2;
    pub(super) const NOT_BEFORE: usize = 3;
    pub(super) const NOT_AFTER: usize = 4;
    pub(super) const SAVED_AT: usize = 5;
    pub(super) const CREDENTIAL: usize = 6;
    pub(super) const BYTES: usize = 20;
    pub(super) const SUPPORT: usize = 21;
    pub(super) const FINGERPRINT: usize = 22;

    /// The place and the name of a column. Those of the lease are NULL if there is none.
    pub(super) const fn place(column: Column) -> (usize, &'static str) {
        match column {
            Column::State => (7, "state"),
            Column::Id => (8, "id"),
            Column::FormerId => (9, "former_id"),
            Column::SpentAt => (10, "spent_at"),
            Column::Spender => (11, "spender"),
            Column::Group => (12, "group_id"),
            Column::LeaseState => (13, "state of the lease"),
            Column::LeaseId => (14, "id of the lease"),
            Column::LeaseEndsAt => (15, "lapses_at"),
            Column::LeaseReserver => (16, "reserver"),
            Column::LeaseSpentAt => (17, "spent_at"),
            Column::LeaseSpender => (18, "spender"),
            Column::LeaseGroup => (19, "group_id"),
        }
    }
}

/// Reads a record. `credential` is the credential hash of its pool.
pub(crate) fn record(row: &Row<'_>, credential: CredentialHash) -> Result<Record, Failure> {
    let columns = Columns::of(row)?;
    let lifetime = Lifetime::new(
        columns.time(column::NOT_BEFORE, "not_before")?,
        columns.time(column::NOT_AFTER, "not_after")?,
    );
    Ok(Record {
        info: KeyPackageInfo::new(
            columns.made(column::REF, "ref", |bytes: &[u8]| KeyPackageRef::try_from(bytes).ok())?,
            columns.made(column::SUITE, "suite", |suite: i64| {
                u16::try_from(suite).ok().map(Ciphersuite)
            })?,
            lifetime.map_err(|_| columns.damage("not_after"))?,
            columns
                .optional(column::CREDENTIAL, "credential", |bytes| {
                    bytes.try_into().ok().map(CredentialHash)
                })?
                .unwrap_or(credential),
        )
        .role(columns.role()?),
        sequence: u64::try_from(columns.key).map_err(|_| columns.damage("key"))?,
        saved_at: columns.time(column::SAVED_AT, "saved_at")?,
        state: columns.state()?,
    })
}

/// Reads the bytes of a record from a row that has them.
pub(crate) fn bytes(row: &Row<'_>) -> Result<KeyPackageBytes, Failure> {
    let columns = Columns::of(row)?;
    columns.made(column::BYTES, "bytes", |bytes: &[u8]| {
        KeyPackageBytes::try_from(bytes).ok()
    })
}

/// Reads what is kept beside a record, from a row that has all of it.
pub(crate) fn kept(row: &Row<'_>) -> Result<Kept, Failure> {
    let columns = Columns::of(row)?;
    let mut kept = Kept::default();
    kept.bytes = columns.optional(column::BYTES, "bytes", |bytes| KeyPackageBytes::try_from(bytes).ok())?;
    kept.support = columns.optional(column::SUPPORT, "support", Support::from_bytes)?;
    kept.fingerprint = columns.optional(column::FINGERPRINT, "fingerprint", |bytes| {
        bytes.try_into().ok().map(InitKeyFingerprint::from_bytes)
    })?;
    Ok(kept)
}

/// Reads the bytes of a record by its key.
pub(crate) fn bytes_of(statements: &mut Statements<'_>, key: i64) -> Result<KeyPackageBytes, Failure> {
    let bytes = statements
        .one(Sql::Bytes, [key], |row| {
            Ok(row.get_ref(0)?.as_blob().ok().and_then(|bytes| bytes.try_into().ok()))
        })
        .optional()?
        .flatten();
    bytes.ok_or_else(|| Damage { key, column: "bytes" }.into())
}

/// Reads the support of a record from a row that has it (RES-3).
pub(crate) fn support(row: &Row<'_>) -> Result<Option<Support>, Failure> {
    Columns::of(row)?.optional(column::SUPPORT, "support", Support::from_bytes)
}

/// Reads the support of a record by its key.
pub(crate) fn support_of(statements: &mut Statements<'_>, key: i64) -> Result<Option<Support>, Failure> {
    let mut rows = statements.get(Sql::Support)?.query([key])?;
    match rows.next()? {
        Some(row) => Columns::of(row)?.optional(1, "support", Support::from_bytes),
        None => Err(Damage { key, column: "support" }.into()),
    }
}

/// Reads several records, and skips damaged ones: one damaged row must not block its pool.
pub(crate) fn many(
    statements: &mut Statements<'_>,
    pool: &PoolRow,
    sql: Sql,
    params: impl Params,
) -> Result<Vec<Record>, Failure> {
    let mut rows = statements.get(sql)?.query(params)?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.extend(skip_damaged(record(row, pool.credential))?);
    }
    Ok(records)
}

/// Returns the key of a row that was read by sequence: below `i64::MAX`, which no record reaches. Fails if the key is not
/// behind the last one: then an index is out of order, and a search that continues behind each key could go in circles.
pub(crate) fn next_key(row: &Row<'_>, last: i64) -> Result<i64, Failure> {
    let key = row.get(0)?;
    if (last < key || last == i64::MIN) && key < i64::MAX {
        Ok(key)
    } else {
        Err(Damage { key, column: "key" }.into())
    }
}

/// Turns a damaged row into `None`, with a warning in the log.
pub(crate) fn skip_damaged<T>(read: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(Failure::Damaged(damage)) => {
            tracing::warn!(key = damage.key, column = damage.column, "skipped a damaged row");
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

/// Returns the key of a record's row: its sequence.
pub(crate) fn key(record: &Record) -> Result<i64, Failure> {
    i64::try_from(record.sequence).map_err(|_| Damage { key: -1, column: "key" }.into())
}

impl ReadColumns for Columns<'_, '_> {
    type Error = Failure;

    fn number(&self, column: Column) -> Result<Option<i64>, Failure> {
        let (index, name) = column::place(column);
        self.get(index, name)
    }

    fn bytes(&self, column: Column) -> Result<Option<&[u8]>, Failure> {
        let (index, name) = column::place(column);
        self.optional_bytes(index, name)
    }

    fn damaged(&self, column: Column) -> Failure {
        self.damage(column::place(column).1)
    }
}
