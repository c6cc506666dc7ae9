//! The suite never touches data that it did not make: it runs twice at once, in two processes, on one server that holds
//! the keys of others too. Not the whole of it, but the checks that go over all pools of a store.

#![allow(clippy::unwrap_used, reason = "what a test stands on may panic")]

mod packages;

use std::collections::BTreeMap;
use std::env;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;

use async_trait::async_trait;
use kp_conformance::{Check, Facets, Factory, Space};
use kp_core::OpenError;
use kp_core::server::{KeyPackageStore, OnLapse};
use kp_redis::RedisStore;
use kp_test_support::servers::Server;
use libtest_mimic::{Arguments, Failed, Trial};
use packages::{now, pool, save, take};

/// In the environment of a run: where the server is.
const SERVER: &str = "KP_REDIS_TEST_SERVER";

/// The rules of sweeps and listings: here two stores on one server could meet.
const OVER_ALL_POOLS: [&str; 5] = ["SWEEP-1", "SWEEP-2", "SWEEP-3", "DEL-2", "READ-5"];

/// A backend on a server that it shares.
struct Guest {
    url: String,
}

#[async_trait]
impl Factory for Guest {
    fn name(&self) -> &str {
        "redis, shared"
    }

    fn facets(&self) -> Facets {
        Facets::NONE.handles().reopens().limits()
    }

    async fn open(&self, space: &Space) -> Result<Arc<dyn KeyPackageStore>, OpenError> {
        let builder = RedisStore::builder(&self.url).prefix(format!("{}:", space.name()));
        // A sweep asks for each bucket, and these checks sweep much.
        let builder = builder.buckets(16).limits(space.limits());
        Ok(Arc::new(builder.open().await?))
    }

    async fn destroy(&self, space: &Space) {
        let client = redis::Client::open(self.url.as_str()).expect("a URL");
        let mut connection = client.get_connection().expect("the server answers");
        let pattern = format!("{}:*", space.name());
        let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg(pattern).query(&mut connection).expect("keys");
        if !keys.is_empty() {
            let () = redis::cmd("DEL").arg(keys).query(&mut connection).expect("they go");
        }
    }
}

/// Every key of the server, and what it holds.
fn keys(server: &Server) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let client = redis::Client::open(server.url()).expect("a URL");
    let mut connection = client.get_connection().expect("the server answers");
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query(&mut connection).expect("keys");
    let dump = |key: Vec<u8>| {
        let held = redis::cmd("DUMP")
            .arg(&key)
            .query(&mut connection)
            .expect("it is there");
        (key, held)
    };
    keys.into_iter().map(dump).collect()
}

/// What others keep there: keys of another program, and the pools of a store, with a lease that ended and packages that
/// expired long before the times at which the suite sweeps.
async fn move_in(server: &Server) {
    let () = server.command(&["SET", "sessions:1", "alice"]).expect("it is set");
    let () = server
        .command(&["HSET", "kp-settings", "colour", "green"])
        .expect("it is set");
    let store = RedisStore::open(server.url()).await.expect("it opens");
    let (bob, long_ago) = (pool("bob/phone"), now().minus(10_000_000));
    let mut packages = save(&bob, 0..3).packages().to_vec();
    for item in &mut packages {
        item.package.info.lifetime = kp_core::Lifetime::new(long_ago, long_ago.plus(86_400)).expect("a lifetime");
    }
    let old = kp_core::server::Save::new(bob.clone(), packages).expect("a small batch");
    store.save_key_packages(&old, long_ago).await.expect("it is saved");
    let leased = store
        .reserve_key_packages(&[take(&bob, 1)], OnLapse::Return, long_ago)
        .await;
    assert!(leased[0].is_ok());
}

/// One of the two runs.
fn run(factory: impl Factory) -> ExitCode {
    let factory: Arc<dyn Factory> = Arc::new(factory);
    let applies = |check: &&Check| factory.facets().missing(check.needs()).is_none();
    let concerns = |check: &&Check| check.rules().iter().any(|rule| OVER_ALL_POOLS.contains(rule));
    let (mut passed, mut code) = (0, ExitCode::SUCCESS);
    for check in kp_conformance::checks().filter(applies).filter(concerns) {
        match check.run(&factory) {
            Ok(()) => passed += 1,
            Err(failure) => {
                println!("{check}: {failure}");
                code = ExitCode::FAILURE;
            }
        }
    }
    assert!(passed > 0, "there are such checks");
    code
}

/// Starts a run in a process of its own.
fn start_run(server: &Server, temporary: &Path) -> Child {
    Command::new(env::current_exe().expect("the test knows its own executable"))
        .env(SERVER, server.url())
        .env("TMPDIR", temporary)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the test can start its own executable")
}

fn two_runs_at_once_leave_all_else_alone() -> Result<(), Failed> {
    let server = Server::start(&[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(move_in(&server));
    let before = keys(&server);
    assert!(before.len() > 2);

    let temporary = tempfile::tempdir()?;
    for run in [
        start_run(&server, temporary.path()),
        start_run(&server, temporary.path()),
    ] {
        let ended = run.wait_with_output()?;
        if !ended.status.success() {
            return Err(String::from_utf8_lossy(&ended.stdout).into_owned().into());
        }
    }
    let after = keys(&server);
    assert_eq!(
        before.keys().collect::<Vec<_>>(),
        after.keys().collect::<Vec<_>>(),
        "a run left keys, or took some"
    );
    assert!(before == after, "a run changed what is not its own");
    assert_eq!(std::fs::read_dir(temporary.path())?.count(), 0, "a run left files");
    Ok(())
}

fn main() -> ExitCode {
    if let Ok(url) = env::var(SERVER) {
        return run(Guest { url });
    }
    let trial = Trial::test(
        "two_runs_at_once_leave_all_else_alone",
        two_runs_at_once_leave_all_else_alone,
    );
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit_code()
}
