//! `kp check` finds every damage, and `--repair` mends what can be derived.

use kp_test_support::postgres::Postgres;
use kp_test_support::servers::Server;
use rusqlite::Connection;
use serde_json::Value;

use crate::scene::{Scene, json, kp};

/// What is done to the pool `user-1`, how `kp check` calls it, and whether it can be mended. Of its 20 packages, the first is claimed, the
/// second reserved, the third spent, and the last is a last resort.
struct Damage(&'static str, &'static str, bool);

/// `P` are the packages, `L` the leases, `Q` the pools. `{n}` is the key of the n-th package.
const SQLITE: [Damage; 25] = [
    Damage("UPDATE P SET bytes = NULL WHERE key = {5}", "bytes_missing", false),
    Damage("UPDATE P SET bytes = x'00' WHERE key = {3}", "bytes_left", true),
    Damage("UPDATE P SET support = x'01f001' WHERE key = {3}", "bytes_left", true),
    Damage("DELETE FROM P WHERE key = {5}", "count", true),
    Damage("UPDATE P SET pool = 77 WHERE key = {5}", "orphan", true),
    Damage(
        "UPDATE P SET ref = (SELECT ref FROM P WHERE key = {5}) WHERE key = {6}",
        "ref_twice",
        false,
    ),
    Damage(
        "PRAGMA ignore_check_constraints = 1; UPDATE P SET state = 14 WHERE key = {5}",
        "unreadable",
        false,
    ),
    Damage(
        "PRAGMA ignore_check_constraints = 1; UPDATE P SET not_before = not_after WHERE key = {5}",
        "unreadable",
        false,
    ),
    Damage(
        "UPDATE Q SET records = records + 1 WHERE pool = CAST('user-1' AS BLOB)",
        "count",
        true,
    ),
    Damage(
        "UPDATE Q SET unspent_from = last_sequence WHERE pool = CAST('user-1' AS BLOB)",
        "queue",
        true,
    ),
    Damage(
        "UPDATE Q SET next_expiry = next_expiry + 1 WHERE pool = CAST('user-1' AS BLOB)",
        "expiry",
        true,
    ),
    Damage(
        "UPDATE Q SET last_sequence = 1 WHERE pool = CAST('user-1' AS BLOB)",
        "sequence",
        true,
    ),
    Damage(
        "INSERT INTO L (key, pool, state, id, lapses_at) SELECT 9999, pool, 3, zeroblob(16), 9 FROM P WHERE key = {5}",
        "stray_lease",
        true,
    ),
    Damage(
        "UPDATE P SET state = 10, spent_at = 1, bytes = NULL WHERE key = {2}",
        "lease",
        true,
    ),
    Damage("UPDATE L SET pool = 77 WHERE key = {2}", "orphan", true),
    Damage(
        "DELETE FROM L WHERE key = {3}; UPDATE L SET id = (SELECT id FROM P WHERE key = {3}) WHERE key = {2}",
        "id_bound_twice",
        false,
    ),
    Damage("UPDATE P SET state = 1 WHERE key = {5}", "slot_twice", false),
    Damage(
        "DELETE FROM P WHERE pool = (SELECT key FROM Q WHERE pool = CAST('user-1' AS BLOB))",
        "listing",
        true,
    ),
    Damage(
        "CREATE INDEX other ON P (pool, substr(ref, 1, 3)) WHERE key <> {5};
         PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'other')
         WHERE name = 'keypackage_pool_refs';
         DELETE FROM sqlite_schema WHERE name = 'other'",
        "index",
        true,
    ),
    // The index does not have the third, which is spent: it counts for nothing, and would never expire. SQLite says that an index is at
    // fault; the counts alone say in which pool.
    Damage(
        "CREATE INDEX other ON P (pool, not_after) WHERE key <> {3};
         PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'other')
         WHERE name = 'keypackage_pool_expiry';
         DELETE FROM sqlite_schema WHERE name = 'other'",
        "reads",
        true,
    ),
    Damage("DROP INDEX keypackage_pool_queue", "index", true),
    Damage(
        "DROP INDEX keypackage_pool_refs; DROP INDEX keypackage_pool_expiry",
        "index",
        true,
    ),
    Damage("DROP INDEX keypackage_pools_expiry", "index", true),
    Damage(
        "DROP INDEX keypackage_pool_lapses; CREATE INDEX keypackage_pool_lapses ON L (state)",
        "index",
        true,
    ),
    Damage("DROP TRIGGER keypackage_pool_lease_deleted", "index", true),
];

