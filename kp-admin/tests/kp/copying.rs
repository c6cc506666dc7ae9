use std::process::{Command, Stdio};
use std::time::Duration;

use kp_core::server::KeyPackageStore;
use kp_sqlite::SqliteStore;

use crate::scene::{Scene, json, kp, pool, text};

async fn pools_in(store: &SqliteStore) -> usize {
    store.list_pools(None, 1_000).await.unwrap().items.len()
}

/// Killed again and again, a copy goes on where it was, and ends with equal stores.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_copy_goes_on() {
    let scene = Scene::new();
    scene.fill("from.db", 60).await;
    let (from, to) = (scene.url("from.db"), scene.url("to.db"));
    let target = SqliteStore::open(scene.path("to.db")).await.unwrap();
    let mut there = 0;
    for _ in 0..3 {
        let mut copying = Command::new(env!("CARGO_BIN_EXE_kp"))
            .args(["copy", &from, &to, "--rate", "200", "--json"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Each has copied something when it is killed.
        while pools_in(&target).await < there + 5 {
            assert_eq!(copying.try_wait().unwrap(), None, "it goes on");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        copying.kill().unwrap();
        copying.wait().unwrap();
        there = pools_in(&target).await;
    }
    let copied = json(&["copy", &from, &to]);
    assert_eq!(copied["were_there"], there);
    assert_eq!(copied["pools"], 60 - there);
    assert_eq!(copied["records"], 20 * (60 - there));
    assert_eq!(copied["differing"], 0);
    let again = json(&["copy", &from, &to]);
    assert_eq!((&again["pools"], &again["were_there"]), (&0.into(), &60.into()));
    assert_eq!(again["digest"], copied["digest"]);
}

/// A pool that differs, or that the target alone holds, is found.
#[tokio::test(flavor = "multi_thread")]
async fn stores_that_differ_are_not_called_equal() {
    let scene = Scene::new();
    scene.fill("from.db", 3).await;
    let (from, to) = (scene.url("from.db"), scene.url("to.db"));
    text(&["copy", &from, &to]);
    text(&["withdraw", &from, "user-1", "--yes"]);
    let differs = kp(&["copy", &from, &to]);
    assert_eq!(differs.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&differs.stdout).contains("differs: user-1"));
    let store = SqliteStore::open(scene.path("from.db")).await.unwrap();
    for name in ["user-1", "user-2"] {
        store.delete_pool(&pool(name)).await.unwrap();
    }
    store.close().await.unwrap();
    let ran = kp(&["copy", &from, &to, "--json"]);
    assert_eq!(ran.status.code(), Some(5));
    let report: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(report["differing"], 2);
}
