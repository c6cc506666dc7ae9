//! Two processes on one Redis, and on one PostgreSQL.

use std::collections::{BTreeMap, HashSet};
use std::thread;

use serde_json::{Value, json};

use crate::node::{Node, key_packages};
use crate::{BOB, LAPTOP, alice, of};
use kp_test_support::postgres::Postgres;
use kp_test_support::servers::Server;

/// As many KeyPackages as each of Bob's devices has.
const PACKAGES: usize = 60;

fn start(url: &str) -> Node {
    Node::start(&["--store", url, "--secret", "the same on both", "--limit", "1000"])
}

#[test]
fn claims_through_two_processes_at_once_are_all_distinct_and_retries_are_the_same() {
    let redis = Server::start(&[]);
    all_are_distinct(&redis.url());
}

#[test]
fn on_postgresql_too() {
    let postgres = Postgres::start(&[]);
    all_are_distinct(&postgres.url());
}

fn all_are_distinct(url: &str) {
    let nodes = [start(url), start(url)];
    nodes[0]
        .post("/pool/upload", of(BOB), &key_packages("bob", PACKAGES))
        .ok();
    nodes[1]
        .post("/pool/upload", of(LAPTOP), &key_packages("bob", PACKAGES))
        .ok();

    // Each key goes through both processes at about the same time: which one is the retry is left to chance.
    let claim_half = |node: &Node, half: usize| -> BTreeMap<usize, Value> {
        let keys = (0..PACKAGES).filter(|key| key % 2 == half);
        keys.map(|key| {
            (
                key,
                node.post("/users/bob/claim", alice(&key.to_string()), &json!({})).ok(),
            )
        })
        .collect()
    };
    let claimed: Vec<[BTreeMap<usize, Value>; 2]> = thread::scope(|scope| {
        let running = [0, 1].map(|half| nodes.each_ref().map(|node| scope.spawn(move || claim_half(node, half))));
        let done = running.map(|both| both.map(|thread| thread.join().expect("all were answered")));
        done.into()
    });
    let mut distinct = HashSet::new();
    for [through_one, through_other] in claimed {
        assert_eq!(through_one, through_other);
        for answer in through_one.values() {
            for device in answer["devices"].as_array().expect("a list") {
                let package = device["answer"]["ok"]["key_package"]
                    .as_str()
                    .unwrap_or_else(|| panic!("{device}"));
                assert!(distinct.insert(package.to_owned()), "handed out twice: {device}");
            }
        }
    }
    assert_eq!(distinct.len(), 2 * PACKAGES);

    // Nothing was left over, and nothing is handed out beyond.
    for node in &nodes {
        let exhausted = node.post("/users/bob/claim", alice("one more"), &json!({}));
        assert_eq!(exhausted.status, 404);
        assert_eq!(exhausted.json()["devices"][1]["answer"]["refused"], "pool_exhausted");
        let counts = node.get("/pool", BOB).ok()["ciphersuites"]["1"]["counts"].clone();
        assert_eq!((&counts["available"], &counts["spent"]), (&json!(0), &json!(PACKAGES)));
    }
}

#[test]
fn what_one_process_reserved_the_other_spends() {
    let redis = Server::start(&[]);
    let (one, other) = (start(&redis.url()), start(&redis.url()));
    one.post("/pool/upload", of(BOB), &key_packages("bob", 1)).ok();
    let reserved = one.post("/users/bob/reserve", alice("1"), &json!({})).ok();
    assert_eq!(other.post("/users/bob/reserve", alice("1"), &json!({})).ok(), reserved);
    let tokens = json!({ "tokens": [reserved["devices"][0]["answer"]["ok"]["lease"]["token"]] });
    let receipt = other.post("/spend", alice("1"), &tokens).ok();
    assert_eq!(one.post("/spend", alice("1"), &tokens).ok(), receipt);
}

#[test]
fn an_outage_is_a_503_that_says_what_is_known() {
    let redis = Server::start(&[]);
    let node = start(&redis.url());
    redis.kill();
    let answer = node.post("/users/bob/claim", alice("1"), &json!({}));
    assert_eq!(answer.refusal(), (503, "unavailable".to_owned()));
    assert_eq!(answer.headers["retry-after"], "1");
    let outcome = answer.json()["effect"].clone();
    assert!(outcome == "not_applied" || outcome == "unknown", "{outcome}");
    assert_eq!(node.get("/pool", BOB).refusal().0, 503);
}
