use serde_json::json;

use crate::scene::{Scene, json, kp, now, text};

#[tokio::test(flavor = "multi_thread")]
async fn pools_are_listed_shown_and_counted() {
    let scene = Scene::new();
    scene.fill("pools.db", 3).await;
    let store = scene.url("pools.db");
    assert_eq!(text(&["pools", &store]), "user-0\nuser-1\nuser-2\n");
    assert_eq!(json(&["pools", &store]), json!(["user-0", "user-1", "user-2"]));

    let shown = json(&["show", &store, "user-1"]);
    assert_eq!(shown["records"].as_array().unwrap().len(), 20);
    assert_eq!(shown["counts"]["ciphersuites"]["1"]["available"], 16);
    assert!(text(&["show", &store, "user-1"]).contains("last resort"));
    assert_eq!(kp(&["show", &store, "nobody"]).status.code(), Some(4));

    let counts = json(&["counts", &store]);
    assert_eq!(counts["pools"], 3);
    let suite = &counts["ciphersuites"]["1"];
    let shown = ["available", "reserved", "spent", "last_resorts", "low", "exhausted"].map(|name| suite[name].clone());
    assert_eq!(shown, [48, 3, 6, 3, 0, 0]);
    assert_eq!(json(&["counts", &store, "--low", "17"])["ciphersuites"]["1"]["low"], 3);
    assert!(text(&["counts", &store]).starts_with("3 pools"));

    let looks = text(&["watch", &store, "--every", "1", "--looks", "2"]);
    assert_eq!(looks.matches("3 pools").count(), 2);
    assert!(looks.contains("+0.00"), "{looks}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_undone_wants_a_yes() {
    let scene = Scene::new();
    scene.fill("pools.db", 2).await;
    let store = scene.url("pools.db");
    let before = now().plus(1_000).get().to_string();
    for dangerous in [
        &["withdraw", &store, "user-0"][..],
        &["delete", &store, "user-0"],
        &["retire-unspent", &store, "--before", &before],
    ] {
        let counts = json(&["counts", &store]);
        assert_eq!(kp(dangerous).status.code(), Some(4), "{dangerous:?}");
        assert_eq!(json(&["counts", &store]), counts, "nothing was done");
        text(&[dangerous, &["--yes"]].concat());
        assert_ne!(json(&["counts", &store]), counts);
    }
    assert_eq!(text(&["pools", &store]), "user-1\n");
    assert_eq!(json(&["counts", &store])["ciphersuites"]["1"]["available"], 0);
    assert_eq!(json(&["cleanup", &store]), json!({ "forgotten": 0, "settled": 0 }));
}

#[test]
fn a_store_that_is_not_there_is_said_without_its_password() {
    for store in [
        "sqlite:/nowhere/pools.db",
        "postgres://kp:secret@127.0.0.1:1/kp",
        "mysql://kp:secret@127.0.0.1/kp",
    ] {
        assert_eq!(kp(&["pools", store]).status.code(), Some(3), "{store}");
    }
    assert_eq!(kp(&["pools"]).status.code(), Some(2));
    assert_eq!(kp(&["show", "sqlite:x", "hex:0"]).status.code(), Some(2));
}

#[test]
fn it_explains_itself() {
    assert!(text(&["completions", "bash"]).contains("retire-unspent"));
    assert!(text(&["man"]).contains(".TH kp 1"));
    assert!(text(&["help"]).contains("Exit codes"));
}
