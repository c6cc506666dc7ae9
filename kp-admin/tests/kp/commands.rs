use kp_test_support::postgres::Postgres;
use kp_test_support::servers::Server;
use rusqlite::Connection;
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
    for (mark, low) in [("16", 0), ("17", 3)] {
        assert_eq!(
            json(&["counts", &store, "--low", mark])["ciphersuites"]["1"]["low"],
            low
        );
    }
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

/// A page of a listing holds 1,000 pools.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_pools_none_is_left_out() {
    let scene = Scene::new();
    let names: Vec<_> = (0..2_001).map(|n| format!("user-{n:04}")).collect();
    scene.fill_each(&names, now().plus(100)).await;
    assert_eq!(json(&["pools", &scene.url("many.db")]), json!(names));
}

/// The clock of another node may be behind.
#[tokio::test(flavor = "multi_thread")]
async fn what_expired_within_the_skew_is_kept() {
    let scene = Scene::new();
    scene.fill_each(&["bob".to_owned()], now().minus(1_800)).await;
    let store = scene.url("many.db");
    assert_eq!(json(&["cleanup", &store])["forgotten"], 0);
    assert_eq!(json(&["cleanup", &store, "--skew", "7200"])["forgotten"], 0);
    assert_eq!(json(&["cleanup", &store, "--skew", "900"])["forgotten"], 1);
}

#[test]
fn a_store_that_is_not_there_is_said_without_its_password() {
    for store in ["sqlite:/nowhere/pools.db", "postgres://kp:secret@127.0.0.1:1/kp"] {
        assert_eq!(kp(&["pools", store]).status.code(), Some(3), "{store}");
    }
    for wrong in [
        &["pools"][..],
        &["show", "sqlite:x", "hex:0"],
        &["pools", "mysql://kp:secret@127.0.0.1/kp"],
        &["pools", "redis://:secret@127.0.0.1:1?schema=secret"],
        &["copy", "redis://:secret@127.0.0.1:1?buckets=secret", "sqlite:x"],
    ] {
        assert_eq!(kp(wrong).status.code(), Some(2), "{wrong:?}");
    }
}

/// Where there is no store, every command but a copy says so, and makes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn no_command_but_a_copy_makes_a_store() {
    let (scene, database, server) = (Scene::new(), Postgres::start(&[]), Server::start(&[]));
    let file = Connection::open(scene.path("theirs.db")).unwrap();
    file.execute_batch("CREATE TABLE theirs (theirs)").unwrap();
    drop(file);
    let theirs = std::fs::read(scene.path("theirs.db")).unwrap();
    let (client, connection) = tokio_postgres::connect(&database.url(), tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let made = "SELECT (SELECT count(*) FROM pg_tables WHERE tablename LIKE 'keypackage%')
        + (SELECT count(*) FROM pg_namespace WHERE nspname = 'apart')";
    let stores = [
        scene.url("nothing.db"),
        scene.url("theirs.db"),
        database.url(),
        format!("{}&schema=apart", database.url()),
        server.url(),
        format!("{}?prefix=apart:", server.url()),
    ];
    scene.fill("pools.db", 1).await;
    for store in &stores {
        for command in [
            &["pools", store][..],
            &["show", store, "user-0"],
            &["counts", store],
            &["watch", store, "--looks", "1"],
            &["check", store],
            &["check", store, "--repair", "--yes"],
            &["cleanup", store],
            &["retire-unspent", store, "--before", "1", "--yes"],
            &["withdraw", store, "user-0", "--yes"],
            &["delete", store, "user-0", "--yes"],
            &["copy", store, &scene.url("target.db")],
        ] {
            let ran = kp(command);
            assert_eq!(ran.status.code(), Some(3), "{command:?}: {ran:?}");
            let says = String::from_utf8(ran.stderr).unwrap();
            assert!(says.contains("no KeyPackage store is there"), "{command:?}: {says}");
        }
    }
    assert!(!scene.path("nothing.db").exists() && !scene.path("target.db").exists());
    assert_eq!(std::fs::read(scene.path("theirs.db")).unwrap(), theirs);
    assert_eq!(client.query_one(made, &[]).await.unwrap().get::<_, i64>(0), 0);
    assert_eq!(server.command::<u64>(&["DBSIZE"]).unwrap(), 0);
    for store in &stores {
        assert_eq!(json(&["copy", &scene.url("pools.db"), store])["pools"], 1);
        assert_eq!(text(&["pools", store]), "user-0\n");
    }
}

#[test]
fn it_explains_itself() {
    assert!(text(&["completions", "bash"]).contains("retire-unspent"));
    assert!(text(&["man"]).contains(".TH kp 1"));
    assert!(text(&["help"]).contains("Exit codes"));
}
