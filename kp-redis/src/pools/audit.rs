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

/// What `audit.lua` counts, behind the keys of another type.
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

/// What `audit.lua` found.
struct Derived {
    found: Vec<Finding>,
    /// Whether the keys are of the types that scripts read.
    is_legible: bool,
}

/// An entry of an index that is not of the pool's bucket.
struct Misplaced {
    index: Index,
    bucket: u16,
    pool: PoolId,
}

/// What no index leads to, and what an index of a bucket should not lead to.
#[derive(Default)]
struct Strays {
    /// Pools that are not listed.
    pools: Vec<PoolId>,
    misplaced: Vec<Misplaced>,
}

fn counted(reply: redis::Value) -> Read<Derived> {
    let mut fields = Fields::of(reply)?;
    let keys = fields.integer()?.unsigned_abs();
    let mut found = Vec::new();
    found.extend((keys > 0).then(|| Finding::new(Fault::Unreadable, keys)));
    for fault in OF_POOL {
        let count = fields.integer()?.unsigned_abs();
        found.extend((count > 0).then(|| Finding::new(fault, count)));
    }
    Ok(Derived {
        found,
        is_legible: keys == 0,
    })
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
    async fn derived(&self, pool: &PoolId) -> std::result::Result<Derived, BackendError> {
        let script = &scripts::AUDIT;
        let reply = self.runner().run(script, pool, Timestamp::MIN, Vec::new()).await?;
        counted(reply).map_err(|source| malformed(script, source))
    }

    /// Finds the pools that have a key or are in an index, and are not among the pools of their bucket, and the entries of others'
    /// buckets.
    async fn strays(&self, operation: &'static str) -> std::result::Result<Strays, BackendError> {
        let runner = self.runner();
        let (mut listed, mut there) = (HashSet::new(), HashSet::new());
        let mut strays = Strays::default();
        for bucket in 0..runner.keys.buckets() {
            for index in [Index::Pools, Index::Expiry, Index::Lapse] {
                let range = ["0", "-1"].map(|place| place.as_bytes().to_vec());
                for pool in runner.read_index(operation, index, bucket, "ZRANGE", &range).await? {
                    if runner.keys.bucket(&pool) != bucket {
                        strays.misplaced.push(Misplaced { index, bucket, pool });
                    } else if let Index::Pools = index {
                        listed.insert(pool);
                    } else {
                        there.insert(pool);
                    }
                }
            }
        }
        there.retain(|pool| !listed.contains(pool));
        let visit = |key: Vec<u8>| there.extend(runner.keys.pool_of(&key).filter(|pool| !listed.contains(pool)));
        runner.each_key(operation, KEYS, visit).await?;
        // Pools come and go meanwhile: each is looked at in one step.
        for pool in there {
            let derived = self.derived(&pool).await?;
            if derived.found.iter().any(|finding| finding.fault == Fault::Listing) {
                strays.pools.push(pool);
            }
        }
        Ok(strays)
    }
}

#[async_trait]
impl AuditPools for RedisStore {
    async fn audit_pool(&self, pool: &PoolId) -> Result<Vec<Finding>> {
        let Derived { mut found, is_legible } = self.derived(pool).await?;
        if !is_legible {
            return Ok(found);
        }
        let script = &scripts::EXPORT;
        let reply = self.runner().run(script, pool, Timestamp::MIN, Vec::new()).await?;
        found.extend(of_records(reply).map_err(|source| malformed(script, source))?);
        Ok(found)
    }

    async fn audit_strays(&self) -> Result<Vec<Finding>> {
        let Strays { pools, misplaced } = self.strays("audit_strays").await?;
        let strays = (pools.len() + misplaced.len()) as u64;
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

    /// A pool that has records is listed again; what is left of one that has none is removed, and so is an entry of another bucket.
    async fn repair_strays(&self) -> Result<()> {
        let operation = "repair_strays";
        let Strays { pools, misplaced } = self.strays(operation).await?;
        for Misplaced { index, bucket, pool } in misplaced {
            self.runner().unlist(operation, index, bucket, &pool).await?;
        }
        for pool in pools {
            self.repair_pool(&pool).await?;
        }
        Ok(())
    }
}
