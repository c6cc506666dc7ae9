use serde_json::{Value, json};

use crate::node::{Answer, From, Node, key_packages};
use crate::{ALICE, BOB, LAPTOP, alice, of};

/// Two devices of one user choose the same poor key: they are two requests, and get two KeyPackages.
#[test]
fn a_retry_key_is_of_one_device() {
    let node = Node::start(&[]);
    node.post("/pool/upload", of(ALICE), &key_packages("alice", 4)).ok();
    let claim = |token| {
        let headers = [
            ("authorization", format!("bearer {token}")),
            ("idempotency-key", "1".to_owned()),
            ("content-type", "application/json".to_owned()),
        ];
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = node.send("POST", "/users/alice/claim", &headers, Some("{}")).ok();
        answer["devices"][0]["answer"]["ok"]["key_package_ref"].clone()
    };
    let (phone, laptop) = (claim(BOB), claim(LAPTOP));
    assert_ne!(phone, laptop);
    assert_eq!((claim(BOB), claim(LAPTOP)), (phone, laptop), "each finds its own again");
}

#[test]
fn every_route_does_what_it_says() {
    let node = Node::start(&[]);
    let packages = key_packages("bob", 5);
    let uploaded = node.post("/pool/upload", of(BOB), &packages).ok();
    assert_eq!(
        uploaded,
        json!({ "outcomes": ["saved", "saved", "saved", "saved", "saved"] })
    );
    let again = node.post("/pool/upload", of(BOB), &packages).ok();
    assert_eq!(again["outcomes"][4], "already_stored");

    // A claim for both devices; the laptop has nothing. A retry is the same request.
    let claimed = node.post("/users/bob/claim", alice("1"), &json!({})).ok();
    let [phone, laptop] = devices(&claimed);
    assert_eq!(phone["device"], "phone");
    let phone = &phone["answer"]["ok"];
    assert_eq!(phone["last_resort"], false);
    assert_eq!(phone["key_package"], packages["key_packages"][0]);
    assert_eq!(
        laptop,
        json!({ "device": "laptop", "answer": { "refused": "pool_exhausted" } })
    );
    let again = node.post("/users/bob/claim", alice("1"), &json!({})).ok();
    assert_eq!(again, claimed);
    let other = node.post("/users/bob/claim", of(LAPTOP), &json!({})).ok();
    assert_eq!(
        devices(&other)[0]["answer"]["ok"]["key_package"],
        packages["key_packages"][1]
    );
    let unfit = node.post("/users/bob/claim", alice("2"), &json!({ "ciphersuites": [7] }));
    assert_eq!(unfit.status, 404);
    assert_eq!(devices(&unfit.json())[0]["answer"]["refused"], "nothing_fits");

    // Reserve, release, reserve again: the same package; spend once.
    let released = token(&node.post("/users/bob/reserve", alice("3"), &json!({})));
    let answer = node.post("/release", of(ALICE), &json!({ "tokens": [released] })).ok();
    assert_eq!(answer, json!({ "answers": [{ "ok": {} }] }));
    let too_late = node.post("/spend", of(ALICE), &json!({ "tokens": [released] }));
    assert_eq!(too_late.status, 409);
    assert_eq!(
        too_late.json()["answers"],
        json!([{ "refused": "no_live_reservation" }])
    );
    let reserved = token(&node.post("/users/bob/reserve", alice("4"), &json!({ "ciphersuites": [1] })));
    let spend = json!({ "tokens": [reserved], "group": "0a0b" });
    let receipt = node.post("/spend", of(ALICE), &spend).ok();
    assert!(receipt["answers"][0]["ok"]["spent_at"].is_u64(), "{receipt}");
    assert_eq!(node.post("/spend", of(ALICE), &spend).ok(), receipt);
    let for_another_group = node.post("/spend", of(ALICE), &json!({ "tokens": [reserved], "group": "ff" }));
    assert_eq!(for_another_group.status, 409);
    let by_another = node.post("/spend", of(BOB), &spend);
    assert_eq!(
        by_another.refusal(),
        (409, "no_live_reservation".to_owned()),
        "the token is Alice's"
    );

    // A lease is renewed while it holds, and this one is spent.
    let late = node.post("/renew", of(ALICE), &json!({ "tokens": [reserved] }));
    assert_eq!(late.status, 409);
    assert_eq!(late.refusal(), (409, "already_spent".to_owned()));

    // What the owner sees, and withdraws.
    let status = node.get("/pool", BOB).ok();
    assert_eq!(status["health"], "low");
    let counts = &status["ciphersuites"]["1"]["counts"];
    assert_eq!((&counts["available"], &counts["spent"]), (&json!(2), &json!(3)));
    let spent = phone["key_package_ref"].clone();
    let synced = node.post("/pool/sync", of(BOB), &json!({ "refs": [spent] })).ok();
    assert_eq!(synced["yours"][0]["spent"]["cause"], "used");
    let unknown = synced["unknown_to_you"].as_array().expect("a list").clone();
    assert_eq!(unknown.len(), 2);
    let withdrawn = node
        .post(
            "/pool/withdraw",
            of(BOB),
            &json!({ "refs": [unknown[0]["key_package_ref"], spent] }),
        )
        .ok();
    assert_eq!(withdrawn["withdrawn"][0]["outcome"], "withdrawn");
    assert_eq!(withdrawn["withdrawn"][1]["outcome"], "already_spent");
    let withdrawn = node.post("/pool/withdraw", of(BOB), &json!({ "all": true })).ok();
    assert_eq!(
        withdrawn["withdrawn"][0]["key_package_ref"],
        unknown[1]["key_package_ref"]
    );

    let mut fresh = key_packages("bob", 2);
    fresh["replace"] = json!(true);
    assert_eq!(node.post("/pool/upload", of(BOB), &fresh).ok()["outcomes"][1], "saved");

    let metrics = node.send("GET", "/metrics", &[], None).text;
    for line in [
        r#"keypackage_directory_answers_total{operation="claim_many",outcome="ok",source="one_time"} 3"#,
        r#"keypackage_directory_seconds_bucket{operation="spend",le="+Inf"} 5"#,
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }

    let deleted = node.send("DELETE", "/pool", &[("authorization", "Bearer bob-phone")], None);
    assert_eq!(deleted.status, 204);
    let status = node.get("/pool", BOB).ok();
    assert_eq!(
        status,
        json!({ "health": "exhausted", "memory_full": false, "ciphersuites": {}, "room": 10_000 })
    );
}

