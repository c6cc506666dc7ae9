//! Reads and writes `keypackage_pool_metadata_leases`.

use kp_core::client::{LeaseHolder, LeaseName, StorageLease};

use crate::file::calls::Statements;
use crate::file::columns::Columns;
use crate::file::error::{Damage, Failure};
use crate::sql::Sql;

/// Reads the lease of a name.
pub(crate) fn find(statements: &mut Statements<'_>, name: LeaseName) -> Result<Option<StorageLease>, Failure> {
    let mut rows = statements.get(Sql::MetadataLease)?.query([name.as_str()])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let columns = Columns::of(row)?;
    Ok(Some(StorageLease {
        holder: columns.made(1, "holder", |bytes: &[u8]| {
            bytes.try_into().ok().map(LeaseHolder::from_bytes)
        })?,
        fence: columns.made(2, "fence", |fence: i64| u64::try_from(fence).ok())?,
        since: columns.time(3, "since")?,
        until: columns.time(4, "until")?,
    }))
}

/// Writes the lease of a name.
pub(crate) fn store(statements: &mut Statements<'_>, name: LeaseName, lease: &StorageLease) -> Result<(), Failure> {
    let fence = i64::try_from(lease.fence).map_err(|_| Damage {
        key: -1,
        column: "fence",
    })?;
    let values = (
        name.as_str(),
        lease.holder.as_bytes(),
        fence,
        lease.since.get(),
        lease.until.get(),
    );
    statements.execute(Sql::MetadataLeaseStore, values)?;
    Ok(())
}