/// `I` are the bound reservations, `H` the heads, `{q}` is the key of the pool, and the n-th package has the sequence n or near it.
const POSTGRES: [Damage; 15] = [
    Damage(
        "UPDATE P SET bytes = NULL WHERE pool = {q} AND seq = {5}",
        "bytes_missing",
        false,
    ),
    Damage(
        "UPDATE P SET bytes = '\\x00' WHERE pool = {q} AND seq = {3}",
        "bytes_left",
        true,
    ),
    Damage(
        "UPDATE P SET support = '\\x01f001' WHERE pool = {q} AND seq = {3}",
        "bytes_left",
        true,
    ),
    Damage("DELETE FROM P WHERE pool = {q} AND seq = {5}", "count", true),
    Damage("UPDATE P SET pool = 77 WHERE pool = {q} AND seq = {5}", "orphan", true),
    Damage("UPDATE Q SET sweep_at = sweep_at + 1 WHERE key = {q}", "expiry", true),
    Damage(
        "UPDATE Q SET settle_at = 9007199254740991 WHERE key = {q}",
        "lapse",
        true,
    ),
    Damage("UPDATE Q SET last_sequence = 1 WHERE key = {q}", "sequence", true),
    Damage(
        "INSERT INTO H VALUES ({q}, 1000, 0) ON CONFLICT (pool) DO UPDATE SET head = 1000, since = 0",
        "queue",
        true,
    ),
    Damage("DELETE FROM I WHERE pool = {q}", "binding", true),
    Damage("DELETE FROM L WHERE pool = {q}", "binding", true),
    Damage("UPDATE I SET seq = {5} WHERE pool = {q} AND seq = {2}", "binding", true),
    Damage(
        "INSERT INTO L (pool, seq, state, id, ends_at) VALUES ({q}, 999, 3, decode(repeat('00', 16), 'hex'), 9007199254740991)",
        "stray_lease",
        true,
    ),
    Damage("DELETE FROM Q WHERE key = {q}", "orphan", true),
    Damage("UPDATE Q SET credential = '' WHERE key = {q}", "unreadable", false),
];

/// `r` and so on are the keys of the pool, `pools` and so on those of its bucket, and `{n}` is the ref of the n-th package. `f:of` is a key
/// of a pool that is not there.
const REDIS: [Damage; 21] = [
    Damage("ZREM q {5}", "queue", true),
    Damage("ZADD q inf {5}", "queue", true),
    Damage("ZADD q 999 nobody", "queue", true),
    Damage("ZADD q -7 {5}", "queue", true),
    Damage("DEL l", "lapse", true),
    Damage("ZADD l 5 {5}", "lapse", true),
    Damage("DEL i", "binding", true),
    Damage("HSET i 0123456789abcdef {5}", "binding", true),
    Damage("HSET f x xxxxxxxxxxxxxxx", "init_key", true),
    Damage("ZREM pools user-1", "orphan", true),
    Damage("ZADD expiry 9007199254740991 user-1", "expiry", true),
    Damage("ZREM lapse user-1", "lapse", true),
    Damage("HSET r {5} nonsense", "unreadable", false),
    Damage("HSET r  1", "sequence", true),
    Damage("HSET r  nonsense", "sequence", true),
    Damage("DEL r", "listing", true),
    Damage("HDEL t {1}", "queue", false),
    Damage("HSET t nobody x", "stray_lease", true),
    Damage("HSET f:of x xxxxxxxxxxxxxxx", "orphan", true),
    Damage("SET q x", "unreadable", false),
    Damage("SET r x", "unreadable", false),
];

