//! Tests the limits of a store and of a page, what its `Debug` shows, and that the queue keeps its order when memory is given back.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use kp_core::rules::Limits;
use kp_core::server::*;
use kp_core::*;
use kp_memory::MemoryStore;

const NOW: Timestamp = Timestamp::MIN;

fn package(number: u8, not_after: i64) -> KeyPackage {
    let not_after = Timestamp::new(not_after).unwrap();
    KeyPackage::new(
        KeyPackageInfo::new(
            KeyPackageRef::try_from([number].as_slice()).unwrap(),
            Ciphersuite(1),
            Lifetime::new(NOW, not_after).unwrap(),
            CredentialHash([0; 32]),
        ),
        KeyPackageBytes::try_from(b"secret".as_slice()).unwrap(),
    )
}

#[tokio::test]
async fn a_pool_remembers_as_many_as_the_store_was_made_for() {
    let store = MemoryStore::with_limits(Limits::default().max_records(2));
    let pool = PoolId::try_from("bob").unwrap();
    let save = async |number, not_after, now| store.save_key_package(&pool, package(number, not_after), now).await;
    assert_eq!(save(1, 10, NOW).await.unwrap(), SaveOutcome::Saved);
    assert_eq!(save(2, 20, NOW).await.unwrap(), SaveOutcome::Saved);
    assert_eq!(save(3, 20, NOW).await.unwrap(), SaveOutcome::PoolFull);
    // The first expires, is not swept, and counts again when time steps back (SAVE-7, TIME-3).
    assert_eq!(save(3, 20, NOW.plus(10)).await.unwrap(), SaveOutcome::Saved);
    assert_eq!(save(4, 20, NOW).await.unwrap(), SaveOutcome::PoolFull);
}

#[tokio::test]
async fn debug_tells_the_size_and_no_secrets() {
    let store = MemoryStore::new();
    let pool = PoolId::try_from("bob").unwrap();
    store.save_key_package(&pool, package(1, 10), NOW).await.unwrap();
    let shown = format!("{store:?}");
    assert_eq!(shown, "MemoryStore { pools: 1, limits: Limits { max_records: 10000 } }");
}

#[tokio::test]
async fn the_queue_keeps_its_order_when_a_sweep_gives_memory_back() {
    let store = MemoryStore::new();
    let pool = PoolId::try_from("bob").unwrap();
    let packages = (0..200).map(|number| package(number, if number < 198 { 10 } else { 100 }));
    let save = Save::new(pool.clone(), packages).unwrap();
    store.save_key_packages(&save, NOW).await.unwrap();
    let now = NOW.plus(10);
    assert_eq!(store.cleanup_expired(now, 1_000).await.unwrap(), 198);
    store.save_key_package(&pool, package(200, 100), now).await.unwrap();
    for number in 198..=200 {
        let id = ReservationId::from_bytes([number; 16]);
        let take = TakeRequest::new(pool.clone(), id, Ttl::try_from(60).unwrap());
        let claimed = store.claim_key_package(&take, None, now).await.unwrap();
        assert_eq!(claimed, package(number, 100));
    }
}

#[tokio::test]
async fn a_package_reserved_while_memory_is_given_back_returns_to_its_place() {
    let store = MemoryStore::new();
    let pool = PoolId::try_from("bob").unwrap();
    let take = |id| {
        TakeRequest::new(
            pool.clone(),
            ReservationId::from_bytes([id; 16]),
            Ttl::try_from(60).unwrap(),
        )
    };
    let packages = (0..200).map(|number| package(number, if number < 196 { 10 } else { 100 }));
    let save = Save::new(pool.clone(), packages).unwrap();
    store.save_key_packages(&save, NOW).await.unwrap();
    let mut tokens = Vec::new();
    for number in [196, 198] {
        let named = KeyPackageRef::try_from([number].as_slice()).unwrap();
        let take = take(number).options(TakeOptions::new().only(named));
        let reserved = store.reserve_key_package(&take, OnLapse::Return, NOW).await.unwrap();
        tokens.push(reserved.lease.unwrap().token);
    }
    let now = NOW.plus(10);
    assert_eq!(store.cleanup_expired(now, 1_000).await.unwrap(), 196);
    for token in tokens.iter().rev() {
        store.release_key_package(token, now).await.unwrap();
    }
    for number in 196..200 {
        let claimed = store.claim_key_package(&take(number), None, now).await.unwrap();
        assert_eq!(claimed, package(number, 100));
    }
    let emptied = store.claim_key_package(&take(0), None, now).await.unwrap_err();
    assert_eq!(emptied.rejection(), Some(&Rejection::PoolExhausted));
}

/// READ-5: also a page that is put together from several looks at the schedule.
#[tokio::test]
async fn a_page_of_pools_is_as_long_as_asked_for() {
    let store = MemoryStore::new();
    for number in 0..2_100 {
        let pool = PoolId::try_from(format!("{number}").as_str()).unwrap();
        store.save_key_package(&pool, package(1, 10), NOW).await.unwrap();
    }
    let (mut after, mut pages) = (None, Vec::new());
    while pages.len() < 3 {
        let page = store.list_pools(after.as_ref(), 1_500).await.unwrap();
        pages.push(page.items.len());
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(pages, [1_500, 600]);
}

/// READ-2, READ-5: a page that ends with the last item names no next one.
#[tokio::test]
async fn the_last_page_names_no_next_one() {
    let store = MemoryStore::new();
    let pools = ["alice", "bob"].map(|name| PoolId::try_from(name).unwrap());
    for pool in &pools {
        let save = Save::new(pool.clone(), (0..4).map(|number| package(number, 10))).unwrap();
        store.save_key_packages(&save, NOW).await.unwrap();
    }
    let available = async |after: Option<&Cursor>| store.list_available(&pools[0], after, 2, NOW).await.unwrap();
    let first = available(None).await;
    let last = available(first.next.as_ref()).await;
    assert_eq!((first.items.len(), last.items.len(), last.next), (2, 2, None));
    let all = store.list_pools(None, 2).await.unwrap();
    assert_eq!((all.items.as_slice(), all.next), (pools.as_slice(), None));
}
