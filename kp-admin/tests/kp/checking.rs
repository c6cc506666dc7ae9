use rusqlite::Connection;

use crate::scene::{Scene, json, kp};

/// What is done to the file, each to the pool `user-1`.
const DAMAGES: [(&str, &str); 9] = [
    (
        "bytes are lost",
        "UPDATE keypackage_pool_packages SET bytes = NULL WHERE key = {first} + 5",
    ),
    (
        "bytes of a spent package are left",
        "UPDATE keypackage_pool_packages SET bytes = x'00' WHERE key = {first} + 2",
    ),
    (
        "a record is lost",
        "DELETE FROM keypackage_pool_packages WHERE key = {first} + 5",
    ),
    (
        "a record is in another pool",
        "UPDATE keypackage_pool_packages SET pool = 77 WHERE key = {first} + 5",
    ),
    (
        "two records have one ref",
        "UPDATE keypackage_pool_packages SET ref = (SELECT ref FROM keypackage_pool_packages WHERE key = {first} + 5) WHERE key = {first} + 6",
    ),
    (
        "a state is none",
        "PRAGMA ignore_check_constraints = 1; UPDATE keypackage_pool_packages SET state = 14 WHERE key = {first} + 5",
    ),
    (
        "a lifetime is none",
        "PRAGMA ignore_check_constraints = 1; UPDATE keypackage_pool_packages SET not_before = not_after WHERE key = {first} + 5",
    ),
    (
        "the count of records is off",
        "UPDATE keypackage_pools SET records = records + 1 WHERE pool = CAST('user-1' AS BLOB)",
    ),
    (
        "the beginning of the queue is too late",
        "UPDATE keypackage_pools SET unspent_from = last_sequence WHERE pool = CAST('user-1' AS BLOB)",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_store_passes_and_every_damage_is_found() {
    let scene = Scene::new();
    scene.fill("sound.db", 3).await;
    let sound = json(&["check", &scene.url("sound.db")]);
    assert_eq!((&sound["pools"], &sound["records"]), (&3.into(), &60.into()));
    assert_eq!(sound["faults"], serde_json::json!([]));
    for (n, (says, damage)) in DAMAGES.iter().enumerate() {
        let name = format!("damaged-{n}.db");
        std::fs::copy(scene.path("sound.db"), scene.path(&name)).unwrap();
        let file = Connection::open(scene.path(&name)).unwrap();
        let first = "SELECT min(p.key) FROM keypackage_pool_packages AS p JOIN keypackage_pools AS q ON q.key = p.pool
             WHERE q.pool = CAST('user-1' AS BLOB)";
        let first: i64 = file.query_row(first, [], |row| row.get(0)).unwrap();
        file.execute_batch(&damage.replace("{first}", &first.to_string()))
            .unwrap();
        drop(file);
        let checked = kp(&["check", &scene.url(&name), "--json"]);
        assert_eq!(checked.status.code(), Some(5), "{says}");
        let report: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
        let faults: Vec<_> = report["faults"]
            .as_array()
            .unwrap()
            .iter()
            .map(|fault| &fault["pool"])
            .collect();
        assert_eq!(faults, ["user-1"], "{says}: {report}");
    }
}
