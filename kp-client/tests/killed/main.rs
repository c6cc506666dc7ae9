//! Four processes of one client over one storage, killed at any moment, or stopped until others took over: POOL-1, POOL-3,
//! POOL-6 and POOL-7, with real keys and real Welcomes. The metadata is in the same SQLite file, or on a Redis server.
//!
//! `KP_PROCESSES_JOINS` says with how many Welcomes they join, 500 being the whole; there are as many rounds, and to every
//! fifth a kill and a stop. The default is less.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "what a test stands on may panic, and looks at the clock"
)]

mod mail;
mod state;
mod worker;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kp_core::Status;
use kp_core::client::KeyVault as _;
use kp_core::server::KeyPackageStore as _;
use kp_server::{KeyPackageDirectory, Take};
use kp_sqlite::SqliteStore;
use kp_test_support::messenger::{Alice, DAY, Invitation};
use kp_test_support::servers::Server;
use openmls::prelude::KeyPackageRef as OpenMlsRef;
use openmls_sqlite_storage::Connection;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use state::{CAP, State, pool_id};

const PROCESSES: usize = 4;
const JOINS: usize = 40;
/// In seconds: that of a round.
const LONGEST_LEASE: u64 = 120;
/// How many Welcomes are on their way at a time.
const UNDER_WAY: usize = 6;
const TIMEOUT: Duration = Duration::from_secs(900);

/// What the tests below start.
#[test]
#[ignore = "a process of the other tests"]
fn worker() {
    if let Some(state) = State::from_env() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(worker::work(state));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_processes_over_one_sqlite_file_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    Run::new(State::create(dir.path(), None)).await.run().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_processes_with_their_metadata_in_redis_lose_nothing() {
    let (dir, server) = (tempfile::tempdir().unwrap(), Server::start(&[]));
    Run::new(State::create(dir.path(), Some(server.url())))
        .await
        .run()
        .await;
}

struct Run {
    state: State,
    store: SqliteStore,
    directory: KeyPackageDirectory,
    processes: Vec<Process>,
    alice: Alice,
    sent: Vec<Invitation>,
    random: StdRng,
    joins: usize,
    kills: usize,
    /// After so many more looks, the leases of the dead have ended.
    leases_end_in: Option<u32>,
    most_up: usize,
}

/// A process that is killed when it is dropped.
struct Process(Child);

impl Process {
    fn start(state: &State) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["worker", "--exact", "--ignored", "--nocapture"])
            .envs(state.env());
        let log = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(state.dir.join("log"))
            .unwrap();
        Self(command.stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }
}

