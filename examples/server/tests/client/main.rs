//! A client's pool that reaches the example `server` over HTTP (POOL-7).

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

#[path = "../server/examples.rs"]
mod examples;
#[allow(dead_code, reason = "the server's tests need more of it")]
#[path = "../server/node.rs"]
mod node;

use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keypackage_pool::KeyPackage;
use keypackage_pool::client::Lifecycle;
use keypackage_pool::client::{CiphersuitePlan, KeyPackagePool, PoolError};
use keypackage_pool::http::client::KeyPackageClient;
use keypackage_pool::openmls::OpenMlsAdmission;
use keypackage_pool::server::{Admission as _, Uploader};
use kp_test_support::messenger::{Alice, Bob, SUITE, Vault};
use node::{From, Node, key_packages};
use serde_json::{Value, json};

const PHONE: &str = "bob-phone";

/// A process of Bob's: his keys and rows are what it finds.
fn open(bob: &Bob, node: &Node, token: &str) -> KeyPackagePool<Vault> {
    let transport = KeyPackageClient::builder(format!("http://{}", node.address()));
    let transport = transport.bearer(token).retries(0).build().expect("an address");
    let pool = KeyPackagePool::builder(bob.vault(), Arc::new(bob.metadata.clone()), transport);
    pool.ciphersuite(CiphersuitePlan::pool(SUITE))
        .build()
        .expect("a sensible plan")
}

/// Alice gets a KeyPackage of Bob's phone, for good; his laptop has none.
#[expect(clippy::disallowed_methods, reason = "the clients live in the present")]
fn claim(node: &Node, key: &str) -> KeyPackage {
    let alice = From {
        token: "alice-phone",
        key,
    };
    let answer = node.post("/users/bob/claim", alice, &json!({})).ok();
    assert_eq!(answer["devices"][0]["device"], "phone");
    let bytes = answer["devices"][0]["answer"]["ok"]["key_package"]
        .as_str()
        .expect("base64");
    let bytes = STANDARD.decode(bytes).expect("base64");
    let admitted = OpenMlsAdmission::new().admit(&bytes, &Uploader::identity("bob"), SystemTime::now().into());
    admitted.expect("what the server holds is good").package
}

/// What the server says of the pool: how it does, how many are left, how many are used.
fn health(node: &Node) -> (Value, Value, Value) {
    let status = node.get("/pool", PHONE).ok();
    let counts = &status["ciphersuites"]["1"]["counts"];
    (
        status["health"].clone(),
        counts["available"].clone(),
        counts["spent"].clone(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_fills_joins_and_refreshes() {
    let node = Node::start(&["--limit", "100"]);
    let (alice, bob) = (Alice::new(), Bob::new());
    let pool = open(&bob, &node, PHONE);

    let report = pool.refresh().await.expect("it fills");
    assert_eq!((report.generated, report.uploaded), (33, 33), "32 and a last resort");
    assert_eq!(health(&node), (json!("good"), json!(32), json!(0)));

    let invitation = alice.invite(&claim(&node, "0"));
    let forged = pool.join(&invitation.refs, || bob.attempt(&invitation.forged())).await;
    assert!(forged.expect("it was attempted").is_err(), "it does not decrypt");
    let joined = pool.join(&invitation.refs, || bob.attempt(&invitation.welcome)).await;
    joined.expect("it was attempted").expect("the genuine one does");
    assert!(bob.is_in(invitation.group.group_id()));

    for key in 1..25 {
        claim(&node, &key.to_string());
    }
    assert!(
        !pool.should_replenish().await.expect("its rows"),
        "nobody has told it yet"
    );
    let report = pool.refresh().await.expect("it learns");
    assert_eq!((report.generated, report.uploaded, report.deleted), (25, 25, 0));
    assert_eq!(health(&node), (json!("good"), json!(32), json!(25)));

    // Somebody with Bob's token uploads what Bob has no keys for: whoever got one could not add him.
    let device = From {
        token: PHONE,
        key: "none",
    };
    node.post("/pool/upload", device, &key_packages("bob", 3)).ok();
    let report = pool.refresh().await.expect("it takes them back");
    assert_eq!((report.withdrawn, report.uploaded), (3, 0));
    assert_eq!(health(&node), (json!("good"), json!(32), json!(28)));

    // Another signature key: new ones go up, and the old ones are withdrawn.
    bob.credentials.change("bob");
    let report = pool.refresh().await.expect("it changes over");
    assert_eq!((report.uploaded, report.withdrawn), (33, 32));
    let package = claim(&node, "with the new key");
    assert_eq!(package.info.credential, kp_test_support::messenger::current(&bob));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_costs_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = format!("sqlite:{}", dir.path().join("pools.db").display());
    let server = ["--store", &store, "--secret", "the same after a restart"];
    let bob = Bob::new();

    // It does not know the token: everything is made, and nothing is up.
    let node = Node::start(&server);
    let refused = open(&bob, &node, "not a token").refresh().await;
    assert!(matches!(refused, Err(PoolError::Transport(_))), "{refused:?}");
    let report = open(&bob, &node, PHONE).refresh().await.expect("it fills");
    assert_eq!(report.uploaded, 33);

    let pool = open(&bob, &node, PHONE);
    node.kill();
    let unreached = pool.refresh().await;
    assert!(matches!(unreached, Err(PoolError::Transport(_))), "{unreached:?}");
    let rows = bob.rows().await;
    assert_eq!(rows.len(), 33);
    for row in &rows {
        assert_eq!(bob.lifecycle(row).await, Some(Lifecycle::Available));
    }

    let node = Node::start(&server);
    let report = open(&bob, &node, PHONE).refresh().await.expect("it is back");
    assert_eq!(
        (report.generated, report.uploaded, report.lost, report.withdrawn),
        (0, 0, 0, 0)
    );
    assert_eq!(bob.rows().await, rows);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_is_refilled_when_its_server_says_that_it_runs_low() {
    let node = Node::start(&["--limit", "100"]);
    let bob = Bob::new();
    let pool = open(&bob, &node, PHONE);
    pool.refresh().await.expect("it fills");
    let (done, mut refreshed) = tokio::sync::mpsc::unbounded_channel();
    let client = KeyPackageClient::builder(format!("http://{}", node.address()))
        .bearer(PHONE)
        .build();
    let watcher = client.expect("an address").watch(move || {
        let (pool, done) = (pool.clone(), done.clone());
        async move {
            let report = pool.refresh().await.expect("it refills");
            done.send(report.uploaded).expect("the test waits");
        }
    });
    for key in 0..25 {
        claim(&node, &key.to_string());
    }
    assert!(refreshed.recv().await.expect("a refresh") >= 25, "7 are left of 32");
    assert_eq!(health(&node).0, "good");
    watcher.stop().await.expect("nothing had ended it");
}
