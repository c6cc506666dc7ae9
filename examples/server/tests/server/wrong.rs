use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use serde_json::json;

use crate::examples::example;
use crate::node::{Node, key_packages};
use crate::{ALICE, BOB, alice, of};

const JSON: (&str, &str) = ("content-type", "application/json");
const AUTHORIZED: (&str, &str) = ("authorization", "Bearer alice-phone");

#[test]
fn wrong_requests_are_told_what_is_wrong() {
    let node = Node::start(&[]);
    let refused = |status: u16, code: &str| (status, code.to_owned());
    let send = |path, headers: &[(&str, &str)], body| node.send("POST", path, headers, Some(body)).refusal();

    for authorization in [None, Some("Bearer nobody"), Some("alice-phone"), Some("Bearer ")] {
        let mut headers = vec![JSON];
        headers.extend(authorization.map(|value| ("authorization", value)));
        let answer = node.send("POST", "/pool/upload", &headers, Some(r#"{"key_packages":[]}"#));
        assert_eq!(answer.refusal(), refused(401, "unauthorized"));
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
    }
    let upload = "/pool/upload";
    let known = [AUTHORIZED, JSON];
    assert_eq!(
        send(upload, &known, r#"{"key_packages":["#),
        refused(400, "malformed_json")
    );
    assert_eq!(
        send(upload, &known[..1], r#"{"key_packages":[]}"#),
        refused(415, "not_json")
    );
    for invalid in [
        r#"{}"#,
        r#"{"key_packages":["not base64!"]}"#,
        r#"{"key_packages":[],"x":1}"#,
    ] {
        assert_eq!(send(upload, &known, invalid), refused(422, "invalid_body"), "{invalid}");
    }
    // Base64, but no KeyPackage: that is an outcome.
    let noise = node
        .post(upload, of(ALICE), &json!({ "key_packages": ["AAEC", ""] }))
        .ok();
    assert_eq!(noise, json!({ "outcomes": ["malformed", "malformed"] }));
    let of_somebody_else = node.post(upload, of(ALICE), &key_packages("bob", 1)).ok();
    assert_eq!(of_somebody_else, json!({ "outcomes": ["credential_mismatch"] }));
    let many = json!({ "key_packages": vec!["AAEC"; 201] });
    assert_eq!(
        node.post(upload, of(ALICE), &many).refusal(),
        refused(413, "too_many_packages")
    );

    for (path, invalid) in [
        ("/spend", json!({ "tokens": ["no token"] })),
        ("/release", json!({ "tokens": ["00.00"] })),
        ("/renew", json!({ "tokens": ["00.00"] })),
        ("/pool/sync", json!({ "refs": [""] })),
        ("/pool/withdraw", json!({ "refs": ["0g"] })),
        ("/pool/withdraw", json!({})),
        ("/pool/withdraw", json!({ "refs": [], "all": true })),
        ("/users/bob/claim", json!({ "ciphersuites": [65_536] })),
    ] {
        assert_eq!(
            node.post(path, alice("1"), &invalid).refusal(),
            refused(422, "invalid_body"),
            "{path}"
        );
    }
    let not_utf_8 = node.post("/users/%ff/claim", alice("1"), &json!({}));
    assert_eq!(not_utf_8.refusal(), refused(400, "malformed_path"));
    let elsewhere = node.post("/pools", of(ALICE), &json!({}));
    assert_eq!(elsewhere.refusal(), refused(404, "no_such_route"));
    let wrong_method = node.get("/spend", ALICE);
    assert_eq!(wrong_method.refusal(), refused(405, "method_not_allowed"));
    let refs = vec!["00"; 1_001];
    let tokens = vec![format!("{}.{}.{}", "00", "11", "22".repeat(16)); 1_001];
    let suites: Vec<_> = (0..1_001).collect();
    for (path, long) in [
        ("/pool/sync", json!({ "refs": refs })),
        ("/pool/withdraw", json!({ "refs": refs })),
        ("/spend", json!({ "tokens": tokens })),
        ("/release", json!({ "tokens": tokens })),
        ("/renew", json!({ "tokens": tokens })),
        ("/users/bob/claim", json!({ "ciphersuites": suites })),
        ("/users/bob/reserve", json!({ "ciphersuites": suites })),
    ] {
        assert_eq!(
            node.post(path, alice("1"), &long).refusal(),
            refused(413, "too_many_items"),
            "{path}"
        );
    }
    let unknown = node.post("/users/nobody/claim", alice("1"), &json!({}));
    assert_eq!(unknown.refusal(), refused(404, "unknown_user"));
    let no_key = refused(400, "idempotency_key_missing");
    assert_eq!(send("/users/bob/claim", &known, "{}"), no_key);
    assert_eq!(
        send("/users/bob/reserve", &[AUTHORIZED, JSON, ("idempotency-key", "")], "{}"),
        no_key
    );
    // A pool that nobody has uploaded to is an empty one (RES-6).
    let never_seen = node.post("/users/bob/claim", alice("1"), &json!({}));
    assert_eq!(never_seen.status, 404);
    assert_eq!(never_seen.json()["devices"][0]["error"], "pool_exhausted");
    // A token of a reservation that never was.
    let forged = json!({ "tokens": [format!("{}.{}.{}", "00", "11", "22".repeat(16))] });
    let answer = node.post("/spend", of(BOB), &forged);
    assert_eq!(
        (answer.status, &answer.json()["tokens"][0]["error"]),
        (404, &json!("not_found"))
    );
}

#[test]
fn a_body_that_is_too_large_is_refused() {
    let node = Node::start(&[]);
    let mut connection = TcpStream::connect(node.address()).expect("it listens");
    // One byte too many: all of it is read before the answer, so that the answer is never lost to a reset.
    let size = 1024 * 1024 + 1;
    let head = format!(
        "POST /pool/upload HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer alice-phone\r\n\
         content-type: application/json\r\ncontent-length: {size}\r\nconnection: close\r\n\r\n",
        node.address()
    );
    connection.write_all(head.as_bytes()).expect("it is sent");
    connection.write_all(&vec![b' '; size]).expect("it is sent");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains(r#""error":"body_too_large""#), "{answer}");
}

#[test]
fn a_store_that_is_shared_needs_a_secret() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = format!("sqlite:{}", dir.path().join("pools.db").display());
    let server = Command::new(example("server"))
        .args(["--listen", "127.0.0.1:0", "--store", &store])
        .output();
    let server = server.expect("it runs");
    assert!(!server.status.success());
    assert!(
        String::from_utf8_lossy(&server.stderr).contains("--secret"),
        "{server:?}"
    );
}