fn codes(faults: &Value) -> Vec<&str> {
    let faults = faults.as_array().expect("a list").iter();
    faults.map(|fault| fault["code"].as_str().expect("a text")).collect()
}

fn checked(args: &[&str]) -> (Option<i32>, Value) {
    let ran = kp(&[args, &["--json"]].concat());
    let report = serde_json::from_slice(&ran.stdout);
    (ran.status.code(), report.unwrap_or_else(|_| panic!("{ran:?}")))
}

fn available(url: &str) -> u64 {
    json(&["counts", url])["ciphersuites"]["1"]["available"]
        .as_u64()
        .expect("a number")
}

/// A damaged store is called so, and nothing is changed. A repair mends what can be mended, makes nothing free that was not, and then
/// the pool answers. What cannot be mended goes with the pool. `free`: how many KeyPackages of the store were available before the
/// damage.
fn find_and_mend(url: &str, free: u64, Damage(damage, code, is_mended): &Damage) {
    let (ended, found) = checked(&["check", url]);
    assert_eq!(ended, Some(5), "{damage}: {found}");
    assert!(codes(&found["faults"]).contains(code), "{damage}: {found}");
    // An index that is missing keeps every pool from being looked at, or read.
    let of_all: &[&str] = if *code == "index" { &["index", "failure"] } else { &[] };
    for fault in found["faults"].as_array().expect("a list") {
        let is_of_all = of_all.iter().any(|of_all| fault["code"] == *of_all);
        let pool = &fault["pool"];
        assert!(is_of_all || pool.is_null() || pool == "user-1", "{found}");
    }
    let (ended, again) = checked(&["check", url]);
    assert_eq!((ended, again), (Some(5), found), "{damage}: nothing is changed");
    assert_eq!(kp(&["check", url, "--repair"]).status.code(), Some(4), "it asks");

    let (ended, repaired) = checked(&["check", url, "--repair", "--yes"]);
    let left = codes(&repaired["faults"]);
    if *is_mended {
        assert_eq!((ended, left), (Some(0), vec![]), "{damage}: {repaired}");
        assert!(codes(&repaired["mended"]).contains(code), "{damage}: {repaired}");
        assert!(available(url) <= free, "{damage}");
        // A damage that left nothing of the pool leaves nothing to withdraw.
        let is_there = json(&["pools", url])
            .as_array()
            .expect("a list")
            .contains(&"user-1".into());
        let withdrawn = kp(&["withdraw", url, "user-1", "--yes"]).status.code();
        assert_eq!(withdrawn, Some(if is_there { 0 } else { 4 }), "{damage}");
        let sound = json(&["check", url]);
        assert_eq!(sound["faults"], serde_json::json!([]), "{damage}");
    } else {
        assert_eq!(ended, Some(5), "{damage}: {repaired}");
        assert!(left.contains(code), "{damage}: {repaired}");
        json(&["delete", url, "user-1", "--yes"]);
        let sound = json(&["check", url]);
        assert_eq!(sound["faults"], serde_json::json!([]), "{damage}: deleted");
    }
}

/// Puts what each `{n}` stands for in its place.
fn filled(damage: &str, place: impl Fn(usize) -> String) -> String {
    (1..=20).fold(damage.to_owned(), |text, n| {
        text.replace(&format!("{{{n}}}"), &place(n))
    })
}

