use async_trait::async_trait;
use kp_core::audit::{AuditPools, Fault, Finding, contradictions};
use kp_core::{PoolId, Result};
use rusqlite::Row;

use crate::file::calls::Cache as _;
use crate::file::error::Failure;
use crate::file::migrations::{Made, POOLS};
use crate::pools::cache::PoolSession;
use crate::pools::pool_row::PoolRow;
use crate::pools::rows::{self, skip_damaged};
use crate::pools::store::SqliteStore;
use crate::sql::Sql;

/// What `audit_pool.sql` counts.
const OF_POOL: [Fault; 7] = [
    Fault::Listing,
    Fault::Count,
    Fault::Sequence,
    Fault::Expiry,
    Fault::Queue,
    Fault::StrayLease,
    Fault::Lease,
];

/// What `audit_strays.sql` counts.
const STRAYS: [Fault; 3] = [Fault::Orphan, Fault::Index, Fault::Unreadable];

/// The tables whose indexes are made anew.
const TABLES: [&str; 3] = ["keypackage_pools", "keypackage_pool_packages", "keypackage_pool_leases"];

/// Reads the counts of faults, and leaves out those that were not found.
fn counted<const N: usize>(row: &Row<'_>, faults: [Fault; N]) -> rusqlite::Result<Vec<Finding>> {
    let mut found = Vec::new();
    for (column, fault) in faults.into_iter().enumerate() {
        let count: u32 = row.get(column)?;
        found.extend((count > 0).then(|| Finding::new(fault, count.into())));
    }
    Ok(found)
}

fn audit(session: &mut PoolSession<'_>, pool: &PoolId) -> std::result::Result<Vec<Finding>, Failure> {
    let pool = match PoolRow::find(&mut session.statements, pool) {
        Ok(Some(pool)) => pool,
        Ok(None) => return Ok(Vec::new()),
        Err(Failure::Damaged(_)) => return Ok(vec![Finding::new(Fault::Unreadable, 1)]),
        Err(failure) => return Err(failure),
    };
    let (mut records, mut unreadable) = (Vec::new(), 0);
    let mut rows = session.statements.get(Sql::Export)?.query([pool.key])?;
    while let Some(row) = rows.next()? {
        let read = rows::record(row, pool.credential).and_then(|record| Ok((record, rows::kept(row)?)));
        match skip_damaged(read)? {
            Some(record) => records.push(record),
            None => unreadable += 1,
        }
    }
    drop(rows);
    let mut found = contradictions(&records);
    found.extend((unreadable > 0).then(|| Finding::new(Fault::Unreadable, unreadable)));
    let counts = session
        .statements
        .one(Sql::AuditPool, [pool.key], |row| counted(row, OF_POOL))?;
    found.extend(counts);
    Ok(found)
}

fn missing(session: &PoolSession<'_>) -> std::result::Result<Vec<Made>, Failure> {
    POOLS.missing(session.statements.connection())
}

fn repair(session: &mut PoolSession<'_>, pool: &PoolId) -> std::result::Result<(), Failure> {
    session.cache.clear();
    let key = match PoolRow::find(&mut session.statements, pool) {
        Ok(Some(pool)) => pool.key,
        Ok(None) | Err(Failure::Damaged(_)) => return Ok(()),
        Err(failure) => return Err(failure),
    };
    for sql in [Sql::RepairLeases, Sql::RepairBytes, Sql::RepairPool, Sql::RepairListing] {
        session.statements.execute(sql, [key])?;
    }
    Ok(())
}

fn repair_strays(session: &mut PoolSession<'_>) -> std::result::Result<(), Failure> {
    session.cache.clear();
    // First: what follows looks rows up by them.
    for made in missing(session)? {
        if let Err(error) = made.make(session.statements.connection()) {
            tracing::warn!(%error, ?made, "an index or a trigger cannot be made anew");
        }
    }
    for table in TABLES {
        let anew = session
            .statements
            .connection()
            .execute_batch(&format!("REINDEX {table}"));
        if let Err(error) = anew {
            tracing::warn!(%error, table, "the indexes of a table cannot be made anew");
        }
    }
    for sql in [Sql::RepairStrayPackages, Sql::RepairStrayLeases, Sql::RepairLostLeases] {
        session.statements.execute(sql, [])?;
    }
    Ok(())
}

#[async_trait]
impl AuditPools for SqliteStore {
    async fn audit_pool(&self, pool: &PoolId) -> Result<Vec<Finding>> {
        let pool = pool.clone();
        let audited = self.read("audit_pool", move |session| match audit(session, &pool) {
            // Statements name the indexes that they use.
            Err(failure @ Failure::Sqlite(_)) => match missing(session)?.len() {
                0 => Err(failure),
                missing => Ok(vec![Finding::new(Fault::Index, missing as u64)]),
            },
            audited => audited,
        });
        Ok(audited.await?)
    }

    async fn audit_strays(&self) -> Result<Vec<Finding>> {
        let strays = self.read("audit_strays", |session| {
            let missing = u32::try_from(missing(session)?.len()).unwrap_or(u32::MAX);
            Ok(session
                .statements
                .one(Sql::AuditStrays, [missing], |row| counted(row, STRAYS))?)
        });
        Ok(strays.await?)
    }

    async fn repair_pool(&self, pool: &PoolId) -> Result<()> {
        let pool = pool.clone();
        let repaired = self.write("repair_pool", move |session| repair(session, &pool));
        Ok(repaired.wait().await?)
    }

    async fn repair_strays(&self) -> Result<()> {
        Ok(self.write("repair_strays", repair_strays).wait().await?)
    }
}
