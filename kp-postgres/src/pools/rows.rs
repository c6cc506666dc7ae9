//! Converts rows into records, and records into rows.

use kp_core::rules::{Column, Kept, ReadColumns, Record};
use kp_core::server::{InitKeyFingerprint, Support};
use kp_core::{Ciphersuite, CredentialHash, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Lifetime, Timestamp};
use tokio_postgres::types::FromSql;

use crate::link::error::{Damage, Failure};
use crate::link::row::Row;

/// The columns of a record: every statement that reads records selects these, in this order, behind the number of the
/// look-up.
mod column {
    use kp_core::rules::Column;

    pub(super) const POOL_CREDENTIAL: usize = 1;
    pub(super) const SEQ: usize = 2;
    pub(super) const REF: usize = 3;
    pub(super) const SUITE: usize = 4;
    pub(super) const NOT_BEFORE: usize = 5;
    pub(super) const NOT_AFTER: usize = 6;
    pub(super) const SAVED_AT: usize = 7;
    pub(super) const CREDENTIAL: usize = 8;
    pub(super) const SUPPORT: usize = 22;
    pub(super) const FINGERPRINT: usize = 23;
    pub(super) const BYTES: usize = 24;
    pub(super) const HEAD: usize = 25;

    /// The place and the name of a column. Those of the lease are NULL if there is none.
    pub(super) const fn place(column: Column) -> (usize, &'static str) {
        match column {
            Column::State => (9, "state"),
            Column::Id => (10, "id"),
            Column::FormerId => (11, "former_id"),
            Column::SpentAt => (12, "spent_at"),
            Column::Spender => (13, "spender"),
            Column::Group => (14, "group_id"),
            Column::LeaseState => (15, "state of the lease"),
            Column::LeaseId => (16, "id of the lease"),
            Column::LeaseEndsAt => (17, "ends_at"),
            Column::LeaseReserver => (18, "reserver"),
            Column::LeaseSpentAt => (19, "spent_at"),
            Column::LeaseSpender => (20, "spender"),
            Column::LeaseGroup => (21, "group_id"),
        }
    }
}

/// Reads the number of the look-up that a row answers.
pub(crate) fn number(row: &Row) -> Result<usize, Failure> {
    let number: i64 = row.try_get(0)?;
    Ok(usize::try_from(number).unwrap_or_default().saturating_sub(1))
}

/// Reads the sequence of a record.
pub(crate) fn sequence(row: &Row) -> Result<u64, Failure> {
    let columns = Columns::of(row)?;
    u64::try_from(columns.key).map_err(|_| columns.damage("seq"))
}

/// Reads how many places before a record of the queue were passed over.
pub(crate) fn passed(row: &Row) -> Result<u64, Failure> {
    let head: i64 = row.try_get(column::HEAD)?;
    Ok(sequence(row)?.saturating_sub(u64::try_from(head).unwrap_or_default()))
}

/// Reads a record.
pub(crate) fn record(row: &Row) -> Result<Record, Failure> {
    let columns = Columns::of(row)?;
    let lifetime = Lifetime::new(
        columns.time(column::NOT_BEFORE, "not_before")?,
        columns.time(column::NOT_AFTER, "not_after")?,
    );
    let hash = |bytes: &[u8]| bytes.try_into().ok().map(CredentialHash);
    let credential = match columns.optional(column::CREDENTIAL, "credential", hash)? {
        Some(credential) => credential,
        None => columns.made(column::POOL_CREDENTIAL, "credential of the pool", hash)?,
    };
    Ok(Record {
        info: KeyPackageInfo::new(
            columns.made(column::REF, "ref", |bytes: &[u8]| KeyPackageRef::try_from(bytes).ok())?,
            columns.made(column::SUITE, "suite", |suite: i32| {
                u16::try_from(suite).ok().map(Ciphersuite)
            })?,
            lifetime.map_err(|_| columns.damage("not_after"))?,
            credential,
        )
        .role(columns.role()?),
        sequence: sequence(row)?,
        saved_at: columns.time(column::SAVED_AT, "saved_at")?,
        state: columns.state()?,
    })
}

/// Reads the bytes of a record, if they were asked for and are kept.
pub(crate) fn bytes(row: &Row) -> Result<Option<KeyPackageBytes>, Failure> {
    let columns = Columns::of(row)?;
    columns.optional(column::BYTES, "bytes", |bytes| KeyPackageBytes::try_from(bytes).ok())
}

/// Reads what is kept beside a record, without the bytes (RES-3, SAVE-9).
pub(crate) fn kept(row: &Row) -> Result<Kept, Failure> {
    let columns = Columns::of(row)?;
    let fingerprint = |bytes: &[u8]| bytes.try_into().ok().map(InitKeyFingerprint::from_bytes);
    let mut kept = Kept::default();
    kept.support = columns.optional(column::SUPPORT, "support", Support::from_bytes)?;
    kept.fingerprint = columns.optional(column::FINGERPRINT, "fingerprint", fingerprint)?;
    Ok(kept)
}

/// Reads a record with all that is kept beside it.
pub(crate) fn whole(row: &Row) -> Result<(Record, Kept), Failure> {
    let mut kept = kept(row)?;
    kept.bytes = bytes(row)?;
    Ok((record(row)?, kept))
}

/// Reads records. A damaged record is passed over, with a warning in the log: one damaged row must not block its pool.
pub(crate) fn many(rows: &[Row]) -> Result<Vec<Record>, Failure> {
    let mut records = Vec::with_capacity(rows.len());
    for row in rows {
        records.extend(skip_damaged(record(row))?);
    }
    Ok(records)
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

/// Returns a number of ours as the database keeps it.
pub(crate) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Reads the columns of a row, and reports every value that this crate would not write.
struct Columns<'a> {
    row: &'a Row,
    key: i64,
}

impl<'a> Columns<'a> {
    fn of(row: &'a Row) -> Result<Self, Failure> {
        Ok(Self {
            row,
            key: row.try_get(column::SEQ)?,
        })
    }

    fn damage(&self, column: &'static str) -> Failure {
        Damage { key: self.key, column }.into()
    }

    fn get<T: FromSql<'a>>(&self, index: usize, name: &'static str) -> Result<T, Failure> {
        self.row.try_get(index).map_err(|_| self.damage(name))
    }

    fn made<V: FromSql<'a>, T>(
        &self,
        index: usize,
        name: &'static str,
        make: impl FnOnce(V) -> Option<T>,
    ) -> Result<T, Failure> {
        make(self.get(index, name)?).ok_or_else(|| self.damage(name))
    }

    fn optional<T>(
        &self,
        index: usize,
        name: &'static str,
        make: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, Failure> {
        let bytes: Option<&[u8]> = self.get(index, name)?;
        bytes
            .map(|bytes| make(bytes).ok_or_else(|| self.damage(name)))
            .transpose()
    }

    fn time(&self, index: usize, name: &'static str) -> Result<Timestamp, Failure> {
        self.made(index, name, Timestamp::new)
    }
}

impl ReadColumns for Columns<'_> {
    type Error = Failure;

    fn number(&self, column: Column) -> Result<Option<i64>, Failure> {
        let (index, name) = column::place(column);
        match column {
            Column::State | Column::LeaseState => Ok(self.get::<Option<i16>>(index, name)?.map(i64::from)),
            _ => self.get(index, name),
        }
    }

    fn bytes(&self, column: Column) -> Result<Option<&[u8]>, Failure> {
        let (index, name) = column::place(column);
        self.get(index, name)
    }

    fn damaged(&self, column: Column) -> Failure {
        self.damage(column::place(column).1)
    }
}
