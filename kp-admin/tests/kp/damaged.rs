//! What the commands say of a store with a damaged pool.

use kp_test_support::servers::Server;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::scene::{Scene, json, kp, text};

const UNREADABLE: &str = "PRAGMA ignore_check_constraints = 1;
    UPDATE keypackage_pool_packages SET state = 14 WHERE key = (SELECT max(key) FROM keypackage_pool_packages WHERE pool =
        (SELECT key FROM keypackage_pools WHERE pool = CAST('user-1' AS BLOB)))";

/// The record at the end of the queue loses its bytes.
const BYTES_MISSING: &str = "UPDATE keypackage_pool_packages SET bytes = NULL
    WHERE key = (SELECT max(key) FROM keypackage_pool_packages WHERE pool =
        (SELECT key FROM keypackage_pools WHERE pool = CAST('user-1' AS BLOB)))";

const EXPIRY: &str = "UPDATE keypackage_pools SET next_expiry = next_expiry + 1 WHERE pool = CAST('user-1' AS BLOB)";

const ORPHANS: &str = "UPDATE keypackage_pool_packages SET pool = 77
    WHERE pool = (SELECT key FROM keypackage_pools WHERE pool = CAST('user-1' AS BLOB)) AND state = 0";

async fn damaged(damage: &str) -> (Scene, String) {
    let scene = Scene::new();
    scene.fill("pools.db", 3).await;
    let file = Connection::open(scene.path("pools.db")).unwrap();
    file.execute_batch(damage).unwrap();
    let url = scene.url("pools.db");
    (scene, url)
}

/// What a command prints that ends with this code: its output, and what it says beside.
fn ends(code: i32, args: &[&str]) -> (String, String) {
    let ran = kp(args);
    assert_eq!(ran.status.code(), Some(code), "{args:?}: {ran:?}");
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(ran.stdout), text(ran.stderr))
}

fn of_json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_pool_is_shown_as_such() {
    let (_scene, url) = damaged(UNREADABLE).await;
    let (shown, says) = ends(5, &["show", &url, "user-1"]);
    assert_eq!(shown, "");
    assert!(says.contains("damaged: a record cannot be read"), "{says}");
    text(&["show", &url, "user-0"]);

    // What can be shown is.
    let (scene, url) = damaged(EXPIRY).await;
    let (shown, says) = ends(5, &["show", &url, "user-1", "--json"]);
    assert_eq!(of_json(&shown)["records"].as_array().unwrap().len(), 20);
    assert!(says.contains("damaged: what expires would be found too late"), "{says}");
    // And a copy derives it anew.
    let target = scene.url("target.db");
    assert_eq!(json(&["copy", &url, &target])["pools"], 3);
    text(&["show", &target, "user-1"]);
}

/// A damaged pool is named, and keeps no other from being copied.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_leaves_out_what_is_damaged() {
    for (damage, due) in [(UNREADABLE, "a record cannot be read"), (BYTES_MISSING, "bytes")] {
        let (scene, url) = damaged(damage).await;
        let target = scene.url("target.db");
        let (copied, _) = ends(5, &["copy", &url, &target, "--json"]);
        let copied = of_json(&copied);
        assert_eq!((&copied["pools"], &copied["records"]), (&json!(2), &json!(40)));
        assert_eq!((&copied["damaged_pools"], &copied["differing"]), (&json!(1), &json!(0)));
        assert_eq!(copied["damaged"][0]["pool"], "user-1");
        assert!(copied["damaged"][0]["says"].as_str().unwrap().contains(due), "{copied}");
        assert_eq!(text(&["pools", &target]), "user-0\nuser-2\n");

        let (copied, says) = ends(5, &["copy", &url, &target]);
        assert!(copied.contains("\ndamaged: user-1: "), "{copied}");
        assert!(says.contains("1 pool damaged"), "{says}");
        let (copied, _) = ends(5, &["copy", &target, &url]);
        assert!(copied.contains("\ndamaged: user-1: in the target, "), "{copied}");
        // Without the pool, all is well.
        text(&["delete", &url, "user-1", "--yes"]);
        assert_eq!(json(&["copy", &url, &target])["were_there"], 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_says_before_what_it_removes_and_after_what_it_removed() {
    let (_scene, url) = damaged(ORPHANS).await;
    let (checked, says) = ends(5, &["check", &url, "--json"]);
    assert!(says.contains("--repair mends"), "{says}");
    let checked = of_json(&checked);
    let faults = checked["faults"].as_array().unwrap();
    let orphans = faults.iter().filter(|fault| fault["code"] == "orphan");
    let orphans: Vec<_> = orphans.collect();
    assert_eq!(orphans.len(), 1, "{checked}");
    assert_eq!(
        (&orphans[0]["mendable"], &orphans[0]["removed"]),
        (&json!(true), &json!(true))
    );
    let lost = format!(
        "{} rows or keys that belong to no pool are REMOVED",
        orphans[0]["count"]
    );

    let (_, asks) = ends(4, &["check", &url, "--repair"]);
    assert!(asks.contains(&lost) && asks.contains("KeyPackages"), "{asks}");
    let (again, _) = ends(5, &["check", &url, "--json"]);
    assert_eq!(of_json(&again), checked, "nothing was done");
    let mended = text(&["check", &url, "--repair", "--yes"]);
    assert!(mended.contains("\nremoved: something belongs to no pool"), "{mended}");
    assert!(!mended.contains("mended: something belongs to no pool"), "{mended}");
    assert!(mended.contains("\nmended: "), "its count is derived anew: {mended}");
    assert!(!text(&["check", &url]).contains("no pool"));
}

/// A pool of Redis that is not listed is called an orphan, and comes back.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_listed_again_is_not_called_removed() {
    let (scene, server) = (Scene::new(), Server::start(&[]));
    scene.fill("pools.db", 2).await;
    let url = format!("{}?prefix=kp:&buckets=1", server.url());
    json(&["copy", &scene.url("pools.db"), &url]);
    let zrem = ["ZREM", "kp:{0}:pools", "user-1"];
    assert_eq!(server.command::<i64>(&zrem).unwrap(), 1);
    let (_, asks) = ends(4, &["check", &url, "--repair"]);
    assert!(
        asks.contains("1 row or key that belongs to no pool is REMOVED"),
        "{asks}"
    );
    assert!(asks.contains("listed again instead"), "{asks}");
    let mended = text(&["check", &url, "--repair", "--yes"]);
    assert!(mended.contains("mended: a pool is listed again"), "{mended}");
    assert!(!mended.contains("removed:"), "{mended}");
    assert_eq!(text(&["pools", &url]), "user-0\nuser-1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_repair_is_offered_where_none_is_of_use() {
    let (_scene, url) = damaged(BYTES_MISSING).await;
    let (checked, says) = ends(5, &["check", &url, "--json"]);
    let faults = of_json(&checked)["faults"].as_array().unwrap().clone();
    assert!(
        !faults.is_empty() && faults.iter().all(|fault| fault["mendable"] == false),
        "{faults:?}"
    );
    assert!(
        says.contains("which cannot be mended") && !says.contains("--repair"),
        "{says}"
    );
}
