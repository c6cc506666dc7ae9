//! Imports the older server table.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

use std::path::Path;

use kp_core::protocol::Refusal;
use kp_core::server::{
    Admission, Admitted, KeyPackageStore, KeyPackageStoreExt, OnLapse, ReservationToken, SaveOutcome, Spend,
    TakeRequest, Uploader,
};
use kp_core::{
    Cause, Ciphersuite, CredentialHash, KeyPackage, KeyPackageBytes, KeyPackageInfo, KeyPackageRef, Lifetime, PoolId,
    Rejection, ReservationId, Status, Timestamp, Ttl,
};
use kp_sqlite::{ImportError, RowError, SqliteStore};
use rusqlite::Connection;

/// The schema of the older table.
const TABLE: &str = "
    CREATE TABLE keypackages (
        keypackage_ref BLOB NOT NULL,
        username TEXT NOT NULL,
        keypackage_bytes BLOB NOT NULL,
        uploaded_at INTEGER NOT NULL,
        status TEXT NOT NULL DEFAULT 'available',
        reservation_id TEXT UNIQUE,
        reservation_expires_at INTEGER,
        reserved_by TEXT,
        spent_at INTEGER,
        spent_by TEXT,
        group_id BLOB,
        not_after INTEGER NOT NULL,
        credential_hash BLOB,
        ciphersuite INTEGER,
        PRIMARY KEY (username, keypackage_ref)
    );
";

const UUID: &str = "00112233-4455-6677-8899-aabbccddeeff";

fn at(seconds: i64) -> Timestamp {
    Timestamp::try_from(1_700_000_000 + seconds).unwrap()
}

fn package(n: u8) -> KeyPackage {
    KeyPackage::new(
        KeyPackageInfo::new(
            KeyPackageRef::try_from([n; 32].as_slice()).unwrap(),
            Ciphersuite(1),
            Lifetime::new(at(-100), at(10_000)).unwrap(),
            CredentialHash([9; 32]),
        ),
        KeyPackageBytes::try_from(vec![n; 300]).unwrap(),
    )
}

/// Takes packages of 300 equal bytes at their word, all but those of 66s, which have expired.
struct Simple;

impl Admission for Simple {
    fn admit(&self, uploaded: &[u8], _by: &Uploader, _now: Timestamp) -> Result<Admitted, Refusal> {
        match uploaded {
            [66, ..] => Err(Refusal::Expired),
            [n, ..] if uploaded.len() == 300 => Ok(Admitted::new(package(*n))),
            _ => Err(Refusal::Malformed),
        }
    }
}

fn old_table(path: &Path) -> Connection {
    let old = Connection::open(path).unwrap();
    old.execute_batch(TABLE).unwrap();
    old
}

fn old_row(old: &Connection, user: &str, n: u8, uploaded_at: i64) {
    old.execute(
        "INSERT INTO keypackages (keypackage_ref, username, keypackage_bytes, uploaded_at, not_after) VALUES (?1, ?2, ?3, ?4, ?5)",
        ([n; 32], user, vec![n; 300], at(uploaded_at).get(), at(10_000).get()),
    )
    .unwrap();
}

fn set(old: &Connection, n: u8, columns: &str) {
    let changed = old.execute(
        &format!("UPDATE keypackages SET {columns} WHERE keypackage_ref = ?1"),
        [[n; 32]],
    );
    assert_eq!(changed, Ok(1));
}

fn take(pool: &PoolId, n: u8) -> TakeRequest {
    TakeRequest::new(
        pool.clone(),
        ReservationId::from_bytes([n; 16]),
        Ttl::try_from(60).unwrap(),
    )
}

#[tokio::test]
async fn every_status_comes_over() {
    let dir = tempfile::tempdir().unwrap();
    let old = old_table(&dir.path().join("old.db"));
    let (bob, eve) = (PoolId::try_from("bob").unwrap(), PoolId::try_from("eve").unwrap());
    // By age, not by ref: 5 was there before 2.
    for n in [5, 2, 3, 4] {
        old_row(&old, "bob", n, i64::from(n));
    }
    old_row(&old, "eve", 9, 0);
    set(
        &old,
        3,
        &format!(
            "status = 'reserved', reservation_id = '{UUID}', reservation_expires_at = 1700000500, reserved_by = 'alice'"
        ),
    );
    set(
        &old,
        4,
        "status = 'spent', reservation_id = 'r-4', spent_at = 1700000050, spent_by = 'alice', group_id = x'AB'",
    );
    let store = SqliteStore::open(dir.path().join("new.db")).await.unwrap();
    let imported = store
        .import_server_table(dir.path().join("old.db"), Simple, at(100))
        .await
        .unwrap();
    assert_eq!(
        (imported.imported, imported.already_here, imported.bad_rows),
        (5, 0, vec![])
    );

    let refs: Vec<_> = [5, 2, 3, 4].map(|n| package(n).info.key_package_ref).into();
    let statuses = store.get_statuses(&bob, &refs, at(100)).await.unwrap();
    let spent = Status::Spent {
        at: at(50),
        cause: Cause::Used,
    };
    let reserved = Status::Reserved { until: at(500) };
    let expected = [Status::Available, Status::Available, reserved, spent].map(Some);
    assert_eq!(statuses, expected);
    assert_eq!(
        store
            .get_key_package(&bob, &refs[3], at(100))
            .await
            .unwrap()
            .unwrap()
            .bytes,
        None
    );
    // SAVE-3: what was spent there is not taken here.
    assert_eq!(
        store.save_key_package(&bob, package(4), at(101)).await.unwrap(),
        SaveOutcome::AlreadySpent
    );
    // RES-2: in the old order.
    let first = store
        .reserve_key_package(&take(&bob, 1), OnLapse::Return, at(102))
        .await
        .unwrap();
    assert_eq!(first.package, package(5));
    // The reservation goes on under its UUID.
    let id: [u8; 16] = std::array::from_fn(|n| u8::try_from(n * 0x11).unwrap());
    let token = ReservationToken::new(bob.clone(), refs[2].clone(), ReservationId::from_bytes(id));
    store
        .spend_key_package(&token, &Spend::default(), at(103))
        .await
        .unwrap();
    // Another's pool.
    assert_eq!(
        store.claim_key_package(&take(&eve, 1), None, at(104)).await.unwrap(),
        package(9)
    );

    // Again: what went on here stays as it is.
    let again = store
        .import_server_table(dir.path().join("old.db"), Simple, at(105))
        .await
        .unwrap();
    assert_eq!((again.imported, again.already_here, again.bad_rows), (0, 5, vec![]));
    let gone = store
        .claim_key_package(&take(&eve, 2), None, at(106))
        .await
        .unwrap_err();
    assert_eq!(gone.rejection(), Some(&Rejection::PoolExhausted));
}

