//! Tells a damaged pool from a store that fails.

use kp_core::audit::Finding;
use kp_core::moving::PoolExport;
use kp_core::{Error, PoolId, Result};

use crate::stores::Store;

/// Exports a pool that can be read. The inner error says why another cannot.
pub(super) async fn export(store: &Store, pool: &PoolId) -> Result<std::result::Result<PoolExport, String>> {
    let failure = match store.export_pool(pool).await {
        Err(Error::Backend(failure)) if !failure.is_transient() => failure,
        exported => return exported.map(Ok),
    };
    let found = store.audit_pool(pool).await.unwrap_or_default();
    Ok(Err(says(&found).unwrap_or_else(|| failure.to_string())))
}

/// Says what an audit found; `None`: nothing.
pub(super) fn says(found: &[Finding]) -> Option<String> {
    let says = found.iter().map(|finding| finding.fault.to_string());
    let says = says.collect::<Vec<_>>().join(", ");
    Some(says).filter(|says| !says.is_empty())
}

/// Returns whether anything is stored of a pool, damaged or not.
pub(super) async fn is_there(store: &Store, pool: &PoolId) -> Result<bool> {
    let is_empty = export(store, pool).await?.is_ok_and(|export| export.is_empty());
    Ok(!is_empty || !store.audit_pool(pool).await?.is_empty())
}
