//! Keys of a wrong type, and entries of a bucket that is not the pool's.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod calls;
mod packages;

use calls::servers;
use kp_core::audit::{AuditPools, Fault, Finding};
use kp_core::server::{KeyPackageStore, KeyPackageStoreExt, OnLapse};
use kp_redis::RedisStore;
use kp_test_support::servers::Server;
use packages::{now, pool, save, take};

async fn open(server: &Server) -> RedisStore {
    RedisStore::builder(server.url()).buckets(4).open().await.unwrap()
}

/// Fills a pool, of which one package is reserved. Returns the name of one of its keys, which has this kind in place of `r`.
async fn fill(server: &Server, store: &RedisStore, name: &str) -> impl Fn(&str) -> String + use<> {
    let bob = pool(name);
    store.save_key_packages(&save(&bob, 0..5), now()).await.unwrap();
    let reserved = store.reserve_key_package(&take(&bob, 1), OnLapse::Return, now()).await;
    reserved.unwrap();
    let keys: Vec<String> = server.command(&["KEYS", &format!("kp:*:r:{name}")]).unwrap();
    move |kind| keys[0].replace(":r:", &format!(":{kind}:"))
}

#[tokio::test]
async fn a_key_of_a_wrong_type_is_its_pools_fault_until_the_pool_is_deleted() {
    for server in servers(&[]) {
        let store = open(&server).await;
        let (bob, eve) = (pool("bob"), pool("eve"));
        let _ = fill(&server, &store, "eve").await;
        for kind in ["r", "q", "l", "i", "t", "f"] {
            let key = fill(&server, &store, "bob").await;
            let () = server.command(&["SET", &key(kind), "x"]).unwrap();
            let unreadable = [Finding::new(Fault::Unreadable, 1)];
            let audited = store.audit_pool(&bob).await;
            assert_eq!(
                audited.unwrap_or_else(|error| panic!("{kind}: {error}")),
                unreadable,
                "{kind}"
            );
            assert_eq!(store.audit_pool(&eve).await.unwrap(), []);
            store.repair_pool(&bob).await.unwrap();
            assert_eq!(store.audit_pool(&bob).await.unwrap(), unreadable, "{kind}");
            store.delete_pool(&bob).await.unwrap();
            assert_eq!(store.audit_pool(&bob).await.unwrap(), [], "{kind}");
            assert_eq!(store.audit_strays().await.unwrap(), []);
            let listed = store.list_pools(None, 10).await.unwrap().items;
            assert_eq!(listed, std::slice::from_ref(&eve));
        }
    }
}

/// Else nobody would learn which pool has the key.
#[tokio::test]
async fn a_pool_with_such_a_key_that_is_not_listed_is_listed() {
    for server in servers(&[]) {
        let store = open(&server).await;
        let key = fill(&server, &store, "bob").await;
        let () = server.command(&["SET", &key("q"), "x"]).unwrap();
        let index = key("pools").replace(":bob", "");
        assert_eq!(server.command::<u64>(&["ZREM", &index, "bob"]).unwrap(), 1);
        assert_eq!(store.audit_strays().await.unwrap(), [Finding::new(Fault::Orphan, 1)]);
        store.repair_strays().await.unwrap();
        assert_eq!(store.audit_strays().await.unwrap(), []);
        assert_eq!(store.list_pools(None, 10).await.unwrap().items, [pool("bob")]);
    }
}

#[tokio::test]
async fn an_entry_of_another_bucket_is_removed() {
    for server in servers(&[]) {
        let store = open(&server).await;
        let key = fill(&server, &store, "bob").await;
        let own = key("pools").replace(":bob", "");
        let others = (0..4).map(|bucket| format!("kp:{{{bucket}}}:pools"));
        let others: Vec<_> = others.filter(|index| *index != own).collect();
        assert_eq!(others.len(), 3, "{own}");
        for other in &others {
            for index in ["pools", "expiry", "lapse"] {
                let index = other.replace("pools", index);
                assert_eq!(server.command::<u64>(&["ZADD", &index, "5", "bob"]).unwrap(), 1);
            }
        }
        assert_eq!(store.audit_strays().await.unwrap(), [Finding::new(Fault::Orphan, 9)]);
        store.repair_strays().await.unwrap();
        assert_eq!(store.audit_strays().await.unwrap(), []);
        assert_eq!(store.audit_pool(&pool("bob")).await.unwrap(), []);
        assert_eq!(store.list_pools(None, 10).await.unwrap().items, [pool("bob")]);
    }
}
