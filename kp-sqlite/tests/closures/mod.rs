//! A store with two pools, beside a table of the server's own: for which pool the Welcome of a KeyPackage is.
#![allow(dead_code)] // Each test takes what it needs of it.

use std::path::{Path, PathBuf};

use kp_core::server::*;
use kp_core::*;
use kp_sqlite::{SqliteStore, Within};
use rusqlite::Connection;
use tempfile::TempDir;

pub(crate) const NOW: Timestamp = match Timestamp::new(1_700_000_000) {
    Some(now) => now,
    None => panic!("it is not negative"),
};

pub(crate) fn pool(number: u64) -> PoolId {
    PoolId::try_from(format!("bob/{number}").as_str()).unwrap()
}

pub(crate) fn package(number: u64) -> KeyPackage {
    let lifetime = Lifetime::new(NOW, NOW.plus(86_400)).unwrap();
    let named = KeyPackageRef::try_from(number.to_be_bytes().as_slice()).unwrap();
    let info = KeyPackageInfo::new(named, Ciphersuite(1), lifetime, CredentialHash([1; 32]));
    KeyPackage::new(info, KeyPackageBytes::try_from([7; 295].as_slice()).unwrap())
}

pub(crate) fn take(pool_number: u64, number: u64) -> TakeRequest {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    let minute = Ttl::seconds(60).unwrap();
    TakeRequest::new(pool(pool_number), ReservationId::from_bytes(id), minute)
}

/// Writes for which pool the Welcome of a KeyPackage is.
pub(crate) fn route(within: &Within<'_, '_>, pool_number: u64, claimed: &KeyPackage) -> Result<(), BoxError> {
    let pool = pool(pool_number);
    let row = (claimed.info.key_package_ref.as_bytes(), pool.as_bytes());
    within
        .connection()
        .execute("INSERT INTO welcomes (ref, pool) VALUES (?1, ?2)", row)?;
    Ok(())
}

/// Claims a KeyPackage, and writes for which pool its Welcome is.
pub(crate) fn claim(within: &mut Within<'_, '_>, pool_number: u64, number: u64) -> Result<KeyPackage, BoxError> {
    let claimed = within
        .claim_key_packages(&[take(pool_number, number)], None, NOW)?
        .only()?;
    route(within, pool_number, &claimed)?;
    Ok(claimed)
}

pub(crate) struct Scene {
    pub(crate) store: SqliteStore,
    pub(crate) path: PathBuf,
    _dir: TempDir,
}

impl Scene {
    /// Opens a store with two pools of ten KeyPackages.
    pub(crate) async fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pools.db");
        let store = SqliteStore::open(&path).await.unwrap();
        for number in 0..2 {
            let packages = (0..10).map(|n| package(number * 100 + n));
            let save = Save::new(pool(number), packages).unwrap();
            store.save_key_packages(&save, NOW).await.unwrap();
        }
        let scene = Self { store, path, _dir: dir };
        let table = "CREATE TABLE welcomes (ref BLOB PRIMARY KEY, pool BLOB NOT NULL) STRICT";
        scene.server().execute_batch(table).unwrap();
        scene
    }

    /// Connects to the file, as a server does for itself.
    pub(crate) fn server(&self) -> Connection {
        Connection::open(&self.path).unwrap()
    }

    /// Returns how many KeyPackages are spent or withdrawn, and how many Welcomes are routed.
    pub(crate) fn counted(&self) -> (i64, i64) {
        Self::counted_at(&self.path)
    }

    pub(crate) fn counted_at(path: &Path) -> (i64, i64) {
        let count = "SELECT (SELECT count(*) FROM keypackage_pool_packages AS p WHERE state >= 9
                OR EXISTS (SELECT 1 FROM keypackage_pool_leases WHERE key = p.key AND state IN (7, 8))),
            (SELECT count(*) FROM welcomes)";
        let rows = Connection::open(path).unwrap();
        rows.query_row(count, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    }
}

/// Damages all leases: the calls that name them fail.
pub(crate) fn damage_leases(scene: &Scene) {
    scene
        .server()
        .execute_batch("PRAGMA ignore_check_constraints = ON; UPDATE keypackage_pool_leases SET state = 99")
        .unwrap();
}

pub(crate) fn failure_of(error: BoxError) -> BackendError {
    match *error.downcast::<Error>().expect("an error of the store") {
        Error::Backend(failure) => failure,
        Error::Rejected(rejection) => panic!("no rule refuses it: {rejection}"),
        _ => unreachable!("there are two kinds"),
    }
}
