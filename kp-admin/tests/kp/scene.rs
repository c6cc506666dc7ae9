use std::process::{Command, Output, Stdio};
use std::time::SystemTime;

use futures::StreamExt as _;
use kp_core::server::{KeyPackageStore, KeyPackageStoreExt, OnLapse, Save, Spend, TakeRequest};
use kp_core::{
    Ciphersuite, CredentialHash, KeyPackage, KeyPackageInfo, KeyPackageRef, Lifetime, PoolId, ReservationId, Role,
    Timestamp, Ttl,
};
use kp_sqlite::{SqliteStore, Survives};
use serde_json::Value;
use tempfile::TempDir;

/// What no output may hold: it is in the bytes of every package, in every reservation id, party and group.
pub(crate) const SECRET: &str = "secret-thing-16b";

pub(crate) fn pool(name: &str) -> PoolId {
    PoolId::try_from(name).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "kp reads the clock too")]
pub(crate) fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

fn package(n: u32, role: Role) -> KeyPackage {
    let lifetime = Lifetime::new(now().minus(1_000), now().plus(100_000)).unwrap();
    let key_package_ref = KeyPackageRef::try_from(format!("ref {n:028}").as_str()).unwrap();
    let info = KeyPackageInfo::new(key_package_ref, Ciphersuite(1), lifetime, CredentialHash([1; 32])).role(role);
    // As long as one of OpenMLS.
    KeyPackage::new(info, format!("{SECRET} {n:0278}").as_bytes().try_into().unwrap())
}

/// So many one-time packages, of which nothing was used.
pub(crate) fn fresh_packages(count: u32) -> Vec<KeyPackage> {
    (0..count).map(|n| package(n, Role::OneTime)).collect()
}

/// A directory with files of pools.
pub(crate) struct Scene(TempDir);

impl Scene {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn url(&self, name: &str) -> String {
        format!("sqlite:{}", self.path(name).display())
    }

    /// Fills the file `many.db` with pools of one package each, which ends then.
    pub(crate) async fn fill_each(&self, names: &[String], not_after: Timestamp) {
        let store = SqliteStore::builder(self.path("many.db")).survives(Survives::ProcessCrash);
        let store = store.open().await.unwrap();
        let mut package = package(0, Role::OneTime);
        package.info.lifetime = Lifetime::new(not_after.minus(1_000), not_after).unwrap();
        for name in names {
            let save = Save::one(pool(name), package.clone());
            store.save_key_packages(&save, not_after.minus(500)).await.unwrap();
        }
        store.close().await.unwrap();
    }

    /// Fills a file with so many pools of 20 packages, some of them used.
    pub(crate) async fn fill(&self, name: &str, pools: u32) {
        self.fill_with(name, pools, 20).await;
    }

    /// The same with so many packages in each pool.
    pub(crate) async fn fill_with(&self, name: &str, pools: u32, packages: u32) {
        let store = &SqliteStore::open(self.path(name)).await.unwrap();
        let names = (0..pools).map(|n| pool(&format!("user-{n}")));
        let filled = futures::stream::iter(names).for_each_concurrent(64, |pool| fill_pool(store, pool, packages));
        filled.await;
        store.clone().close().await.unwrap();
    }
}

async fn fill_pool(store: &SqliteStore, pool: PoolId, count: u32) {
    let mut packages = fresh_packages(count - 1);
    packages.push(package(count - 1, Role::LastResort));
    let save = Save::new(pool.clone(), packages).unwrap();
    store.save_key_packages(&save, now()).await.unwrap();
    let party = || SECRET.try_into().unwrap();
    let take = |n: u8| {
        let mut id = *b"secret-thing-16b";
        id[15] = n;
        let ttl = Ttl::try_from(5_000).unwrap();
        let mut take = TakeRequest::new(pool.clone(), ReservationId::from_bytes(id), ttl);
        take.options.by = Some(party());
        take
    };
    store.claim_key_package(&take(1), None, now()).await.unwrap();
    for n in [2, 3] {
        let reserved = store
            .reserve_key_package(&take(n), OnLapse::Retire, now())
            .await
            .unwrap();
        let mut spend = Spend::new();
        (spend.by, spend.group) = (Some(party()), Some(SECRET.try_into().unwrap()));
        if n == 3 {
            let token = reserved.lease.unwrap().token;
            store.spend_key_package(&token, &spend, now()).await.unwrap();
        }
    }
}

/// Runs `kp`, and looks at what it printed. Standard input is no terminal.
pub(crate) fn kp(args: &[&str]) -> Output {
    let ran = Command::new(env!("CARGO_BIN_EXE_kp"))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    for printed in [&ran.stdout, &ran.stderr] {
        let text = String::from_utf8_lossy(printed);
        let is_secret = text.contains("secret") || text.contains(&hex::encode("secret"));
        assert!(!is_secret, "{args:?} tells a secret: {text}");
    }
    ran
}

/// Runs `kp`, which must end with 0, and returns what it printed.
pub(crate) fn text(args: &[&str]) -> String {
    let ran = kp(args);
    assert_eq!(
        ran.status.code(),
        Some(0),
        "{args:?}: {}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let text = String::from_utf8(ran.stdout).unwrap();
    let longest = text.lines().map(|line| line.chars().count()).max();
    assert!(
        longest <= Some(80) || args.contains(&"--json") || ["completions", "man"].contains(&args[0]),
        "{args:?}: {text}"
    );
    text
}

/// The same with `--json`.
pub(crate) fn json(args: &[&str]) -> Value {
    serde_json::from_str(&text(&[args, &["--json"]].concat())).unwrap()
}