impl Process {
    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.0.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Run {
    async fn new(state: State) -> Self {
        let seed = state.seed();
        println!("seed {seed}");
        // The files are there, and the pool is full.
        let client = state.client(0).await;
        client.pool.refresh().await.unwrap();
        let (store, directory) = state.server().await;
        let processes = (0..PROCESSES).map(|_| Process::start(&state)).collect();
        let joins = std::env::var("KP_PROCESSES_JOINS").map_or(JOINS, |joins| joins.parse().unwrap());
        Self {
            state,
            store,
            directory,
            processes,
            alice: Alice::new(),
            sent: Vec::new(),
            random: StdRng::seed_from_u64(seed),
            joins,
            kills: 0,
            leases_end_in: None,
            most_up: 0,
        }
    }

    fn dir(&self) -> &Path {
        &self.state.dir
    }

    fn lines(&self, file: &str) -> usize {
        fs::read_to_string(self.dir().join(file)).map_or(0, |text| text.lines().count())
    }

    fn told(&self, file: &str) -> String {
        fs::read_to_string(self.dir().join(file)).unwrap_or_default()
    }

    async fn run(mut self) {
        let begun = Instant::now();
        loop {
            let (joined, rounds) = (mail::count(self.dir(), "joined"), self.lines("rounds"));
            assert_eq!(mail::lost(self.dir()), [""; 0], "{}", self.told("log"));
            assert_eq!(self.told("failures"), "");
            if joined >= self.joins && rounds >= self.joins && self.kills >= self.joins / 5 {
                break;
            }
            let state = format!(
                "{joined} joined, {rounds} rounds, {} kills, {} sent",
                self.kills,
                self.sent.len()
            );
            assert!(begun.elapsed() < TIMEOUT, "{state}\n{}", self.told("log"));
            self.invite(joined).await;
            self.look().await;
            self.end_leases();
            let progress = joined.min(rounds) * (self.joins / 5) / self.joins;
            if self.kills <= progress {
                self.kill();
                self.freeze().await;
            }
            // Nothing waits for this: it only sets at which moment a process is killed.
            tokio::time::sleep(Duration::from_millis(self.random.random_range(1..20))).await;
        }
        println!(
            "{} processes: {} joins, {} rounds, {} kills, {} times busy, {} up at most, in {:.0} s",
            PROCESSES,
            self.joins,
            self.lines("rounds"),
            self.kills,
            self.lines("busy"),
            self.most_up,
            begun.elapsed().as_secs_f32()
        );
        self.check_the_end().await;
    }

    /// Somebody adds Bob.
    async fn invite(&mut self, joined: usize) {
        if self.sent.len() < self.joins
            && self.sent.len() - joined < UNDER_WAY
            && let Ok(package) = self.directory.claim(&pool_id(), &Take::new()).await
        {
            let invitation = self.alice.invite(&package);
            mail::send(&self.state.dir, self.sent.len(), &invitation);
            self.sent.push(invitation);
        }
    }

    /// Looks at the server, and at the processes.
    async fn look(&mut self) {
        let page = self
            .store
            .list_available(&pool_id(), None, 1_000, self.state.now())
            .await
            .unwrap();
        self.most_up = self.most_up.max(page.items.len());
        assert!(self.most_up <= CAP as usize, "{} are up", self.most_up);
        for process in &mut self.processes {
            let ended = process.0.try_wait().unwrap();
            assert_eq!(
                ended,
                None,
                "{}",
                fs::read_to_string(self.state.dir.join("log")).unwrap()
            );
        }
    }

    /// Kills a process, wherever it is, and starts another.
    fn kill(&mut self) {
        let at = self.random.random_range(0..PROCESSES);
        let new = Process::start(&self.state);
        let killed = std::mem::replace(&mut self.processes[at], new);
        let process = killed.0.id();
        drop(killed);
        mail::put_back(self.dir(), process);
        self.kills += 1;
        self.leases_end_in = self.leases_end_in.or(Some(self.random.random_range(0..20)));
    }

    /// Stops a process, wherever it is. Its leases end, and then it comes back.
    async fn freeze(&mut self) {
        let frozen = &self.processes[self.random.random_range(0..PROCESSES)];
        frozen.signal("-STOP");
        self.state.advance(LONGEST_LEASE);
        // Nothing waits for this: the others are to take over, and if they do not, nothing is shown.
        tokio::time::sleep(Duration::from_millis(300)).await;
        frozen.signal("-CONT");
    }

    /// A while after a death, the clock passes the end of every lease: those of the living end early, too.
    fn end_leases(&mut self) {
        match self.leases_end_in {
            Some(0) => {
                self.state.advance(LONGEST_LEASE);
                self.leases_end_in = None;
            }
            left => self.leases_end_in = left.map(|left| left - 1),
        }
    }

    /// A day after the last process ended: all was joined with, and all that is up has a key.
    async fn check_the_end(&mut self) {
        fs::write(self.dir().join("stop"), "").unwrap();
        for process in &mut self.processes {
            assert!(
                process.0.wait().unwrap().success(),
                "{}",
                fs::read_to_string(self.state.dir.join("log")).unwrap()
            );
        }
        let client = self.state.client(2 * DAY).await;
        for invitation in &self.sent {
            assert!(
                client.is_in(invitation.group.group_id().as_slice()),
                "a genuine Welcome was not joined with"
            );
        }
        client.pool.refresh().await.unwrap();
        let vault = self.state.vault(&client.provider);
        let (mut keyed, mut up) = (BTreeSet::new(), 0);
        for row in client.metadata.list().await.unwrap() {
            let has_key = vault.package(&row.key_package_ref).unwrap().is_some();
            if has_key {
                keyed.insert(row.key_package_ref.as_bytes().to_vec());
            }
            let refs = [row.key_package_ref.clone()];
            let status = self
                .store
                .get_statuses(&pool_id(), &refs, self.state.now())
                .await
                .unwrap();
            let is_up = matches!(
                status[0],
                Some(Status::Available | Status::NotYetValid | Status::LastResort { .. })
            );
            up += u32::from(is_up);
            assert!(has_key || !is_up, "{:?} is up without a key", row.lifecycle);
        }
        let counts = self.store.count_by_status(&pool_id(), self.state.now()).await.unwrap();
        let counts = counts.of(kp_test_support::messenger::SUITE);
        let slot = u32::from(counts.last_resort != kp_core::Slot::Empty);
        assert_eq!(up, counts.available + counts.not_yet_valid + slot, "up without a row");
        // No key is without a row, and no copy without its key.
        let connection = Connection::open(self.dir().join("client.db")).unwrap();
        let names = "SELECT key_package_ref FROM openmls_key_packages";
        let mut names = connection.prepare(names).unwrap();
        let names = names.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
        for name in names {
            let name: OpenMlsRef = serde_json::from_slice(&name.unwrap()).unwrap();
            let named = name.as_slice().split_at(name.as_slice().len() - 32).1;
            assert!(
                keyed.contains(named),
                "{} bytes: a key without a row, or a copy",
                name.as_slice().len()
            );
        }
    }
}
