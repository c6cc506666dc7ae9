use std::collections::HashMap;

use kp_core::rules::Record;
use kp_core::{KeyPackageRef, PoolId};

use crate::file::calls::{self, Session};
use crate::pools::pool_row::PoolRow;
use crate::pools::queue::Hint;

/// The most pools, and the most leases, that are kept: some megabytes each.
const CAPACITY: usize = 16_384;

/// What the writer knows without asking, as it is stored: most calls need not look it up.
///
/// It is true for as long as nobody else commits to the file, which SQLite says by its `data_version`.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    /// The pools that it met lately.
    pools: HashMap<PoolId, (PoolRow, Hint)>,
    /// The records that it leased lately, by their pools' keys: what is spent next.
    leased: HashMap<(i64, KeyPackageRef), Record>,
}

impl Cache {
    pub(crate) fn pool(&self, pool: &PoolId) -> Option<&(PoolRow, Hint)> {
        self.pools.get(pool)
    }

    /// The row of a pool, as it was read or stored, and what else was found out.
    pub(crate) fn put_pool(&mut self, pool: &PoolId, row: PoolRow, hint: Hint) {
        if let Some(known) = self.pools.get_mut(pool) {
            *known = (row, hint);
            return;
        }
        if self.pools.len() >= CAPACITY {
            self.pools.clear();
        }
        self.pools.insert(pool.clone(), (row, hint));
    }

    /// A record that was leased.
    pub(crate) fn put_leased(&mut self, pool: i64, record: Record) {
        if self.leased.len() >= CAPACITY {
            self.leased.clear();
        }
        let key = (pool, record.info.key_package_ref.clone());
        self.leased.insert(key, record);
    }

    /// Such a record; whoever asks for it is about to change it, as a rule.
    pub(crate) fn take_leased(&mut self, pool: i64, key_package_ref: &KeyPackageRef) -> Option<Record> {
        self.leased.remove(&(pool, key_package_ref.clone()))
    }

    /// Records go, and nobody says which.
    pub(crate) fn clear_leased(&mut self) {
        self.leased.clear();
    }

    /// A pool that is gone.
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

/// The session of a thread that has to do with pools.
pub(crate) type PoolSession<'c> = Session<'c, Cache>;
