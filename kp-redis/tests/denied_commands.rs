//! The server denies one command after another to the user of an open store: whatever a call had changed by then, no answer
//! says that it was not applied.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod calls;
mod packages;

use std::collections::BTreeMap;
use std::time::Duration;

use calls::{CALLS, Stores, servers};
use kp_core::Effect;
use kp_redis::RedisStore;
use kp_test_support::servers::Server;

/// Every command that docs/redis-user.md lists.
fn commands() -> Vec<String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/redis-user.md");
    let page = std::fs::read_to_string(page).unwrap();
    let block = page.split("```").nth(1).unwrap();
    let words = block.split_whitespace().filter_map(|word| word.strip_prefix('+'));
    words.map(str::to_owned).collect()
}

/// Every key of the server, and what it holds. A heartbeat is no change.
fn keys(connection: &mut redis::Connection) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query(connection).unwrap();
    let mut dumps = redis::pipe();
    for key in &keys {
        dumps.cmd("DUMP").arg(key);
    }
    let held: Vec<Vec<u8>> = dumps.query(connection).unwrap();
    let all = keys.into_iter().zip(held);
    all.filter(|(key, _)| !key.ends_with(b"heartbeat")).collect()
}

#[tokio::test]
async fn no_half_change_is_ever_answered_as_not_applied() {
    for server in servers(&[]) {
        for functions in ["+fcall", "-fcall"] {
            let (table, half) = deny_each(&server, functions).await;
            println!("{functions}: {table}");
            assert!(
                half > 0,
                "a denied command leaves half a change: or this test sees none"
            );
        }
    }
}

/// Returns a row for each command, and how many changes were left half done, and said so.
async fn deny_each(server: &Server, functions: &str) -> (String, u32) {
    let acl = |words: &[&str]| {
        let words = [&["ACL", "SETUSER", "app"], words].concat();
        let () = server.command(&words).unwrap();
    };
    acl(&["reset", "on", ">pw", "~*", "+@all", functions]);
    let open = |url: String| {
        let builder = RedisStore::builder(url).buckets(1).timeout(Duration::from_secs(20));
        Stores::open(builder, "bob")
    };
    let admin = open(server.url()).await.unwrap();
    let app = open(format!("redis://app:pw@127.0.0.1:{}/", server.port()))
        .await
        .unwrap();
    assert_eq!(app.store.server().functions, functions == "+fcall");
    let mut connection = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let mut table =
        String::from("denied             answered  not applied  unknown, nothing changed  unknown, changed\n");
    let mut half = 0;
    for command in commands() {
        let mut row = [0, 0, 0, 0];
        for call in CALLS {
            admin.prepare_again().await;
            let before = keys(&mut connection);
            acl(&[&format!("-{command}")]);
            let answer = app.make(call).await;
            acl(&[&format!("+{command}")]);
            let changed = keys(&mut connection) != before;
            let column = match &answer {
                Ok(_) => 0,
                Err(failure) if failure.effect() == Effect::NotApplied => {
                    assert!(!changed, "without {command}, {} says: {failure}", call.name);
                    1
                }
                Err(_) if changed => 3,
                Err(_) => 2,
            };
            row[column] += 1;
        }
        half += row[3];
        let [answered, not_applied, unknown, changed] = row;
        table += &format!("{command:<18} {answered:>8}  {not_applied:>11}  {unknown:>24}  {changed:>16}\n");
    }
    (table, half)
}
