use async_trait::async_trait;
use kp_core::audit::{AuditPools, Fault, Finding, contradictions};
use kp_core::{PoolId, Result};

use crate::link::error::Failure;
use crate::link::param::Param;
use crate::link::row::Row;
use crate::pools::rows::{self, skip_damaged};
use crate::pools::store::{PostgresStore, unreadable};
use crate::sql::{ReadSql, RepairSql};

/// What `audit/pool.sql` counts.
const OF_POOL: [Fault; 9] = [
    Fault::Listing,
    Fault::Count,
    Fault::Sequence,
    Fault::Expiry,
    Fault::Lapse,
    Fault::Queue,
    Fault::StrayLease,
    Fault::Lease,
    Fault::Binding,
];

/// What `audit/strays.sql` counts.
const STRAYS: [Fault; 1] = [Fault::Orphan];

/// What repairs a pool, in this order.
const REPAIRS: [RepairSql; 8] = [
    RepairSql::Leases,
    RepairSql::RetireBound,
    RepairSql::Bytes,
    RepairSql::DeleteIds,
    RepairSql::InsertIds,
    RepairSql::DeleteHead,
    RepairSql::Pool,
    RepairSql::Listing,
];

/// Reads the counts of faults, and leaves out those that were not found.
fn counted<const N: usize>(row: &Row, faults: [Fault; N]) -> std::result::Result<Vec<Finding>, Failure> {
    let mut found = Vec::new();
    for (column, fault) in faults.into_iter().enumerate() {
        let count: i64 = row.try_get(column)?;
        found.extend((count > 0).then(|| Finding::new(fault, count.unsigned_abs())));
    }
    Ok(found)
}

/// Finds what is wrong with the records alone.
fn of_records(rows: &[Row]) -> std::result::Result<Vec<Finding>, Failure> {
    let (mut records, mut unreadable) = (Vec::new(), 0);
    for row in rows {
        match skip_damaged(rows::whole(row))? {
            Some(record) => records.push(record),
            None => unreadable += 1,
        }
    }
    let mut found = contradictions(&records);
    found.extend((unreadable > 0).then(|| Finding::new(Fault::Unreadable, unreadable)));
    Ok(found)
}

#[async_trait]
impl AuditPools for PostgresStore {
    async fn audit_pool(&self, pool: &PoolId) -> Result<Vec<Finding>> {
        let operation = "audit_pool";
        let params = || vec![Param::Bytes(pool.as_bytes().to_vec())];
        let records = self.access().read(operation, ReadSql::Export, params).await?;
        let counts = self.access().read(operation, ReadSql::AuditPool, params).await?;
        let mut found = of_records(&records).map_err(unreadable(operation))?;
        for row in &counts {
            found.extend(counted(row, OF_POOL).map_err(unreadable(operation))?);
        }
        Ok(found)
    }

    async fn audit_strays(&self) -> Result<Vec<Finding>> {
        let operation = "audit_strays";
        let rows = self.access().read(operation, ReadSql::AuditStrays, Vec::new).await?;
        let mut found = Vec::new();
        for row in &rows {
            found.extend(counted(row, STRAYS).map_err(unreadable(operation))?);
        }
        Ok(found)
    }

    async fn repair_pool(&self, pool: &PoolId) -> Result<()> {
        let pool = pool.as_bytes();
        let lock = RepairSql::Lock.with(vec![Param::all_bytes([pool])]);
        let repair = |sql: RepairSql| sql.with(vec![Param::Bytes(pool.to_vec())]);
        let repairs = REPAIRS.map(repair).into();
        Ok(self.repairer().run("repair_pool", vec![lock], repairs).await?)
    }

    async fn repair_strays(&self) -> Result<()> {
        let delete = RepairSql::DeleteStrays.with(Vec::new());
        Ok(self.repairer().run("repair_strays", Vec::new(), vec![delete]).await?)
    }
}
