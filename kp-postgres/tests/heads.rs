//! Where the queue of a pool begins (COST-1): a take goes once through what has expired and was not swept.

mod scene;

use kp_core::server::{KeyPackageStore, KeyPackageStoreExt, OnLapse, Save, Spend};
use kp_core::{Error, Lifetime, Rejection, Timestamp};
use kp_postgres::PostgresStore;
use kp_test_support::postgres::Postgres;

use crate::scene::{NOW, connect, package, pool, take};

/// When the first packages of the pool expire.
const END: Timestamp = match Timestamp::new(NOW.get() + 10) {
    Some(end) => end,
    None => Timestamp::MIN,
};

struct Scene {
    server: Postgres,
    store: PostgresStore,
}

impl Scene {
    /// Starts a server with a pool of 200 packages that expire at [`END`], and behind them so many that last.
    async fn start(lasting: u64) -> Self {
        let server = Postgres::start(&[]);
        let store = PostgresStore::connect(server.url()).await.expect("it connects");
        let mut packages: Vec<_> = (0..200 + lasting).map(package).collect();
        for expiring in packages.iter_mut().take(200) {
            expiring.info.lifetime = Lifetime::new(NOW, END).expect("it begins before it ends");
        }
        let save = Save::new(pool(0), packages).expect("so many are a save");
        store.save_key_packages(&save, NOW).await.expect("they are saved");
        Self { server, store }
    }

    /// Returns where the queue begins, and from which moment on.
    async fn head(&self) -> (i64, i64) {
        let head = "SELECT head, since FROM keypackage_pool_heads";
        let row = connect(&self.server).await.query_one(head, &[]).await;
        let row = row.expect("the head has moved");
        (row.get(0), row.get(1))
    }
}

/// A clock that is behind by some seconds finds the same head: it holds from the end of what it passes over.
#[tokio::test]
async fn one_take_moves_the_head_past_all_that_has_expired() {
    let scene = Scene::start(5).await;
    let later = END.plus(100);
    let reserved = scene
        .store
        .reserve_key_package(&take(0, 1), OnLapse::Return, later)
        .await;
    assert_eq!(reserved.expect("five are left").package, package(200));
    assert_eq!(scene.head().await, (201, END.get()));
}

#[tokio::test]
async fn a_take_that_finds_nothing_moves_it_too() {
    let scene = Scene::start(0).await;
    let claimed = scene.store.claim_key_package(&take(0, 1), None, END).await;
    let exhausted = matches!(claimed, Err(Error::Rejected(Rejection::PoolExhausted)));
    assert!(exhausted, "{claimed:?}");
    assert_eq!(scene.head().await, (201, END.get()));
}

/// For such a clock the head does not hold: what it passes over has not expired.
#[tokio::test]
async fn a_clock_before_the_end_still_finds_what_has_not_expired_for_it() {
    let scene = Scene::start(5).await;
    scene
        .store
        .claim_key_package(&take(0, 1), None, END)
        .await
        .expect("five are left");
    let earlier = scene.store.claim_key_package(&take(0, 2), None, NOW).await;
    let earlier = earlier.expect("all are free but one").info.key_package_ref;
    assert_eq!(earlier, package(0).info.key_package_ref);
}

#[tokio::test]
async fn where_nothing_expired_the_head_holds_for_every_clock() {
    let scene = Scene::start(0).await;
    for n in 0..40 {
        let reserved = scene.store.reserve_key_package(&take(0, n), OnLapse::Return, NOW).await;
        let token = reserved.expect("one is free").lease.expect("one-time").token;
        let spent = scene.store.spend_key_package(&token, &Spend::new(), NOW).await;
        spent.expect("it is leased");
    }
    let (head, since) = scene.head().await;
    assert!((17..=41).contains(&head), "{head}");
    assert_eq!(since, 0);
}
