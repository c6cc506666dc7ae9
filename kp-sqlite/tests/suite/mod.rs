//! Looks at the rows that a check of the conformance suite has left.

use std::path::{Path, PathBuf};

use kp_conformance::{Facets, Space};
use kp_core::audit::AuditPools;
use kp_core::server::KeyPackageStore;
use kp_sqlite::SqliteStore;

/// All that there is.
pub(crate) const FACETS: Facets = Facets::NONE.handles().reopens().processes().limits();

pub(crate) fn file(space: &Space) -> PathBuf {
    space.dir().join("pools.db")
}

/// Whatever the check did, nothing is wrong with what the store keeps.
pub(crate) async fn check_rows(path: &Path) {
    if !path.exists() {
        return; // The check opened no store.
    }
    let store = SqliteStore::open(path).await.expect("the file can be opened");
    assert_eq!(store.audit_strays().await.expect("the file can be read"), []);
    let pools = store.list_pools(None, 10_000).await.expect("the file can be read");
    for pool in pools.items {
        assert_eq!(
            store.audit_pool(&pool).await.expect("the file can be read"),
            [],
            "{pool:?}"
        );
    }
    store.close().await.expect("the file can be closed");
}
