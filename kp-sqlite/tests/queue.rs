//! The queue of a pool, and what the writer keeps of it between calls.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

use kp_core::key_package::ExtensionType;
use kp_core::server::*;
use kp_core::*;
use kp_sqlite::{SqliteStore, Survives};

/// Returns a one-time package of ciphersuite 1.
fn test_package(named: &[u8], lifetime: Lifetime, bytes: &[u8]) -> KeyPackage {
    KeyPackage::new(
        KeyPackageInfo::new(
            KeyPackageRef::try_from(named).unwrap(),
            Ciphersuite(1),
            lifetime,
            CredentialHash([1; 32]),
        ),
        KeyPackageBytes::try_from(bytes).unwrap(),
    )
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::try_from(1_000 + seconds).unwrap()
}

fn pool() -> PoolId {
    PoolId::try_from("bob").unwrap()
}

async fn open(dir: &tempfile::TempDir) -> SqliteStore {
    let store = SqliteStore::builder(dir.path().join("pools.db")).survives(Survives::ProcessCrash);
    store.open().await.unwrap()
}

async fn save(store: &SqliteStore, numbers: std::ops::Range<u32>, not_after: Timestamp) {
    let lifetime = Lifetime::new(at(-1), not_after).unwrap();
    let package = |number: u32| test_package(&number.to_be_bytes(), lifetime, &[7; 32]);
    let save = Save::new(pool(), numbers.map(package)).unwrap();
    store.save_key_packages(&save, at(0)).await.unwrap();
}

/// Which package the id was given.
async fn reserve(store: &SqliteStore, id: u8, now: Timestamp) -> u32 {
    let take = TakeRequest::new(pool(), ReservationId::from_bytes([id; 16]), Ttl::seconds(60).unwrap());
    let reserved = store.reserve_key_package(&take, OnLapse::Return, now).await.unwrap();
    let named = reserved.package.info.key_package_ref;
    u32::from_be_bytes(named.as_bytes().try_into().unwrap())
}

async fn end(store: &SqliteStore, id: u8, number: u32, spend: bool, now: Timestamp) {
    let named = KeyPackageRef::try_from(number.to_be_bytes().as_slice()).unwrap();
    let token = ReservationToken::new(pool(), named, ReservationId::from_bytes([id; 16]));
    if spend {
        store.spend_key_package(&token, &Spend::default(), now).await.unwrap();
    } else {
        store.release_key_package(&token, now).await.unwrap();
    }
}

/// RES-2: the next in the queue is found behind any number that were spent, whoever looks.
#[tokio::test]
async fn the_queue_goes_on_behind_what_was_spent() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    save(&store, 0..100, at(1_000)).await;
    for number in 0..70 {
        assert_eq!(reserve(&store, number, at(0)).await, u32::from(number));
        // The fifth is leased on.
        if number != 5 {
            end(&store, number, number.into(), true, at(0)).await;
        }
    }
    store.close().await.unwrap();
    let (store, other) = (open(&dir).await, open(&dir).await);
    assert_eq!(reserve(&store, 100, at(1)).await, 70);
    assert_eq!(reserve(&store, 101, at(1)).await, 71);
    assert_eq!(reserve(&other, 102, at(1)).await, 72);
    end(&other, 100, 70, false, at(1)).await;
    assert_eq!(reserve(&store, 103, at(1)).await, 70);
    assert_eq!(reserve(&store, 104, at(60)).await, 5, "lapsed, and back in its place");
    assert_eq!(reserve(&other, 105, at(60)).await, 73);
}

/// TIME-3: a package that a search skipped as expired is found by a caller whose clock is behind.
#[tokio::test]
async fn the_queue_begins_earlier_for_a_clock_that_is_behind() {
    let dir = tempfile::tempdir().unwrap();
    for expired in [3_u8, 40, 90] {
        let store = open(&dir).await;
        let live = u32::from(expired);
        save(&store, 0..live, at(50)).await;
        save(&store, live..live + 4, at(1_000)).await;
        assert_eq!(reserve(&store, 100, at(50)).await, live);
        assert_eq!(reserve(&store, 101, at(49)).await, 0);
        assert_eq!(reserve(&store, 102, at(50)).await, live + 1);
        end(&store, 100, live, false, at(50)).await;
        assert_eq!(reserve(&store, 103, at(49)).await, 0, "its lease ended when it expired");
        assert_eq!(reserve(&store, 104, at(51)).await, live);
        store.delete_pool(&pool()).await.unwrap();
        store.close().await.unwrap();
    }
}