#[tokio::test]
async fn a_reservation_that_ran_out_returns() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("both.db");
    let old = old_table(&path);
    old_row(&old, "bob", 1, 0);
    set(
        &old,
        1,
        "status = 'reserved', reservation_id = 'r-1', reservation_expires_at = 1700000050",
    );
    // In one file with the old table.
    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(
        store
            .import_server_table(&path, Simple, at(100))
            .await
            .unwrap()
            .imported,
        1
    );
    let bob = PoolId::try_from("bob").unwrap();
    let reserved = store
        .reserve_key_package(&take(&bob, 1), OnLapse::Return, at(100))
        .await
        .unwrap();
    assert_eq!(reserved.package, package(1));
}

#[tokio::test]
async fn a_bad_row_is_reported_and_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("old.db");
    let old = old_table(&path);
    for n in 1..=9 {
        old_row(&old, "bob", n, 0);
    }
    old_row(&old, "bob", 66, 0);
    set(&old, 1, "status = 'Available'");
    set(&old, 2, "status = 'reserved', reservation_id = 'r-2'");
    set(&old, 3, "status = 'spent', reservation_id = 'r-3'");
    set(&old, 4, "keypackage_bytes = x'0404'");
    set(&old, 5, "keypackage_bytes = zeroblob(300)");
    set(&old, 6, "uploaded_at = -1");
    set(&old, 7, "username = ''");
    set(
        &old,
        8,
        "status = 'spent', spent_at = 1700000001, group_id = zeroblob(256)",
    );
    let store = SqliteStore::open(dir.path().join("new.db")).await.unwrap();
    let imported = store.import_server_table(&path, Simple, at(100)).await.unwrap();
    let why: Vec<_> = imported.bad_rows.into_iter().map(|bad| (bad.rowid, bad.why)).collect();
    let expected = [
        (1, RowError::Status("Available".into())),
        (2, RowError::Column("reservation_expires_at")),
        (3, RowError::Column("spent_at")),
        (4, RowError::Refused(Refusal::Malformed)),
        (5, RowError::OtherRef),
        (6, RowError::Column("uploaded_at")),
        (7, RowError::Column("username")),
        (8, RowError::Column("group_id")),
        (10, RowError::Refused(Refusal::Expired)),
    ];
    assert_eq!(why, expected);
    assert_eq!(imported.imported, 1);
    let bob = PoolId::try_from("bob").unwrap();
    let available = store.list_available(&bob, None, 10, at(100)).await.unwrap();
    assert_eq!(available.items, [package(9).info]);
}

/// More rows than one page has.
#[tokio::test]
async fn a_large_table_comes_over_in_pages() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("old.db");
    let mut old = old_table(&path);
    let step = old.transaction().unwrap();
    for user in 0..10 {
        for n in 0..60 {
            old_row(&step, &format!("user-{user}"), n, 0);
        }
    }
    step.commit().unwrap();
    let store = SqliteStore::open(dir.path().join("new.db")).await.unwrap();
    let imported = store.import_server_table(&path, Simple, at(100)).await.unwrap();
    assert_eq!((imported.imported, imported.bad_rows.len()), (600, 0));
    for user in 0..10 {
        let pool = PoolId::try_from(format!("user-{user}").as_str()).unwrap();
        assert_eq!(
            store
                .count_by_status(&pool, at(100))
                .await
                .unwrap()
                .of(Ciphersuite(1))
                .available,
            60
        );
    }
}

#[tokio::test]
async fn another_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path().join("new.db")).await.unwrap();
    let missing = store
        .import_server_table(dir.path().join("missing.db"), Simple, at(0))
        .await
        .unwrap_err();
    assert!(matches!(missing, ImportError::Open(_)), "{missing}");
    let none = store
        .import_server_table(dir.path().join("new.db"), Simple, at(0))
        .await
        .unwrap_err();
    assert!(matches!(none, ImportError::NotTheTable("keypackage_ref")), "{none}");
}
