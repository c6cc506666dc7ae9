use std::collections::HashMap;

use kp_core::rules::Record;
use kp_core::{KeyPackageRef, PoolId};

use crate::file::calls::{self, Session};
use crate::pools::pool_row::PoolRow;
use crate::pools::queue::Hint;

/// The maximum number of cached pools, and of cached records: some megabytes each.
const CAPACITY: usize = 16_384;

/// Caches rows of pools and records, as the file holds them, so that most calls of the writer need not read them.
///
/// The session clears the cache when another connection has committed, and after a rollback.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    /// The rows of recent pools, with their hints.
    pools: HashMap<PoolId, (PoolRow, Hint)>,
    /// Recently leased records, by the key of their pool: the records that are likely to be spent next.
    leased: HashMap<(i64, KeyPackageRef), Record>,
}

impl Cache {
    pub(crate) fn pool(&self, pool: &PoolId) -> Option<&(PoolRow, Hint)> {
        self.pools.get(pool)
    }

    /// Caches the row of a pool, and its hint.
    pub(crate) fn put_pool(&mut self, pool: &PoolId, row: PoolRow, hint: Hint) {
        if let Some(cached) = self.pools.get_mut(pool) {
            *cached = (row, hint);
            return;
        }
        if self.pools.len() >= CAPACITY {
            self.pools.clear();
        }
        self.pools.insert(pool.clone(), (row, hint));
    }

    /// Caches a leased record.
    pub(crate) fn put_leased(&mut self, pool: i64, record: Record) {
        if self.leased.len() >= CAPACITY {
            self.leased.clear();
        }
        let key = (pool, record.info.key_package_ref.clone());
        self.leased.insert(key, record);
    }

    /// Removes a leased record from the cache, and returns it: the caller usually changes the record.
    pub(crate) fn take_leased(&mut self, pool: i64, key_package_ref: &KeyPackageRef) -> Option<Record> {
        self.leased.remove(&(pool, key_package_ref.clone()))
    }

    /// Forgets all leased records, because some records are deleted.
    pub(crate) fn clear_leased(&mut self) {
        self.leased.clear();
    }

    /// Forgets a deleted pool.
    pub(crate) fn remove_pool(&mut self, pool: &PoolId) {
        self.pools.remove(pool);
    }
}

impl calls::Cache for Cache {
    fn clear(&mut self) {
        self.pools.clear();
        self.leased.clear();
    }
}

/// A session of a thread of the pools.
pub(crate) type PoolSession<'c> = Session<'c, Cache>;
