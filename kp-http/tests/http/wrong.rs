use std::sync::Arc;

use kp_conformance::{Fault, FaultyStore};
use kp_memory::MemoryStore;
use kp_server::KeyPackageDirectory;
use serde_json::json;

use crate::raw::{self, Raw, post, request};
use crate::world::{ALICE, BOB, Words, World, packages};

async fn send(world: &World, request: &[u8]) -> Raw {
    raw::send(world.address, request).await.unwrap()
}

#[tokio::test]
async fn wrong_requests_are_told_what_is_wrong() {
    let world = World::start().await;
    for (authorization, status, code) in [
        (None, 401, "unauthorized"),
        (Some("Bearer nobody"), 401, "unauthorized"),
        (Some(ALICE), 401, "unauthorized"),
        (Some("Bearer banned"), 403, "forbidden"),
        (Some("Bearer hasty"), 429, "too_many_requests"),
        (Some("Bearer lost"), 503, "unavailable"),
    ] {
        let headers: Vec<_> = authorization
            .map(|value| ("authorization", value))
            .into_iter()
            .collect();
        let answer = send(&world, &request("GET", "/mls/pool", &headers, b"")).await;
        assert_eq!(answer.problem(), (status, code.to_owned()));
        assert_eq!(answer.headers.contains_key("www-authenticate"), status == 401);
        let retry_after = answer.headers.get("retry-after").map(String::as_str);
        assert_eq!(
            retry_after,
            match status {
                429 => Some("2"),
                503 => Some("1"),
                _ => None,
            }
        );
        let effect = (status == 503).then(|| json!("not_applied"));
        assert_eq!(
            answer.json().get("effect"),
            effect.as_ref(),
            "nothing was asked of a store"
        );
    }

    let refs = vec!["00"; 1_001];
    let tokens = vec!["00.11.22.33"; 1_001];
    let suites: Vec<_> = (0..1_001).collect();
    for (path, body, status, code) in [
        ("/pool/upload", r#"{"key_packages":["#.to_owned(), 400, "malformed_json"),
        ("/pool/upload", "{}".to_owned(), 422, "invalid_body"),
        (
            "/pool/upload",
            r#"{"key_packages":["not base64!"]}"#.to_owned(),
            422,
            "invalid_body",
        ),
        (
            "/pool/upload",
            r#"{"key_packages":[],"x":1}"#.to_owned(),
            422,
            "invalid_body",
        ),
        (
            "/pool/upload",
            json!({ "key_packages": vec![""; 201] }).to_string(),
            413,
            "too_many_packages",
        ),
        ("/pool/sync", json!({ "refs": [""] }).to_string(), 422, "invalid_body"),
        ("/pool/sync", json!({ "refs": refs }).to_string(), 413, "too_many_items"),
        (
            "/pool/withdraw",
            json!({ "refs": ["0g"] }).to_string(),
            422,
            "invalid_body",
        ),
        ("/pool/withdraw", json!({}).to_string(), 422, "invalid_body"),
        (
            "/pool/withdraw",
            json!({ "refs": [], "all": true }).to_string(),
            422,
            "invalid_body",
        ),
        (
            "/pool/withdraw",
            json!({ "refs": refs }).to_string(),
            413,
            "too_many_items",
        ),
        (
            "/users/bob/claim",
            json!({ "ciphersuites": [65_536] }).to_string(),
            422,
            "invalid_body",
        ),
        (
            "/users/bob/claim",
            json!({ "ciphersuites": suites }).to_string(),
            413,
            "too_many_items",
        ),
        (
            "/users/bob/reserve",
            json!({ "ciphersuites": suites }).to_string(),
            413,
            "too_many_items",
        ),
        (
            "/users/bob/claim",
            json!({ "requires": { "proposals": (100..165).collect::<Vec<_>>() } }).to_string(),
            413,
            "too_many_items",
        ),
        ("/users/nobody/claim", "{}".to_owned(), 404, "unknown_user"),
        ("/users/%ff/claim", "{}".to_owned(), 400, "malformed_path"),
        ("/spend", json!({ "tokens": tokens }).to_string(), 413, "too_many_items"),
        ("/renew", json!({ "tokens": tokens }).to_string(), 413, "too_many_items"),
        (
            "/release",
            json!({ "tokens": tokens }).to_string(),
            413,
            "too_many_items",
        ),
        (
            "/spend",
            json!({ "tokens": ["made up"] }).to_string(),
            409,
            "no_live_reservation",
        ),
        ("/pools", "{}".to_owned(), 404, "no_such_route"),
        ("/users//claim", "{}".to_owned(), 404, "unknown_user"),
        ("/openapi.json", "{}".to_owned(), 405, "method_not_allowed"),
    ] {
        let answer = send(&world, &post(&format!("/mls{path}"), ALICE, "1", &body)).await;
        assert_eq!(answer.problem(), (status, code.to_owned()), "{path} {body}");
        assert!(answer.headers.contains_key("x-request-id"), "{path}");
    }
    let headers = [("authorization", "Bearer alice/phone"), ("content-type", "text/plain")];
    let answer = send(&world, &request("POST", "/mls/pool/upload", &headers, b"{}")).await;
    assert_eq!(answer.problem(), (415, "not_json".to_owned()));

    // No device can be added: each of them says why.
    let answer = send(&world, &post("/mls/users/bob/claim", ALICE, "1", "{}")).await;
    assert_eq!(answer.problem(), (404, "pool_exhausted".to_owned()));
    assert_eq!(
        answer.json()["devices"][1],
        json!({ "device": "laptop", "answer": { "refused": "pool_exhausted" } })
    );
}

/// ERR-3: of a user's devices some may have none; a problem is told where no device has any.
#[tokio::test]
async fn a_device_without_a_key_package_is_no_problem_of_the_others() {
    let world = World::start().await;
    let claim = |key| post("/mls/users/bob/claim", ALICE, key, "{}");
    let answer = send(&world, &claim("1")).await;
    assert_eq!(answer.problem(), (404, "pool_exhausted".to_owned()));
    world.client(BOB).upload(&packages("bob", 0..1)).await.unwrap();
    let answer = send(&world, &claim("2")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let laptop = &answer.json()["devices"][1];
    assert_eq!(laptop["answer"]["refused"], "pool_exhausted");
}

#[tokio::test]
async fn who_takes_too_much_is_told_when_to_come_again() {
    let directory = KeyPackageDirectory::builder(MemoryStore::new(), Words).limit_per_requester(1);
    let world = World::with(directory, None, |routes| routes).await;
    world.client(BOB).upload(&packages("bob", 0..4)).await.unwrap();
    send(&world, &post("/mls/users/bob/claim", ALICE, "1", "{}")).await;
    let answer = send(&world, &post("/mls/users/bob/claim", ALICE, "2", "{}")).await;
    assert_eq!(answer.problem(), (429, "too_many_reservations".to_owned()));
    assert_eq!(answer.headers["retry-after"], "60");
}

#[tokio::test]
async fn a_store_that_fails_is_a_503_that_says_what_is_known() {
    let faults = [Fault::NotMade, Fault::LostReply, Fault::NotMade, Fault::NotMade];
    let world = World::over(FaultyStore::new(Arc::new(MemoryStore::new()), faults)).await;
    let upload = json!({ "key_packages": ["Ym9iOjE="] }).to_string();
    for effect in ["not_applied", "unknown"] {
        let answer = send(&world, &post("/mls/pool/upload", BOB, "1", &upload)).await;
        assert_eq!(answer.problem(), (503, "unavailable".to_owned()));
        assert_eq!(
            (&answer.json()["effect"], &*answer.headers["retry-after"]),
            (&json!(effect), "1")
        );
    }
    for path in ["/mls/users/bob/claim", "/mls/users/bob/reserve"] {
        let answer = send(&world, &post(path, ALICE, "1", "{}")).await;
        assert_eq!(answer.problem(), (503, "unavailable".to_owned()));
    }
    let answer = send(&world, &post("/mls/pool/upload", BOB, "1", &upload)).await;
    assert_eq!(
        answer.json(),
        json!({ "outcomes": ["already_stored"] }),
        "the second one was made"
    );
}