/// Between two calls of this store, another one deletes the pool, gives its key to somebody else's, and makes it anew.
#[tokio::test]
async fn what_another_store_changed_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let (here, there) = (open(&dir).await, open(&dir).await);
    let named = |of: PoolId, name: &str| {
        let lifetime = Lifetime::new(at(-1), at(100)).unwrap();
        Save::one(of, test_package(name.as_bytes(), lifetime, name.as_bytes()))
    };
    for name in ["first", "second"] {
        here.save_key_packages(&named(pool(), name), at(0)).await.unwrap();
    }
    there.delete_pool(&pool()).await.unwrap();
    let alice = PoolId::try_from("alice").unwrap();
    there.save_key_packages(&named(alice, "hers"), at(0)).await.unwrap();
    there.save_key_packages(&named(pool(), "third"), at(0)).await.unwrap();
    let take = TakeRequest::new(pool(), ReservationId::from_bytes([1; 16]), Ttl::seconds(60).unwrap());
    let claimed = here.claim_key_package(&take, None, at(0)).await.unwrap();
    assert_eq!(claimed.bytes.as_ref(), b"third");
    let again = here.save_key_packages(&named(pool(), "first"), at(0)).await.unwrap();
    assert_eq!(again, [SaveOutcome::Saved], "it was forgotten with its pool");
}

/// Which package a claim with these options was given.
async fn claim(store: &SqliteStore, id: u16, options: TakeOptions, now: Timestamp) -> Result<u32> {
    let mut name = [0; 16];
    name[..2].copy_from_slice(&id.to_be_bytes());
    let take = TakeRequest::new(pool(), ReservationId::from_bytes(name), Ttl::seconds(60).unwrap()).options(options);
    let claimed = store.claim_key_package(&take, None, now).await?;
    let named = claimed.info.key_package_ref;
    Ok(u32::from_be_bytes(named.as_bytes().try_into().unwrap()))
}

fn is_unfit<T>(claimed: &Result<T>) -> bool {
    matches!(claimed, Err(Error::Rejected(Rejection::NothingFits)))
}

/// RES-3: a search that finds nothing says nothing of what the next one asks for: neither of lifetimes that begin at several
/// moments, nor of more support than one KeyPackage may name.
#[tokio::test]
async fn what_one_request_does_not_find_another_does() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    let begins = |number: u32, moment: i64| {
        let lifetime = Lifetime::new(at(moment), at(1_000)).unwrap();
        test_package(&number.to_be_bytes(), lifetime, &[7; 32])
    };
    let each = Save::new(pool(), [begins(0, 50), begins(1, -1), begins(2, 90)]).unwrap();
    store.save_key_packages(&each, at(0)).await.unwrap();
    let other = TakeOptions::new().ciphersuites([Ciphersuite(2)]);
    assert!(is_unfit(&claim(&store, 0, other, at(0)).await));
    assert_eq!(claim(&store, 1, TakeOptions::new(), at(0)).await.unwrap(), 1);
    store.delete_pool(&pool()).await.unwrap();

    let supports = |number: u16| {
        let support = Support::new([ExtensionType(0x1000 + number)], [], []);
        Admitted::new(begins(number.into(), -1)).support(support)
    };
    let all = Save::new(pool(), (0..300).map(supports))
        .unwrap()
        .cap_per_ciphersuite(300);
    store.save_key_packages(&all, at(0)).await.unwrap();
    let requires = |number: u16| {
        let required = Requirements::new().extensions([ExtensionType(0x1000 + number)]);
        TakeOptions::new().requirements(required.unwrap())
    };
    for number in [299, 0, 280] {
        assert!(is_unfit(&claim(&store, 1_000 + number, requires(400), at(0)).await));
        let claimed = claim(&store, number, requires(number), at(0)).await.unwrap();
        assert_eq!(claimed, u32::from(number));
    }
}

/// RES-2: a search that begins behind what is leased says nothing of what is before it.
#[tokio::test]
async fn what_is_leased_before_a_search_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    save(&store, 0..100, at(1_000)).await;
    assert_eq!(reserve(&store, 200, at(0)).await, 0);
    // Behind the next one, more are gone than one statement reads.
    let named = |number: u32| KeyPackageRef::try_from(number.to_be_bytes().as_slice()).unwrap();
    let withdrawal = Withdrawal::Refs((2..60).map(named).collect());
    let withdrawn = store.withdraw_key_packages(&pool(), &withdrawal, at(0)).await;
    assert_eq!(withdrawn.unwrap().len(), 58);
    let claimed = claim(&store, 1, TakeOptions::new().only(named(1)), at(0)).await;
    assert_eq!(claimed.unwrap(), 1);
    assert_eq!(reserve(&store, 201, at(0)).await, 60);
    end(&store, 200, 0, false, at(0)).await;
    assert_eq!(reserve(&store, 202, at(0)).await, 0);
}
