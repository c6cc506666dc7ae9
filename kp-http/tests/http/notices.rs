use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use kp_core::protocol::Health;
use kp_http::client::{KeyPackageClient, PoolEvent};
use kp_http::wire::{TakeRequest, UploadRequest};
use kp_memory::MemoryStore;
use kp_server::{KeyPackageDirectory, notices};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::raw::{self, request};
use crate::trying_again::scripted;
use crate::world::{ALICE, BOB, LAPTOP, Words, World, key, packages};

async fn world() -> World {
    let (subscriber, notices) = notices(100);
    let directory = KeyPackageDirectory::builder(MemoryStore::new(), Words).notify(subscriber);
    World::with(directory, Some(notices), |routes| routes).await
}

async fn claim(alice: &KeyPackageClient, of: usize) {
    let claimed = alice
        .claim("bob", &TakeRequest::new(), &key(&of.to_string()))
        .await
        .unwrap();
    claimed.into_iter().next().unwrap().answer.into_result().unwrap();
}

#[tokio::test]
async fn an_owner_is_told_when_its_pool_runs_low_and_nobody_else_is() {
    let world = world().await;
    let [alice, bob, laptop] = [ALICE, BOB, LAPTOP].map(|token| world.client(token));
    bob.upload(&packages("bob", 0..9)).await.unwrap();
    let (mut of_bob, mut of_laptop) = (pin!(bob.events()), pin!(laptop.events()));
    let Some(Ok(PoolEvent::Status(status))) = of_bob.next().await else {
        panic!()
    };
    assert_eq!(status.health(), Health::Good);
    assert!(!PoolEvent::Status(status).wants_refresh());
    let Some(Ok(PoolEvent::Status(empty))) = of_laptop.next().await else {
        panic!()
    };
    assert!(PoolEvent::Status(empty).wants_refresh());
    // A plan may be of last resorts alone: such a pool is as it should be.
    let last = UploadRequest::new(["alice:last"]);
    alice.upload(&last).await.unwrap();
    let status = alice.status().await.unwrap();
    assert_eq!(status.health(), Health::LastResortOnly);
    assert!(!PoolEvent::Status(status).wants_refresh());

    claim(&alice, 0).await;
    claim(&alice, 1).await;
    let Some(Ok(PoolEvent::Notice(notice))) = of_bob.next().await else {
        panic!()
    };
    assert_eq!(
        (&*notice.kind, notice.ciphersuite),
        ("low", Some(kp_core::Ciphersuite(1)))
    );
    // The other device of Bob's is told of its own pool alone: what it hears first is from its own upload's use.
    laptop.upload(&packages("bob", 100..101)).await.unwrap();
    let taken = alice.claim("bob", &TakeRequest::new(), &key("both")).await.unwrap();
    assert!(taken.into_iter().all(|device| device.answer.into_result().is_ok()));
    let Some(Ok(PoolEvent::Notice(notice))) = of_laptop.next().await else {
        panic!()
    };
    assert!(matches!(&*notice.kind, "low" | "exhausted"), "{notice:?}");
}

#[tokio::test]
async fn a_watcher_refreshes_on_a_notice_and_stops() {
    let world = world().await;
    let [alice, bob] = [ALICE, BOB].map(|token| world.client(token));
    bob.upload(&packages("bob", 0..8)).await.unwrap();
    let (done, mut refreshed) = mpsc::unbounded_channel();
    let uploads = Arc::new(AtomicUsize::new(1));
    let watcher = {
        let bob = bob.clone();
        bob.clone().watch(move || {
            let (bob, done, uploads) = (bob.clone(), done.clone(), uploads.clone());
            async move {
                let n = 100 * uploads.fetch_add(1, Ordering::Relaxed);
                bob.upload(&packages("bob", n..n + 8)).await.unwrap();
                let _ = done.send(());
            }
        })
    };
    // A claim before it listens is told by the status with which the stream begins.
    claim(&alice, 0).await;
    refreshed.recv().await.unwrap();
    assert_eq!(bob.status().await.unwrap().health(), Health::Good);
    timeout(Duration::from_secs(10), watcher.stop()).await.unwrap().unwrap();
    assert!(refreshed.recv().await.is_none(), "the closure is gone with the task");
}

