//! Looks at the rows that a check of the conformance suite has left.

use std::path::{Path, PathBuf};

use kp_conformance::{Facets, Space};
use kp_sqlite::SqliteStore;
use kp_test_support::audits::assert_sound;

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
    assert_sound(&store).await;
    store.close().await.expect("the file can be closed");
}
