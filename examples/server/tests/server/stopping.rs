use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::json;

use crate::node::{Node, key_packages};
use crate::{BOB, alice, of};
use kp_test_support::servers::until;

#[test]
fn what_was_answered_survives_sigkill_on_sqlite() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = format!("sqlite:{}", dir.path().join("pools.db").display());
    let arguments = ["--store", &store, "--secret", "the same secret again"];
    let node = Node::start(&arguments);
    let packages = key_packages("bob", 3);
    node.post("/pool/upload", of(BOB), &packages).ok();
    let claimed = node.post("/users/bob/claim", alice("claim"), &json!({})).ok();
    let reserved = node.post("/users/bob/reserve", alice("reserve"), &json!({})).ok();
    node.kill();

    let node = Node::start(&arguments);
    assert_eq!(node.post("/users/bob/claim", alice("claim"), &json!({})).ok(), claimed);
    assert_eq!(
        node.post("/users/bob/reserve", alice("reserve"), &json!({})).ok(),
        reserved
    );
    let tokens = json!({ "tokens": [reserved["devices"][0]["answer"]["ok"]["lease"]["token"]] });
    let receipt = node.post("/spend", alice("spend"), &tokens).ok();
    node.kill();

    let node = Node::start(&arguments);
    assert_eq!(node.post("/spend", alice("spend"), &tokens).ok(), receipt);
    let last = node.post("/users/bob/claim", alice("another"), &json!({})).ok();
    assert_eq!(
        last["devices"][0]["answer"]["ok"]["key_package"],
        packages["key_packages"][2]
    );
    let counts = node.get("/pool", BOB).ok()["ciphersuites"]["1"]["counts"].clone();
    assert_eq!((&counts["available"], &counts["spent"]), (&json!(0), &json!(3)));
}

#[test]
fn a_request_under_way_is_answered_before_the_server_stops() {
    let node = Node::start(&[]);
    let body = r#"{"key_packages":[]}"#;
    let head = format!(
        "POST /pool/upload HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer bob-phone\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n",
        node.address(),
        body.len()
    );
    let mut connection = TcpStream::connect(node.address()).expect("it listens");
    connection.write_all(head.as_bytes()).expect("it is sent");
    // The server says that it waits for the body: now the request is under way.
    let mut go_on = [0; 25];
    connection.read_exact(&mut go_on).expect("an answer");
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");

    node.terminate();
    until(|| TcpStream::connect(node.address()).err()).expect("it listens no more");
    connection.write_all(body.as_bytes()).expect("it is sent");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.ends_with(r#"{"outcomes":[]}"#), "{answer}");
    assert!(node.wait().success());
}
