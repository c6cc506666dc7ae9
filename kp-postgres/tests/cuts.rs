//! Connections that are cut at each message of the protocol: what a failure says of the call is true, and the same call again
//! finds out.

mod cutter;
mod scene;

use kp_core::server::{KeyPackageStore, KeyPackageStoreExt, OnLapse, Spend};
use kp_core::{Counts, Effect, Error};
use kp_postgres::PostgresStore;
use kp_test_support::postgres::Postgres;

use crate::cutter::{Cutter, Way};
use crate::scene::{NOW, fill, pool, take};

/// How the calls went that a connection was cut in.
#[derive(Debug, Default, PartialEq, Eq)]
struct Went {
    answered: u64,
    unknown: u64,
    /// Of these, how many had taken effect.
    happened: u64,
}

/// Makes a call again and again, and cuts the connection one message later each time, until the call is through before.
/// `call` returns the answer, and whether the call had taken effect; then it finds out by the same call on another connection.
async fn cut_at_each(cutter: &Cutter, way: Way, mut call: impl AsyncFnMut(u64) -> (Result<(), Error>, bool)) -> Went {
    let mut went = Went::default();
    for message in 1.. {
        let before = went.answered + went.unknown;
        cutter.cut(way, message);
        let (answer, happened) = call(before).await;
        match answer {
            Ok(()) => {
                assert!(happened, "what was answered is there: message {message} {way:?}");
                went.answered += 1;
            }
            Err(Error::Backend(failure)) => {
                // ERR-1: before the commit was sent, the store tries again by itself.
                assert_eq!(
                    failure.effect(),
                    Effect::Unknown,
                    "{failure}: message {message} {way:?}"
                );
                went.unknown += 1;
                went.happened += u64::from(happened);
            }
            Err(rejected) => panic!("{rejected}: message {message} {way:?}"),
        }
        if cutter.cut(way, 0) < message {
            break;
        }
    }
    went
}

/// A store whose connections are cut, and one that sees what came of it.
struct Scene {
    cutter: Cutter,
    cut: PostgresStore,
    direct: PostgresStore,
}

impl Scene {
    async fn counted(&self, count: fn(&Counts) -> u32) -> u32 {
        let counts = self.direct.count_by_status(&pool(0), NOW).await.expect("it answers");
        counts.ciphersuites.values().map(count).sum()
    }

    /// Leases a package, once, and returns it.
    async fn reserve(&self, number: u64) -> (Result<(), Error>, bool) {
        let take = take(0, number);
        let answer = self
            .cut
            .reserve_key_package(&take, OnLapse::Return, NOW)
            .await
            .map(drop);
        let happened = self.counted(|counts| counts.reserved).await > 0;
        let reserved = self.direct.reserve_key_package(&take, OnLapse::Return, NOW).await;
        let token = reserved.expect("one is free").lease.expect("one-time").token;
        self.direct
            .release_key_package(&token, NOW)
            .await
            .expect("it is leased");
        assert_eq!(
            self.counted(|counts| counts.reserved).await,
            0,
            "one id leases one package"
        );
        (answer, happened)
    }

    /// Spends a package, once.
    async fn spend(&self, number: u64) -> (Result<(), Error>, bool) {
        let reserved = self
            .direct
            .reserve_key_package(&take(0, number), OnLapse::Return, NOW)
            .await;
        let token = reserved.expect("one is free").lease.expect("one-time").token;
        let before = self.counted(|counts| counts.spent).await;
        let answer = self.cut.spend_key_package(&token, &Spend::new(), NOW).await.map(drop);
        let happened = self.counted(|counts| counts.spent).await > before;
        let spent = self.direct.spend_key_package(&token, &Spend::new(), NOW).await;
        spent.expect("it is leased, or spent by this id");
        assert_eq!(
            self.counted(|counts| counts.spent).await,
            before + 1,
            "one id spends one package"
        );
        (answer, happened)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_cut_at_any_message_tells_no_lie() {
    let server = Postgres::start(&[]);
    let direct = PostgresStore::connect(server.url()).await.expect("it connects");
    fill(&direct, 1, 200).await;
    let cutter = Cutter::before(&server).await;
    let cut = PostgresStore::builder(cutter.url())
        .writers(1)
        .connect()
        .await
        .expect("it connects");
    let scene = Scene { cutter, cut, direct };
    for way in [Way::ToServer, Way::ToClient] {
        let first = 10_000 * (way as u64 + 1);
        let reserves = cut_at_each(&scene.cutter, way, async |n| scene.reserve(first + n).await).await;
        let spends = cut_at_each(&scene.cutter, way, async |n| scene.spend(first + 5_000 + n).await).await;
        println!("{way:?}: reserves {reserves:?}, spends {spends:?}");
        for went in [reserves, spends] {
            assert!(
                went.answered > 10 && went.unknown > 0,
                "cut before the commit was sent, and then: {went:?}"
            );
            match way {
                Way::ToServer => assert_eq!(went.happened, 0, "the commit did not come: {went:?}"),
                // Where the answer to the commit is cut off, it has taken effect.
                Way::ToClient => assert!(went.happened > 0, "{went:?}"),
            }
        }
    }
}

/// ERR-1, ERR-5: a pooler that loses the server at a commit may leave the store's connection open. Nobody knows where that stands,
/// so the store uses it no more: the call is unknown, and what is called next is answered.
#[tokio::test]
async fn a_connection_on_which_a_commit_was_lost_is_used_no_more() {
    let server = Postgres::start(&[]);
    let direct = PostgresStore::connect(server.url()).await.expect("it connects");
    fill(&direct, 1, 3).await;
    let cutter = Cutter::before(&server).await;
    let pooled = PostgresStore::builder(cutter.url())
        .writers(1)
        .connect()
        .await
        .expect("it connects");
    for number in 0..3 {
        cutter.lose_a_commit();
        let take = take(0, number);
        let lost = pooled.reserve_key_package(&take, OnLapse::Return, NOW).await;
        let Err(Error::Backend(failure)) = lost else {
            panic!("{lost:?}");
        };
        assert!(
            failure.effect() == Effect::Unknown && failure.is_transient(),
            "{failure}"
        );
        let again = pooled.reserve_key_package(&take, OnLapse::Return, NOW).await;
        again.unwrap_or_else(|failure| panic!("{failure}"));
    }
}
