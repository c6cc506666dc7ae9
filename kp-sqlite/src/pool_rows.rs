use std::collections::HashMap;

use kp_core::PoolId;

use crate::pool_row::PoolRow;

/// The most rows that are kept: some megabytes.
const MOST: usize = 16_384;

/// The rows of the pools that the writer met lately, as they are stored: most calls need not look theirs up.
///
/// They are true for as long as nobody else commits to the file, which SQLite says by its `data_version`.
#[derive(Debug, Default)]
pub(crate) struct PoolRows {
    version: i64,
    rows: HashMap<PoolId, PoolRow>,
}

impl PoolRows {
    /// A transaction has begun at this version of the file.
    pub(crate) fn begin(&mut self, version: i64) {
        if self.version != version {
            self.rows.clear();
            self.version = version;
        }
    }

    /// A transaction was undone.
    pub(crate) fn undo(&mut self) {
        self.rows.clear();
    }

    pub(crate) fn get(&self, pool: &PoolId) -> Option<&PoolRow> {
        self.rows.get(pool)
    }

    /// A row that was read or stored.
    pub(crate) fn put(&mut self, pool: &PoolId, row: PoolRow) {
        if self.rows.len() >= MOST {
            self.rows.clear();
        }
        self.rows.insert(pool.clone(), row);
    }

    /// A pool that is gone.
    pub(crate) fn remove(&mut self, pool: &PoolId) {
        self.rows.remove(pool);
    }
}

#[cfg(test)]
mod tests {
    use kp_core::*;

    use crate::SqliteStore;

    const NOW: Timestamp = Timestamp::MIN;

    fn pool(name: &str) -> PoolId {
        PoolId::try_from(name).unwrap()
    }

    fn save(of: &str, name: &str) -> Save {
        let info = PackageInfo {
            key_package_ref: KeyPackageRef::try_from(name).unwrap(),
            ciphersuite: Ciphersuite(1),
            lifetime: Lifetime::new(NOW, NOW.plus(100)).unwrap(),
            last_resort: false,
            credential: CredentialHash([1; 32]),
        };
        let bytes = PackageBytes::try_from(name.as_bytes()).unwrap();
        Save::one(pool(of), Package { info, bytes })
    }

    /// Between two calls of this store, another one deletes the pool, gives its key to somebody else's, and makes it anew.
    #[tokio::test]
    async fn what_another_store_changed_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pools.db");
        let here = SqliteStore::open(&path).await.unwrap();
        let there = SqliteStore::open(&path).await.unwrap();
        for name in ["first", "second"] {
            here.save_key_packages(&save("bob", name), NOW).await.unwrap();
        }
        there.delete_pool(&pool("bob")).await.unwrap();
        there.save_key_packages(&save("alice", "hers"), NOW).await.unwrap();
        there.save_key_packages(&save("bob", "third"), NOW).await.unwrap();
        let id = ReservationId::from_bytes([1; 16]);
        let take = Take::new(pool("bob"), id, Ttl::try_from(60).unwrap());
        let claimed = here.claim_key_package(&take, None, NOW).await.unwrap();
        assert_eq!(claimed.bytes.as_ref(), b"third");
        let again = here.save_key_packages(&save("bob", "first"), NOW).await.unwrap();
        assert_eq!(again, [SaveOutcome::Saved], "it was forgotten with its pool");
    }
}
