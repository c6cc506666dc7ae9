use std::time::Duration;

use kp_memory::MemoryStore;
use kp_server::KeyPackageDirectory;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::raw;
use crate::world::{BOB, Words, World};

fn head(length: usize) -> String {
    format!(
        "POST /mls/pool/upload HTTP/1.1\r\nhost: here\r\nauthorization: Bearer {BOB}\r\nconnection: close\r\n\
         content-type: application/json\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
    )
}

/// A request whose body the server waits for.
async fn begun(world: &World) -> TcpStream {
    let mut connection = TcpStream::connect(world.address).await.unwrap();
    connection.write_all(head(100).as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    connection.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    connection
}

fn directory() -> kp_server::DirectoryBuilder {
    KeyPackageDirectory::builder(MemoryStore::new(), Words)
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let world = World::with(directory(), None, |routes| routes.max_body(1_000)).await;
    let body = format!(r#"{{"key_packages":["{}"]}}"#, "A".repeat(1_000));
    let answer = raw::send(world.address, &raw::post("/mls/pool/upload", BOB, "1", &body))
        .await
        .unwrap();
    assert_eq!(answer.problem(), (413, "body_too_large".to_owned()));
    let chunked = format!(
        "POST /mls/pool/upload HTTP/1.1\r\nhost: here\r\nauthorization: Bearer {BOB}\r\nconnection: close\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    let answer = raw::send(world.address, chunked.as_bytes()).await.unwrap();
    assert_eq!(answer.problem(), (413, "body_too_large".to_owned()));
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let world = World::with(directory(), None, |routes| {
        routes.body_timeout(Duration::from_millis(1))
    })
    .await;
    let mut connection = begun(&world).await;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 408 ") && answer.contains("body_too_slow"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_given_up() {
    let world = World::with(directory(), None, |routes| routes.timeout(Duration::from_millis(1))).await;
    let mut connection = begun(&world).await;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 503 ") && answer.contains(r#""effect":"unknown""#),
        "{answer}"
    );
}

#[tokio::test]
async fn a_device_has_so_many_calls_at_once_and_others_do_not_mind() {
    let world = World::with(directory(), None, |routes| routes.max_requests_at_once(2)).await;
    let held = [begun(&world).await, begun(&world).await];
    let third = world.client(BOB).status().await.unwrap_err();
    assert_eq!(third.code(), Some("too_many_requests"));
    world.client(crate::world::ALICE).status().await.unwrap();
    for mut connection in held {
        connection.write_all(&[b' '; 100]).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    world.client(BOB).status().await.unwrap();
}
