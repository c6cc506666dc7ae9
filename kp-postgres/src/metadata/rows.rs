//! Reads and writes the rows, the record and the leases of a client.

use kp_core::client::{JoinMark, KeyPackageMetadata, LeaseHolder, Lifecycle, PoolRecord, StorageLease};
use kp_core::{Ciphersuite, CredentialHash, KeyPackageRef, Role, Timestamp};
use tokio_postgres::types::FromSql;

use crate::link::error::{Damage, Failure};
use crate::link::param::Param;
use crate::link::row::Row;

fn damage(column: &'static str) -> Failure {
    Damage { key: -1, column }.into()
}

fn get<'a, T: FromSql<'a>>(row: &'a Row, index: usize, name: &'static str) -> Result<T, Failure> {
    row.try_get(index).map_err(|_| damage(name))
}

fn time(row: &Row, index: usize, name: &'static str) -> Result<Timestamp, Failure> {
    Timestamp::new(get(row, index, name)?).ok_or_else(|| damage(name))
}

fn optional_time(row: &Row, index: usize, name: &'static str) -> Result<Option<Timestamp>, Failure> {
    let time: Option<i64> = get(row, index, name)?;
    time.map(|time| Timestamp::new(time).ok_or_else(|| damage(name)))
        .transpose()
}

fn holder(bytes: &[u8]) -> Option<LeaseHolder> {
    bytes.try_into().ok().map(LeaseHolder::from_bytes)
}

/// Reads rows. A damaged row is an error: a client that misses a row would take its key for lost.
pub(crate) fn read_all(rows: &[Row]) -> Result<Vec<KeyPackageMetadata>, Failure> {
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<KeyPackageMetadata, Failure> {
    let join_holder: Option<&[u8]> = get(row, 10, "join_holder")?;
    let mark = match (join_holder, optional_time(row, 11, "join_until")?) {
        (None, None) => None,
        (Some(bytes), Some(until)) => Some(JoinMark {
            holder: holder(bytes).ok_or_else(|| damage("join_holder"))?,
            until,
        }),
        _ => return Err(damage("join_until")),
    };
    let delete_at = optional_time(row, 9, "delete_at")?;
    let key_package_ref: &[u8] = get(row, 0, "ref")?;
    let ciphersuite: i32 = get(row, 12, "ciphersuite")?;
    let credential: &[u8] = get(row, 14, "credential")?;
    Ok(KeyPackageMetadata {
        key_package_ref: KeyPackageRef::try_from(key_package_ref).map_err(|_| damage("ref"))?,
        lifecycle: Lifecycle::from_parts(get(row, 1, "status")?, delete_at, mark).ok_or_else(|| damage("status"))?,
        created_at: time(row, 2, "created_at")?,
        offered_at: optional_time(row, 3, "offered_at")?,
        uploaded_at: optional_time(row, 4, "uploaded_at")?,
        reserved_at: optional_time(row, 5, "reserved_at")?,
        spent_at: optional_time(row, 6, "spent_at")?,
        not_before: optional_time(row, 7, "not_before")?,
        not_after: time(row, 8, "not_after")?,
        ciphersuite: u16::try_from(ciphersuite)
            .map(Ciphersuite)
            .map_err(|_| damage("ciphersuite"))?,
        role: Role::of(get(row, 13, "last_resort")?),
        credential: credential
            .try_into()
            .map(CredentialHash)
            .map_err(|_| damage("credential"))?,
    })
}

/// Returns the columns of rows, in the order of `metadata_list.sql`.
pub(crate) fn columns<'a>(rows: impl Iterator<Item = &'a KeyPackageMetadata> + Clone) -> Vec<Param> {
    let times = |time: fn(&KeyPackageMetadata) -> Option<Timestamp>| {
        Param::ManyInts(rows.clone().map(|row| time(row).map(Timestamp::get)).collect())
    };
    let holder = |row: &KeyPackageMetadata| row.lifecycle.mark().map(|mark| mark.holder.as_bytes().to_vec());
    vec![
        Param::all_bytes(rows.clone().map(|row| &row.key_package_ref)),
        Param::ManyTexts(rows.clone().map(|row| row.lifecycle.name().into()).collect()),
        times(|row| Some(row.created_at)),
        times(|row| row.offered_at),
        times(|row| row.uploaded_at),
        times(|row| row.reserved_at),
        times(|row| row.spent_at),
        times(|row| row.not_before),
        times(|row| Some(row.not_after)),
        times(|row| row.lifecycle.delete_at()),
        Param::ManyBytes(rows.clone().map(holder).collect()),
        times(|row| row.lifecycle.mark().map(|mark| mark.until)),
        Param::all_ints(rows.clone().map(|row| row.ciphersuite.0.into())),
        Param::ManyBools(rows.clone().map(|row| Some(row.role.is_last_resort())).collect()),
        Param::all_bytes(rows.map(|row| row.credential.0)),
    ]
}

/// Reads the record of the pool; an empty one if none was written.
pub(crate) fn read_record(rows: &[Row]) -> Result<PoolRecord, Failure> {
    let numbers: Vec<i64> = rows.first().map_or(Ok(Vec::new()), |row| get(row, 0, "record"))?;
    let (pairs, rest) = numbers.as_chunks::<2>();
    let pairs: Result<Vec<_>, _> = pairs
        .iter()
        .map(|[key, number]| u32::try_from(*key).map(|key| (key, *number)))
        .collect();
    match pairs {
        Ok(pairs) if rest.is_empty() => PoolRecord::from_numbers(pairs).ok_or_else(|| damage("record")),
        _ => Err(damage("record")),
    }
}

/// Returns the record of the pool as a column.
pub(crate) fn record(record: &PoolRecord) -> Param {
    Param::all_ints(record.numbers().flat_map(|(key, number)| [key.into(), number]))
}

/// Reads a lease, if it was ever granted.
pub(crate) fn read_lease(rows: &[Row]) -> Result<Option<StorageLease>, Failure> {
    let Some(row) = rows.first() else { return Ok(None) };
    let fence: i64 = get(row, 1, "fence")?;
    Ok(Some(StorageLease {
        holder: holder(get(row, 0, "holder")?).ok_or_else(|| damage("holder"))?,
        fence: u64::try_from(fence).map_err(|_| damage("fence"))?,
        since: time(row, 2, "since")?,
        until: time(row, 3, "until")?,
    }))
}

/// Returns the columns of a lease.
pub(crate) fn lease(lease: &StorageLease) -> Vec<Param> {
    vec![
        Param::Bytes(lease.holder.as_bytes().to_vec()),
        Param::Int(i64::try_from(lease.fence).unwrap_or(i64::MAX)),
        Param::Int(lease.since.get()),
        Param::Int(lease.until.get()),
    ]
}
