//! The plans that the statements of the store run with, as the server tells them of each call: few rows are touched, however many
//! there are, whatever the planner knows of the tables, and however long ago a plan was made.

mod scene;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use kp_core::client::{
    KeyPackageMetadata, LeaseHolder, LeaseName, Lifecycle, MetadataChanges, PoolMetadataStore, PoolRecord,
};
use kp_core::moving::MovePools;
use kp_core::server::{
    Admitted, InitKeyFingerprint, KeyPackageStore, KeyPackageStoreExt, OnLapse, Save, SaveMode, Spend, Support,
    TakeOptions, Withdrawal,
};
use kp_core::{KeyPackage, Lifetime, Party, Role, Timestamp, Ttl};
use kp_postgres::{PostgresMetadata, PostgresStore};
use kp_test_support::postgres::Postgres;
use serde_json::Value;
use tokio_postgres::Client;

use crate::scene::{NOW, connect, fill, package, pool, take};

/// How many packages a filled pool holds: some are spent, some leased.
const POOL: u64 = 1_000;

/// How many rows a statement may touch for one call on one pool. The queue goes through up to 32 that are spent, and looks for a
/// lease of each.
const FEW: u64 = 200;

/// The statements that go through a pool, as their rules ask.
const OF_A_POOL: [&str; 11] = [
    "count_held",
    "count_remembered",
    "expired",
    "export",
    "package_update",
    "pool_delete_leases",
    "pool_delete_packages",
    "pool_expiry",
    "ready",
    "records",
    "unspent",
];

/// The server writes each plan into its log, with what came of it.
const EXPLAINED: [&str; 6] = [
    "session_preload_libraries = 'auto_explain'",
    "log_min_messages = log",
    "auto_explain.log_min_duration = 0",
    "auto_explain.log_analyze = on",
    "auto_explain.log_timing = off",
    "auto_explain.log_format = json",
];

/// Makes pools, with these numbers, of so many packages, beside those that there are.
fn filled(pools: std::ops::Range<u64>, packages: u64) -> String {
    let now = NOW.get();
    format!(
        "WITH q AS (
            INSERT INTO keypackage_pools (pool, records, last_sequence, credential, sweep_at, settle_at)
            SELECT convert_to('pool/' || n, 'UTF8'), {packages}, {packages}, decode(repeat('00', 32), 'hex'),
                {now} + 86400, {now} + 3600
            FROM generate_series({}, {}) AS n
            RETURNING key
        ), h AS (
            INSERT INTO keypackage_pool_heads (pool, head, since) SELECT key, {packages} / 10 + 1, 0 FROM q
        ), i AS (
            INSERT INTO keypackage_pool_ids (pool, seq, id)
            SELECT key, k, decode(lpad(to_hex(k), 32, '0'), 'hex') FROM q, generate_series(1, {packages} / 10 + 10) AS k
        ), l AS (
            INSERT INTO keypackage_pool_leases (pool, seq, id, state, ends_at, reserver)
            SELECT key, k, decode(lpad(to_hex(k), 32, '0'), 'hex'), 3, {now} + 3600, '\\x01'
            FROM q, generate_series({packages} / 10 + 1, {packages} / 10 + 10) AS k
        )
        INSERT INTO keypackage_pool_packages
            (pool, seq, ref, suite, not_before, not_after, saved_at, state, id, spent_at, fingerprint, bytes)
        SELECT key, k, decode(lpad(to_hex(key * 1000000 + k), 64, '0'), 'hex'), 1, {now}, {now} + 86400, {now},
            CASE WHEN k <= {packages} / 10 THEN 9 ELSE 0 END,
            CASE WHEN k <= {packages} / 10 THEN decode(lpad(to_hex(k), 32, '0'), 'hex') END,
            CASE WHEN k <= {packages} / 10 THEN {now} END,
            decode(lpad(to_hex(k), 16, '0'), 'hex'),
            CASE WHEN k > {packages} / 10 THEN decode(repeat('01', 295), 'hex') END
        FROM q, generate_series(1, {packages}) AS k",
        pools.start,
        pools.end - 1
    )
}

struct Scene {
    server: Postgres,
    store: PostgresStore,
    metadata: PostgresMetadata,
    client: Client,
    /// How many calls were made that need a number of their own.
    numbers: u64,
    /// How much of the log is read.
    read: usize,
    /// The statements that were seen.
    seen: BTreeSet<String>,
    /// The files of the statements, by their first lines.
    files: BTreeMap<String, String>,
}

/// Reads the first lines of the statements.
fn files() -> BTreeMap<String, String> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sql");
    let files = std::fs::read_dir(dir).expect("the statements are there").flatten();
    let statements = files.filter(|file| file.path().extension().is_some_and(|extension| extension == "sql"));
    let first = |file: std::fs::DirEntry| {
        let text = std::fs::read_to_string(file.path()).expect("a statement");
        let name = file.path().file_stem().expect("a name").to_string_lossy().into_owned();
        (text.lines().next().expect("a first line").to_owned(), name)
    };
    statements.map(first).collect()
}

