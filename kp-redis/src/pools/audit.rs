//! Audits pools: `audit.lua` and `repair.lua`, and the keys that no index leads to.

use std::collections::HashSet;

use async_trait::async_trait;
use kp_core::audit::{AuditPools, Fault, Finding, contradictions};
use kp_core::{BackendError, PoolId, Result, Timestamp};

use crate::keys::Index;
use crate::link::error::malformed;
use crate::pools::moving::exported;
use crate::pools::replies::{self, Fields, Item, Read};
use crate::pools::scripts;
use crate::pools::store::RedisStore;

/// What `audit.lua` counts.
const OF_POOL: [Fault; 9] = [
    Fault::Unreadable,
    Fault::Listing,
    Fault::Sequence,
    Fault::Expiry,
    Fault::Lapse,
    Fault::Queue,
    Fault::Binding,
    Fault::InitKey,
    Fault::StrayLease,
];

/// How many keys a step of a walk over all keys looks at, about.
const KEYS: u32 = 1_000;

fn counted(reply: redis::Value) -> Read<Vec<Finding>> {
    let mut fields = Fields::of(reply)?;
    let mut found = Vec::new();
    for fault in OF_POOL {
        let count = fields.integer()?.unsigned_abs();
        found.extend((count > 0).then(|| Finding::new(fault, count)));
    }
    Ok(found)
}

/// Finds what is wrong with the records alone: those that `audit.lua` can read.
fn of_records(reply: redis::Value) -> Read<Vec<Finding>> {
    let (mut records, mut unreadable) = (Vec::new(), 0);
    for reply in Fields::of(reply)?.rest() {
        match replies::item(reply)? {
            Item::Ok(fields) => match exported(fields) {
                Ok(record) => records.push(record),
                Err(_) => unreadable += 1,
            },
            _ => continue,
        }
    }
    let mut found = contradictions(&records);
    found.extend((unreadable > 0).then(|| Finding::new(Fault::Unreadable, unreadable)));
    Ok(found)
}

impl RedisStore {
    /// Finds what is wrong with what follows from the records of a pool.
    async fn derived(&self, pool: &PoolId) -> std::result::Result<Vec<Finding>, BackendError> {
        let script = &scripts::AUDIT;
        let reply = self.runner().run(script, pool, Timestamp::MIN, Vec::new()).await?;
        counted(reply).map_err(|source| malformed(script, source))
    }

    /// Finds the pools that have a key or are in an index, and are not among the pools of their bucket.
    async fn strays(&self, operation: &'static str) -> std::result::Result<Vec<PoolId>, BackendError> {
        let runner = self.runner();
        let (mut listed, mut there) = (HashSet::new(), HashSet::new());
        for bucket in 0..runner.keys.buckets() {
            let all = async |index| {
                let range = ["0", "-1"].map(|place| place.as_bytes().to_vec());
                runner.read_index(operation, index, bucket, "ZRANGE", &range).await
            };
            listed.extend(all(Index::Pools).await?);
            there.extend(all(Index::Expiry).await?);
            there.extend(all(Index::Lapse).await?);
        }
        there.retain(|pool| !listed.contains(pool));
        let visit = |key: Vec<u8>| there.extend(runner.keys.pool_of(&key).filter(|pool| !listed.contains(pool)));
        runner.each_key(operation, KEYS, visit).await?;
        // Pools come and go meanwhile: each is looked at in one step.
        let mut strays = Vec::new();
        for pool in there {
            let found = self.derived(&pool).await?;
            if found.iter().any(|finding| finding.fault == Fault::Listing) {
                strays.push(pool);
            }
        }
        Ok(strays)
    }
}

#[async_trait]
impl AuditPools for RedisStore {
    async fn audit_pool(&self, pool: &PoolId) -> Result<Vec<Finding>> {
        let mut found = self.derived(pool).await?;
        let script = &scripts::EXPORT;
        let reply = self.runner().run(script, pool, Timestamp::MIN, Vec::new()).await?;
        found.extend(of_records(reply).map_err(|source| malformed(script, source))?);
        Ok(found)
    }

    async fn audit_strays(&self) -> Result<Vec<Finding>> {
        let strays = self.strays("audit_strays").await?.len() as u64;
        Ok((strays > 0)
            .then(|| Finding::new(Fault::Orphan, strays))
            .into_iter()
            .collect())
    }

    async fn repair_pool(&self, pool: &PoolId) -> Result<()> {
        let script = &scripts::REPAIR;
        self.runner().run(script, pool, Timestamp::MIN, Vec::new()).await?;
        Ok(())
    }

    /// A pool that has records is listed again; what is left of one that has none is removed.
    async fn repair_strays(&self) -> Result<()> {
        for pool in self.strays("repair_strays").await? {
            self.repair_pool(&pool).await?;
        }
        Ok(())
    }
}
