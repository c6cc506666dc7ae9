//! Reads and writes `keypackage_pool_metadata_record`.

use kp_core::client::PoolRecord;

use crate::file::calls::Statements;
use crate::file::error::{Damage, Failure};
use crate::sql::Sql;

/// Reads the record of the pool.
pub(crate) fn read(statements: &mut Statements<'_>) -> Result<PoolRecord, Failure> {
    let mut rows = statements.get(Sql::MetadataRecord)?.query([])?;
    let damage = |key| Damage { key, column: "number" };
    let mut numbers = Vec::new();
    while let Some(row) = rows.next()? {
        let key: i64 = row.get(0)?;
        let number = row.get(1).map_err(|_| damage(key))?;
        numbers.push((u32::try_from(key).map_err(|_| damage(key))?, number));
    }
    Ok(PoolRecord::from_numbers(numbers).ok_or_else(|| damage(-1))?)
}

/// Replaces the record of the pool.
pub(crate) fn store(statements: &mut Statements<'_>, record: &PoolRecord) -> Result<(), Failure> {
    statements.execute(Sql::MetadataRecordDelete, [])?;
    for number in record.numbers() {
        statements.execute(Sql::MetadataRecordInsert, number)?;
    }
    Ok(())
}