impl Scene {
    async fn start() -> Self {
        let server = Postgres::start(&EXPLAINED);
        let (store, metadata) = open(&server).await;
        let client = connect(&server).await;
        Self {
            store,
            metadata,
            client,
            server,
            numbers: 1_000_000_000,
            read: 0,
            seen: BTreeSet::new(),
            files: files(),
        }
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// A package of the caller's, which ends after so many seconds.
    fn package(&mut self, seconds: u64) -> KeyPackage {
        let mut package = package(self.number());
        package.info.lifetime = Lifetime::new(NOW, NOW.plus(seconds)).expect("it begins before it ends");
        package
    }

    /// Makes each call on a pool, and on a client's metadata.
    async fn call_all(&mut self, n: u64) {
        let store = self.store.clone();
        let save = async |packages: Vec<Admitted>, mode, now| {
            let save = Save::new(pool(n), packages).expect("few are a save").mode(mode);
            let saved = store.save_key_packages(&save, now).await.expect("they are saved");
            assert!(saved.iter().all(|outcome| outcome.is_held()), "{saved:?}");
        };
        let short = Admitted::new(self.package(10));
        let plain = Admitted::new(self.package(86_400));
        let fingerprint = InitKeyFingerprint::of_sha256([n as u8; 32]);
        let support = Support::new([], [], []).expect("none are few");
        let amended = plain.clone().fingerprint(fingerprint).support(support);
        let mut last_resort = Admitted::new(self.package(86_400));
        last_resort.package.info.role = Role::LastResort;
        save(vec![short, plain, last_resort], SaveMode::Append, NOW).await;
        save(vec![amended], SaveMode::Append, NOW).await;

        let by = Party::try_from([9].as_slice()).expect("a byte is a party");
        let mut first = None;
        for ttl in [1, 600, 600] {
            let mut asked = take(n, self.number())
                .options(TakeOptions::new().by(by.clone()))
                .limit(50);
            asked.ttl = Ttl::seconds(ttl).expect("a ttl");
            let reserved = store
                .reserve_key_package(&asked, OnLapse::Return, NOW)
                .await
                .expect("one is free");
            let again = store
                .reserve_key_package(&asked, OnLapse::Return, NOW)
                .await
                .expect("it is bound");
            assert_eq!(again, reserved);
            first = reserved.lease;
        }
        let token = first.expect("one-time").token;
        let longer = Ttl::seconds(700).expect("a ttl");
        store
            .renew_key_packages(std::slice::from_ref(&token), longer, NOW)
            .await
            .all()
            .expect("it is leased");
        store
            .spend_key_package(&token, &Spend::new(), NOW)
            .await
            .expect("it is leased");
        let reserved = store
            .reserve_key_package(&take(n, self.number()), OnLapse::Return, NOW)
            .await;
        let token = reserved.expect("one is free").lease.expect("one-time").token;
        store.release_key_package(&token, NOW).await.expect("it is leased");
        for _ in 0..40 {
            store
                .claim_key_package(&take(n, self.number()), None, NOW)
                .await
                .expect("one is free");
        }
        let transaction = self.client.transaction().await.expect("it begins");
        self.numbers += 1;
        let takes = [take(n, self.numbers)];
        let within = store.within(transaction).claim_key_packages(&takes, None, NOW);
        let (transaction, claimed) = within.await.expect("the transaction is as it must be");
        claimed.only().expect("one is free");
        transaction.commit().await.expect("it commits");

        let named = [token.key_package_ref.clone()];
        store
            .get_key_package(&pool(n), &named[0], NOW)
            .await
            .expect("it answers");
        store.get_statuses(&pool(n), &named, NOW).await.expect("it answers");
        store.list_available(&pool(n), None, 10, NOW).await.expect("it answers");
        store.list_ready(&pool(n), NOW).await.expect("it answers");
        store.count_by_status(&pool(n), NOW).await.expect("it answers");
        store.list_pools(None, 10).await.expect("it answers");
        store.export_pool(&pool(n)).await.expect("it answers");

        let later = NOW.plus(20);
        store.release_expired_reservations(later, 10).await.expect("it settles");
        let next = Admitted::new(self.package(86_400));
        save(vec![next], SaveMode::Append, later).await;
        let removed = store.cleanup_expired(later, 10).await.expect("it sweeps");
        assert_eq!(removed, 1, "what was short");
        store.retire_unspent(NOW, NOW, None, 1).await.expect("it retires");
        let next = Admitted::new(self.package(86_400));
        save(vec![next], SaveMode::Replace, later).await;
        store
            .withdraw_key_packages(&pool(n), &Withdrawal::All, later)
            .await
            .expect("all go");
        store.delete_pool(&pool(n)).await.expect("it is deleted");
        self.sweep_away(later).await;
        self.call_metadata().await;
    }

    /// A pool whose last record expires.
    async fn sweep_away(&mut self, now: Timestamp) {
        let gone = pool(self.number());
        let save = Save::one(gone, self.package(10));
        self.store.save_key_packages(&save, NOW).await.expect("it is saved");
        assert_eq!(self.store.cleanup_expired(now, 10).await.expect("it sweeps"), 1);
    }

    async fn call_metadata(&mut self) {
        let metadata = self.metadata.clone();
        let info = self.package(86_400).info;
        let row = KeyPackageMetadata::created(&info, NOW);
        let fence = metadata.lease(
            LeaseName::LEDGER,
            LeaseHolder::from_bytes([7; 16]),
            Ttl::seconds(60).expect("a ttl"),
            NOW,
        );
        let fence = fence.await.expect("it is free");
        let changes = [
            MetadataChanges::new()
                .create([row])
                .record(PoolRecord::default())
                .fence(fence),
            MetadataChanges::new().offer([info.key_package_ref.clone()], NOW),
            MetadataChanges::new().step([(info.key_package_ref.clone(), Lifecycle::Available)], NOW),
            MetadataChanges::new().delete([info.key_package_ref.clone()]),
        ];
        for changes in changes {
            metadata.apply(&changes).await.expect("the changes are legal");
            metadata.get(&info.key_package_ref).await.expect("it answers");
            metadata.list().await.expect("it answers");
        }
        metadata.record().await.expect("it answers");
        let released = metadata.release_lease(LeaseName::LEDGER, LeaseHolder::from_bytes([7; 16]));
        released.await.expect("it answers");
    }

    /// Checks the plans of the calls since the last time.
    fn check(&mut self, when: &str) {
        let log = self.server.log();
        let mut most_touched = BTreeMap::<_, u64>::new();
        for plan in plans(&log[self.read..]) {
            let text = plan["Query Text"].as_str().unwrap_or_default();
            let Some(file) = text.lines().next().and_then(|first| self.files.get(first)) else {
                continue;
            };
            let most = match OF_A_POOL.contains(&file.as_str()) {
                true => 5 * POOL,
                false => FEW,
            };
            let mut touched = 0;
            each(&plan["Plan"], &mut |node| {
                let kind = node["Node Type"].as_str().unwrap_or_default();
                let is_planned_out = ["Seq Scan", "Bitmap", "Hash Join", "Merge Join"]
                    .iter()
                    .any(|bad| kind.contains(bad));
                assert!(!is_planned_out, "{when}: {file} has a {kind}: {plan:#}");
                if kind.starts_with("Index") || kind.contains("Sort") {
                    touched += rows(node);
                }
            });
            assert!(touched <= most, "{when}: {file} touches {touched} rows: {plan:#}");
            self.seen.insert(file.clone());
            let most = most_touched.entry(file.clone()).or_default();
            *most = touched.max(*most);
        }
        println!("{when}: {most_touched:?}");
        self.read = log.len();
    }
}

async fn open(server: &Postgres) -> (PostgresStore, PostgresMetadata) {
    let builder = || PostgresStore::builder(server.url()).writers(1).readers(1);
    let store = builder().connect().await.expect("it connects");
    let metadata = builder().connect_metadata(pool(0)).await.expect("it connects");
    (store, metadata)
}

/// Reads the plans in a log. The lines of an entry begin with a tab.
fn plans(log: &str) -> Vec<Value> {
    let mut plans = Vec::new();
    let mut lines = log.lines().peekable();
    while let Some(line) = lines.next() {
        if line.ends_with("plan:") {
            let mut json = String::new();
            while let Some(more) = lines.next_if(|line| line.starts_with('\t')) {
                json.push_str(more);
                json.push('\n');
            }
            plans.push(serde_json::from_str(&json).expect("a plan in JSON"));
        }
    }
    plans
}

fn each(node: &Value, found: &mut impl FnMut(&Value)) {
    found(node);
    for child in node["Plans"].as_array().into_iter().flatten() {
        each(child, found);
    }
}

/// Returns how many rows a node went through, in all its turns.
fn rows(node: &Value) -> u64 {
    let number = |name: &str| node[name].as_f64().unwrap_or_default();
    let each = number("Actual Rows") + number("Rows Removed by Filter") + number("Rows Removed by Index Recheck");
    (each * number("Actual Loops")) as u64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_goes_through_a_table_whatever_is_known_of_it() {
    let mut scene = Scene::start().await;
    fill(&scene.store, 1, 50).await;
    scene.call_all(0).await;
    scene.check("empty");
    let mut next = 1;
    for packages in [100, 10_000, 1_000_000] {
        let pools = next..next + (packages / POOL).max(4);
        let fill = filled(pools.clone(), POOL.min(packages));
        connect(&scene.server)
            .await
            .batch_execute(&fill)
            .await
            .expect("it is filled");
        next = pools.end;
        scene.call_all(pools.start).await;
        scene.check(&format!("{packages}, plans of before"));
        (scene.store, scene.metadata) = open(&scene.server).await;
        scene.call_all(pools.start + 1).await;
        scene.check(&format!("{packages}, new plans"));
        connect(&scene.server)
            .await
            .batch_execute("ANALYZE")
            .await
            .expect("it is analysed");
        scene.call_all(pools.start + 2).await;
        scene.check(&format!("{packages}, analysed"));
    }
    let unseen: Vec<_> = scene
        .files
        .values()
        .filter(|file| !scene.seen.contains(*file))
        .collect();
    assert!(unseen.is_empty(), "no call ran {unseen:?}");
}