#[tokio::test]
async fn a_watcher_that_is_refused_says_so() {
    let world = World::start().await;
    for (token, code) in [(BOB, "no_events"), ("nobody", "unauthorized")] {
        let client = world.client(token);
        let refused = client.events().boxed().next().await.unwrap().unwrap_err();
        assert_eq!(refused.code(), Some(code));
        let watcher = client.watch(|| std::future::ready(()));
        let mut events = pin!(client.events());
        assert!(events.next().await.unwrap().is_err());
        assert!(events.next().await.is_none(), "the stream ends with a refusal");
        // Either it was refused already, or it was stopped before.
        let _ = watcher.stop().await;
    }
}

#[tokio::test]
async fn a_stream_that_ends_is_begun_again() {
    let status = r#"{"health":"good","memory_full":false,"ciphersuites":{},"room":1}"#;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let (address, served) = scripted(vec![
        format!("{head}: alive\n\nevent: status\ndata: {status}\n\nevent: of a later release\ndata: 7\n\nevent: sta"),
        String::new(),
        format!("{head}event: notice\ndata: {{\"kind\":\"low\",\"ciphersuite\":1}}\n\n"),
    ])
    .await;
    let client = KeyPackageClient::builder(format!("http://{address}")).build().unwrap();
    let mut events = pin!(client.events());
    assert!(matches!(events.next().await, Some(Ok(PoolEvent::Status(_)))));
    assert!(matches!(events.next().await, Some(Ok(PoolEvent::Notice(_)))));
    let requests = served.await.unwrap();
    assert_eq!(requests.len(), 3);
    assert!(
        requests
            .iter()
            .all(|request| request.contains("accept: text/event-stream"))
    );
}

/// Passes one connection on to the server, until it is cut.
async fn pass_on(line: &TcpListener, world: &World) -> JoinSet<()> {
    let (mut client, _) = line.accept().await.unwrap();
    let mut server = TcpStream::connect(world.address).await.unwrap();
    let mut passing = JoinSet::new();
    passing.spawn(async move {
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    });
    passing
}

#[tokio::test]
async fn what_happens_while_a_stream_is_cut_is_told_by_the_next() {
    let world = world().await;
    let [alice, bob] = [ALICE, BOB].map(|token| world.client(token));
    bob.upload(&packages("bob", 0..9)).await.unwrap();
    let line = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = format!("http://{}/mls", line.local_addr().unwrap());
    let client = KeyPackageClient::builder(address).bearer(BOB).build().unwrap();
    let mut events = pin!(client.events());

    let (first, mut passing) = tokio::join!(events.next(), pass_on(&line, &world));
    let Some(Ok(first @ PoolEvent::Status(_))) = first else {
        panic!("{first:?}")
    };
    assert!(!first.wants_refresh());
    passing.shutdown().await;
    for n in 0..2 {
        claim(&alice, n).await;
    }
    // Nobody was told that the pool is low; whoever connects again is.
    let (second, passing) = tokio::join!(events.next(), pass_on(&line, &world));
    let Some(Ok(second @ PoolEvent::Status(_))) = second else {
        panic!("{second:?}")
    };
    assert!(second.wants_refresh());
    for n in 2..9 {
        claim(&alice, n).await;
    }
    let Some(Ok(PoolEvent::Notice(notice))) = events.next().await else {
        panic!()
    };
    assert_eq!(notice.kind, "exhausted");
    drop(passing);
}

#[tokio::test]
async fn a_pool_has_so_many_streams_and_a_server_that_stops_ends_them() {
    let world = world().await;
    let mut streams: Vec<_> = (0..4).map(|_| world.client(BOB).events().boxed()).collect();
    for stream in &mut streams {
        stream.next().await.unwrap().unwrap();
    }
    let headers = [
        ("authorization", "Bearer bob/phone"),
        ("accept", "text/html, Text/Event-Stream; q=0.9"),
    ];
    let fifth = raw::send(world.address, &request("GET", "/mls/pool", &headers, b""))
        .await
        .unwrap();
    assert_eq!(fifth.problem(), (429, "too_many_requests".to_owned()));
    streams.pop();
    // It comes as soon as the server has noticed that the other one is gone.
    let mut fifth = world.client(BOB).events().boxed();
    fifth.next().await.unwrap().unwrap();

    let serving = world.stop();
    timeout(Duration::from_secs(10), serving)
        .await
        .expect("it waits for no stream")
        .unwrap();
}
