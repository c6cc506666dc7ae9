//! Looks at what a check of the conformance suite has left.

use kp_core::audit::AuditPools;

/// Asserts that an audit of the whole store finds nothing, whatever the check did.
pub async fn assert_sound(store: &impl AuditPools) {
    assert_eq!(store.audit_strays().await.unwrap(), []);
    let mut after = None;
    loop {
        let page = store.list_pools(after.as_ref(), 10_000).await.unwrap();
        for pool in page.items {
            assert_eq!(store.audit_pool(&pool).await.unwrap(), [], "{pool:?}");
        }
        after = page.next;
        if after.is_none() {
            return;
        }
    }
}