#[test]
fn a_lease_is_renewed() {
    let node = Node::start(&[]);
    node.post("/pool/upload", of(BOB), &key_packages("bob", 1)).ok();
    let reserved = node.post("/users/bob/reserve", alice("1"), &json!({}));
    let token = token(&reserved);
    let expires_at = devices(&reserved.ok())[0]["answer"]["ok"]["lease"]["expires_at"]
        .as_u64()
        .expect("a time");
    let renewed = node.post("/renew", of(ALICE), &json!({ "tokens": [token] })).ok();
    assert!(renewed["answers"][0]["ok"]["expires_at"].as_u64().expect("a time") >= expires_at);
    node.post("/spend", of(ALICE), &json!({ "tokens": [token] })).ok();
}

/// User `a` with a device `b/c`, and user `a/b` with a device `c`.
#[test]
fn no_two_devices_share_a_pool() {
    let dir = tempfile::tempdir().expect("a directory");
    let accounts = dir.path().join("accounts.json");
    let rows = json!([
        { "user": "a", "device": "b/c", "registration": 1, "token": "first" },
        { "user": "a/b", "device": "c", "registration": 1, "token": "second" },
    ]);
    std::fs::write(&accounts, rows.to_string()).expect("it is written");
    let node = Node::start(&["--accounts", accounts.to_str().expect("UTF-8")]);
    node.post("/pool/upload", of("second"), &key_packages("a/b", 1)).ok();
    let other = From {
        token: "first",
        key: "1",
    };
    let of_the_first = node.post("/users/a/claim", other, &json!({}));
    assert_eq!(of_the_first.json()["devices"][0]["answer"]["refused"], "pool_exhausted");
    node.post("/users/a%2Fb/claim", other, &json!({})).ok();
}

#[test]
fn one_user_takes_no_more_than_the_limit() {
    let node = Node::start(&["--limit", "2"]);
    node.post("/pool/upload", of(BOB), &key_packages("bob", 4)).ok();
    node.post("/users/bob/claim", alice("1"), &json!({})).ok();
    token(&node.post("/users/bob/reserve", alice("2"), &json!({})));
    let third = node.post("/users/bob/claim", alice("3"), &json!({}));
    assert_eq!(third.status, 429);
    assert_eq!(devices(&third.json())[0]["answer"]["refused"], "too_many_reservations");
    node.post("/users/bob/claim", of(LAPTOP), &json!({})).ok();
}

fn devices(answer: &Value) -> [Value; 2] {
    let devices = answer["devices"].as_array().expect("a list");
    devices.clone().try_into().expect("bob has two devices")
}

/// The token of the phone's reservation.
fn token(answer: &Answer) -> String {
    devices(&answer.ok())[0]["answer"]["ok"]["lease"]["token"]
        .as_str()
        .expect("a token")
        .to_owned()
}
