//! How often a call crosses the network: what is sent together, and answered together, is one round trip.

mod scene;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use kp_core::Ttl;
use kp_core::server::{KeyPackageStore, KeyPackageStoreExt, OnLapse, Save, Spend, Withdrawal};
use kp_postgres::PostgresStore;
use kp_test_support::postgres::Postgres;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::scene::{NOW, package, pool, take};

/// Passes bytes on, and counts how often a client speaks that was spoken to last.
#[derive(Debug, Clone, Default)]
struct Turns(Arc<AtomicUsize>);

impl Turns {
    /// Listens in a thread and a runtime of its own: the client's runtime decides alone what it sends together.
    fn listen(&self, server: u16) -> SocketAddr {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("it has an address");
        listener.set_nonblocking(true).expect("tokio takes it");
        let turns = self.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .build()
                .expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).expect("tokio takes it");
                while let Ok((client, _)) = listener.accept().await {
                    let server = TcpStream::connect(("127.0.0.1", server))
                        .await
                        .expect("the server is there");
                    let (client, server) = (client.into_split(), server.into_split());
                    let spoken_to = Arc::new(AtomicBool::new(true));
                    tokio::spawn(turns.clone().pass(client.0, server.1, Arc::clone(&spoken_to), true));
                    tokio::spawn(turns.clone().pass(server.0, client.1, spoken_to, false));
                }
            });
        });
        address
    }

    async fn pass(self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, spoken_to: Arc<AtomicBool>, is_client: bool) {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            if spoken_to.swap(!is_client, Ordering::AcqRel) && is_client {
                self.0.fetch_add(1, Ordering::AcqRel);
            }
            if to.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    }

    /// Counts the round trips of a call.
    async fn of<T>(&self, call: impl Future<Output = T>) -> (usize, T) {
        let before = self.0.load(Ordering::Acquire);
        let answer = call.await;
        (self.0.load(Ordering::Acquire) - before, answer)
    }
}

#[tokio::test]
async fn a_change_takes_two_round_trips_and_a_read_takes_one() {
    let server = Postgres::start(&["autovacuum = off"]);
    let turns = Turns::default();
    let url = format!(
        "postgres://postgres@{}/postgres?sslmode=disable",
        turns.listen(server.port())
    );
    let store = PostgresStore::builder(url)
        .writers(1)
        .readers(1)
        .connect()
        .await
        .expect("it connects");
    let save = |n: u64| Save::new(pool(0), (n..n + 10).map(package)).expect("ten are a save");
    // The writer connects with its first call.
    store.save_key_packages(&save(0), NOW).await.expect("saved");

    let mut counted = Vec::new();
    let mut count = |what: &'static str, trips: usize| counted.push((what, trips));
    let (trips, saved) = turns.of(store.save_key_packages(&save(10), NOW)).await;
    assert!(saved.expect("saved").iter().all(|outcome| outcome.is_held()));
    count("save", trips);

    let (trips, reserved) = turns
        .of(store.reserve_key_package(&take(0, 1), OnLapse::Return, NOW))
        .await;
    let first = reserved.expect("reserved").lease.expect("a lease").token;
    count("reserve", trips);
    let reserved = store.reserve_key_package(&take(0, 2), OnLapse::Return, NOW).await;
    let second = reserved.expect("reserved").lease.expect("a lease").token;

    let (trips, renewed) = turns
        .of(store.renew_key_packages(std::slice::from_ref(&first), Ttl::seconds(7_200).expect("a ttl"), NOW))
        .await;
    renewed.only().expect("renewed");
    count("renew", trips);
    let (trips, spent) = turns.of(store.spend_key_package(&first, &Spend::new(), NOW)).await;
    spent.expect("spent");
    count("spend", trips);
    let (trips, released) = turns
        .of(store.release_key_packages(std::slice::from_ref(&second), NOW))
        .await;
    released.only().expect("released");
    count("release", trips);
    let (trips, claimed) = turns.of(store.claim_key_packages(&[take(0, 3)], None, NOW)).await;
    let claimed = claimed.only().expect("claimed");
    count("claim", trips);
    let (trips, replayed) = turns.of(store.claim_key_packages(&[take(0, 3)], None, NOW)).await;
    assert_eq!(replayed.only().expect("replayed"), claimed);
    count("claim again", trips);
    let named = Withdrawal::Refs(vec![package(15).info.key_package_ref]);
    let (trips, withdrawn) = turns.of(store.withdraw_key_packages(&pool(0), &named, NOW)).await;
    withdrawn.expect("withdrawn");
    count("withdraw", trips);
    let (trips, found) = turns
        .of(store.get_key_package(&pool(0), &package(16).info.key_package_ref, NOW))
        .await;
    found.expect("read").expect("stored");
    count("get", trips);
    let (trips, counts) = turns.of(store.count_by_status(&pool(0), NOW)).await;
    counts.expect("counted");
    count("count", trips);
    let (trips, deleted) = turns.of(store.delete_pool(&pool(0))).await;
    deleted.expect("deleted");
    count("delete", trips);

    let changes = ["save", "reserve", "renew", "spend", "release", "claim"].map(|what| (what, 2));
    // A replay asks for the bytes of what is spent, which a claim has no use for as a rule.
    let replay = [("claim again", 3)];
    let rest = [("withdraw", 2), ("get", 1), ("count", 1), ("delete", 2)];
    let expected: Vec<_> = changes.into_iter().chain(replay).chain(rest).collect();
    assert_eq!(counted, expected);
}
