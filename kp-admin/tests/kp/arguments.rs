//! How `kp` ends: on arguments that are wrong, pools that are not there, and outputs that nobody reads.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use kp_core::server::{KeyPackageStore, Save};
use kp_sqlite::SqliteStore;

use crate::scene::{Scene, fresh_packages, kp, now, pool, text};

fn says(args: &[&str], code: i32) -> String {
    let ran = kp(args);
    assert_eq!(ran.status.code(), Some(code), "{args:?}: {ran:?}");
    String::from_utf8(ran.stderr).unwrap()
}

#[test]
fn a_wrong_argument_is_called_so_before_anything_is_opened() {
    let server = "redis://127.0.0.1:1";
    for wrong in ["buckets=0", "buckets=16385", "prefix=a%7Bb", "prefix={a}", "prefix=%ZZ"] {
        let name = wrong.split('=').next().unwrap();
        let says = says(&["pools", &format!("{server}?{wrong}")], 2);
        assert!(says.contains(&format!("`{name}` has an impossible value")), "{says}");
    }
    let said = says(&["pools", "postgres://kp@127.0.0.1:1/kp?prefix=x"], 2);
    assert!(
        said.contains("no parameter `prefix`") && !said.contains("TLS"),
        "{said}"
    );
    for before in ["99999999999999999", "-1", "yesterday"] {
        says(
            &[
                "retire-unspent",
                "sqlite:/nowhere/pools.db",
                "--before",
                before,
                "--yes",
            ],
            2,
        );
    }
    says(&["man", "nothing"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_is_not_there_is_not_found() {
    let scene = Scene::new();
    scene.fill("pools.db", 1).await;
    let store = scene.url("pools.db");
    for command in ["delete", "withdraw"] {
        for yes in [&[][..], &["--yes"]] {
            let said = says(&[&[command, &store, "nobody"], yes].concat(), 4);
            assert!(said.contains("no such pool") && !said.contains("--yes"), "{said}");
        }
        assert!(says(&[command, &store, "user-0"], 4).contains("--yes"));
    }
    assert_eq!(text(&["pools", &store]), "user-0\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_store_is_copied_onto_itself() {
    let scene = Scene::new();
    scene.fill("pools.db", 1).await;
    std::os::unix::fs::symlink(scene.path("pools.db"), scene.path("link.db")).unwrap();
    let (store, link) = (scene.url("pools.db"), scene.url("link.db"));
    let detour = store.replace("/pools.db", "/./pools.db");
    let server = "redis://127.0.0.1:1?prefix=x:";
    let (one, other) = (
        "postgres://127.0.0.1:1/kp?schema=a",
        "postgres://127.0.0.1:1/kp?schema=b",
    );
    for (from, to) in [
        (&*store, &*store),
        (&store, &link),
        (&link, &store),
        (&detour, &store),
        (server, server),
        (one, one),
    ] {
        assert!(says(&["copy", from, to], 2).contains("the same store"), "{from} {to}");
    }
    says(&["copy", one, other], 3);
    text(&["copy", &store, &scene.url("other.db")]);
}

/// Standard output or standard error that nobody reads any more.
fn closed() -> Stdio {
    let (ours, theirs) = UnixStream::pair().unwrap();
    drop(theirs);
    Stdio::from(OwnedFd::from(ours))
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_as_always_where_nobody_reads_what_it_says() {
    let scene = Scene::new();
    scene.fill("pools.db", 1).await;
    let store = scene.url("pools.db");
    let full = || Stdio::from(std::fs::File::create("/dev/full").unwrap());
    let ends = |args: &[&str], out: Stdio, err: Stdio| {
        let mut kp = Command::new(env!("CARGO_BIN_EXE_kp"));
        let ran = kp
            .args(args)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .unwrap();
        let ran = ran.wait_with_output().unwrap();
        (ran.status.code(), String::from_utf8(ran.stderr).unwrap())
    };
    for err in [closed(), full()] {
        assert_eq!(
            ends(&["pools", "sqlite:/nowhere/pools.db"], Stdio::null(), err).0,
            Some(3)
        );
    }
    for err in [closed(), full()] {
        assert_eq!(ends(&["withdraw", &store, "user-0"], Stdio::null(), err).0, Some(4));
    }
    for args in [
        &["man"][..],
        &["completions", "bash"],
        &["pools", &store],
        &["check", &store],
    ] {
        assert_eq!(
            ends(args, closed(), Stdio::piped()),
            (Some(141), String::new()),
            "{args:?}"
        );
        let (code, says) = ends(args, full(), Stdio::piped());
        assert_eq!(code, Some(1), "{args:?}");
        assert!(says.contains("output cannot be written"), "{says}");
    }
}

/// A name that would turn the direction of a line, or not be seen, is written by its digits.
#[tokio::test(flavor = "multi_thread")]
async fn one_pool_is_counted_as_one_and_shown_by_what_can_be_seen() {
    let scene = Scene::new();
    let store = SqliteStore::open(scene.path("pools.db")).await.unwrap();
    let save = Save::new(pool("a\u{202e}b"), fresh_packages(1)).unwrap();
    store.save_key_packages(&save, now()).await.unwrap();
    store.close().await.unwrap();
    let store = scene.url("pools.db");
    assert_eq!(text(&["pools", &store]), "hex:61e280ae62\n");
    assert!(text(&["show", &store, "hex:61e280ae62"]).starts_with("hex:61e280ae62\n"));
    assert!(text(&["counts", &store]).starts_with("1 pool, "));
    assert!(text(&["check", &store]).starts_with("1 pool with 1 record\n"));
    assert!(text(&["copy", &store, &scene.url("other.db")]).starts_with("1 pool with 1 record copied"));
    assert_eq!(
        text(&["withdraw", &store, "hex:61e280ae62", "--yes"]),
        "1 KeyPackage withdrawn\n"
    );
}

/// The page of the command names the others, and each has one with its own options.
#[test]
fn every_command_has_a_page() {
    let whole = text(&["man"]);
    for (command, option) in [
        ("check", "repair"),
        ("check", "yes"),
        ("retire-unspent", "before"),
        ("copy", "rate"),
        ("cleanup", "skew"),
    ] {
        assert!(whole.contains(&command.replace('-', "\\-")), "{command}");
        let page = text(&["man", command]);
        assert!(page.contains(&format!(".TH kp-{command} 1")), "{page}");
        assert!(page.contains(&format!("\\-\\-{option}")), "{page}");
    }
}
