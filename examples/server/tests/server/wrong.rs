use std::process::Command;

use serde_json::json;

use crate::examples::example;
use crate::node::Node;
use crate::{ALICE, of};

#[test]
fn a_stranger_is_refused_and_a_device_is_let_in() {
    let node = Node::start(&[]);
    for authorization in [None, Some("Bearer nobody"), Some("alice-phone"), Some("Bearer ")] {
        let headers: Vec<_> = authorization
            .map(|value| ("authorization", value))
            .into_iter()
            .collect();
        let answer = node.send("GET", "/pool", &headers, None);
        assert_eq!(answer.refusal(), (401, "unauthorized".to_owned()));
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
    }
    let noise = node.post("/pool/upload", of(ALICE), &json!({ "key_packages": ["AAEC", ""] }));
    assert_eq!(noise.ok(), json!({ "outcomes": ["malformed", "malformed"] }));
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
