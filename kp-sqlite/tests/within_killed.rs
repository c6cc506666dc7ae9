//! A process that claims, and writes beside it for which pool the Welcome is, is killed: one is never there without the other.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

mod closures;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kp_core::server::*;
use kp_core::*;
use kp_sqlite::SqliteStore;

use crate::closures::{NOW, Scene, package, pool, route, take};

/// Where the child finds its file, and at which step it dies.
const CHILD: &str = "KP_SQLITE_CHILD";

/// The steps of a claim: before it, behind it, behind the row, and behind the commit.
const STEPS: u32 = 4;

fn die_at(step: u32, last: u32) {
    if step == last {
        std::process::abort();
    }
}

/// The part of the child: claims, and says so, until it dies.
#[tokio::test]
async fn a_process_that_claims() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let (path, last) = told.rsplit_once(' ').unwrap();
    let (path, last): (_, u32) = (Path::new(path), last.parse().unwrap());
    let store = SqliteStore::open(path).await.unwrap();
    for number in u64::from(last) * 10_000.. {
        let claimed = store.within(move |within| {
            die_at(0, last);
            let claimed = within.claim_key_packages(&[take(0, number)], None, NOW)?.only()?;
            die_at(1, last);
            route(within, 0, &claimed)?;
            die_at(2, last);
            Ok::<_, BoxError>(())
        });
        claimed.await.unwrap();
        die_at(3, last);
        println!("claimed");
    }
}

fn child(scene: &Scene, last: u32) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "a_process_that_claims", "--nocapture"]);
    child.env(CHILD, format!("{} {last}", scene.path.display()));
    child.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Asserts that the KeyPackages that are spent are those that have a Welcome, and returns how many.
async fn routed(scene: &Scene) -> i64 {
    let (spent, rows) = scene.counted();
    assert_eq!(spent, rows, "one without the other");
    let server = scene.server();
    let mut refs = server.prepare("SELECT ref FROM welcomes").unwrap();
    let refs = refs.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    let refs: Vec<_> = refs
        .map(|named| KeyPackageRef::try_from(named.unwrap()).unwrap())
        .collect();
    for refs in refs.chunks(1_000) {
        let statuses = scene.store.get_statuses(&pool(0), refs, NOW).await.unwrap();
        for status in statuses {
            assert!(matches!(status, Some(Status::Spent { .. })), "{status:?}");
        }
    }
    rows
}

#[tokio::test]
async fn a_process_that_dies_at_any_step_leaves_both_or_neither() {
    let scene = Scene::open().await;
    for step in 0..STEPS {
        let ended = child(&scene, step).wait().unwrap();
        assert!(!ended.success(), "it died at step {step}");
        assert_eq!(
            routed(&scene).await,
            i64::from(step == STEPS - 1),
            "died at step {step}"
        );
    }
}

/// Where in its claim a process is killed, nobody says. What it had been answered is there.
#[tokio::test]
async fn a_process_that_is_killed_at_any_moment_leaves_both_or_neither() {
    let scene = Scene::open().await;
    for batch in 1..=9 {
        let packages = (0..1_000).map(|number| package(batch * 1_000 + number));
        let save = Save::new(pool(0), packages).unwrap();
        scene.store.save_key_packages(&save, NOW).await.unwrap();
    }
    let mut before = 0;
    for kill in 0..40 {
        let mut running = child(&scene, STEPS + kill);
        let mut told = BufReader::new(running.stdout.take().unwrap()).lines();
        let mut answered = 0;
        while answered == 0 {
            answered += i64::from(told.next().unwrap().unwrap() == "claimed");
        }
        // Each time a little later, so that the kills spread over some claims.
        std::thread::sleep(Duration::from_micros(50 * u64::from(kill)));
        running.kill().unwrap();
        running.wait().unwrap();
        answered += told
            .filter(|line| line.as_ref().is_ok_and(|line| line == "claimed"))
            .count() as i64;
        let now = routed(&scene).await;
        assert!(
            now >= before + answered,
            "{now}, after {before} and {answered} that were answered"
        );
        before = now;
    }
}