/// Names a table by one letter.
fn with_tables(damage: &str, tables: &[(&str, String)]) -> String {
    let words = damage.split(' ').map(|word| {
        let table = tables.iter().find(|(letter, _)| *letter == word);
        table.map_or(word, |(_, table)| table)
    });
    words.collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_damage_of_a_file_is_found_and_mended_if_it_can_be() {
    let scene = Scene::new();
    scene.fill("sound.db", 3).await;
    let free = available(&scene.url("sound.db"));
    let sound = json(&["check", &scene.url("sound.db")]);
    assert_eq!((&sound["pools"], &sound["records"]), (&3.into(), &60.into()));
    assert_eq!(sound["faults"], serde_json::json!([]));
    let tables = [
        ("P", "keypackage_pool_packages".to_owned()),
        ("L", "keypackage_pool_leases".to_owned()),
        ("Q", "keypackage_pools".to_owned()),
    ];
    for (n, damage) in SQLITE.iter().enumerate() {
        let name = format!("damaged-{n}.db");
        std::fs::copy(scene.path("sound.db"), scene.path(&name)).unwrap();
        let file = Connection::open(scene.path(&name)).unwrap();
        let first = "SELECT min(p.key) FROM keypackage_pool_packages AS p JOIN keypackage_pools AS q ON q.key = p.pool
             WHERE q.pool = CAST('user-1' AS BLOB)";
        let first: usize = file.query_row(first, [], |row| row.get(0)).unwrap();
        let statements = filled(&with_tables(damage.0, &tables), |n| (first + n - 1).to_string());
        file.execute_batch(&statements).unwrap();
        drop(file);
        find_and_mend(&scene.url(&name), free, damage);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_damage_of_a_database_is_found_and_mended_if_it_can_be() {
    let scene = Scene::new();
    scene.fill("sound.db", 3).await;
    let free = available(&scene.url("sound.db"));
    let server = Postgres::start(&[]);
    let (client, connection) = tokio_postgres::connect(&server.url(), tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    for (n, damage) in POSTGRES.iter().enumerate() {
        let url = format!("{}&schema=damaged_{n}", server.url());
        json(&["copy", &scene.url("sound.db"), &url]);
        assert_eq!(json(&["check", &url])["faults"], serde_json::json!([]));
        let table = |name: &str| format!("damaged_{n}.keypackage_{name}");
        let tables = [
            ("P", table("pool_packages")),
            ("L", table("pool_leases")),
            ("Q", table("pools")),
            ("I", table("pool_ids")),
            ("H", table("pool_heads")),
        ];
        let key = format!("SELECT key FROM {} WHERE pool = 'user-1'", table("pools"));
        let key: i64 = client.query_one(&key, &[]).await.unwrap().get(0);
        let refs = format!(
            "SELECT seq FROM {} WHERE pool = {key} ORDER BY ref",
            table("pool_packages")
        );
        let places: Vec<i64> = client
            .query(&refs, &[])
            .await
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect();
        let statements = filled(&with_tables(damage.0, &tables), |n| places[n - 1].to_string());
        client
            .batch_execute(&statements.replace("{q}", &key.to_string()))
            .await
            .unwrap();
        find_and_mend(&url, free, damage);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_damage_of_redis_is_found_and_mended_if_it_can_be() {
    let scene = Scene::new();
    scene.fill("sound.db", 3).await;
    let free = available(&scene.url("sound.db"));
    let server = Server::start(&[]);
    for (n, damage) in REDIS.iter().enumerate() {
        let url = format!("{}?prefix=damaged-{n}:&buckets=1", server.url());
        json(&["copy", &scene.url("sound.db"), &url]);
        assert_eq!(json(&["check", &url])["faults"], serde_json::json!([]));
        let text = filled(damage.0, |n| format!("ref {:028}", n - 1).replace(' ', "_"));
        let mut words: Vec<_> = text.split(' ').map(|word| word.replace("ref_", "ref ")).collect();
        let of_bucket = ["pools", "expiry", "lapse"].contains(&words[1].as_str());
        words[1] = match of_bucket {
            true => format!("damaged-{n}:{{0}}:{}", words[1]),
            false => format!("damaged-{n}:{{0}}:{}:user-1", words[1]),
        };
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let changed: bool = server.command(&words).unwrap();
        assert!(changed || words[0] == "ZADD" || words[0] == "HSET", "{words:?}");
        find_and_mend(&url, free, damage);
    }
}
