//! A real PgBouncer, started by the tests on a free port of 127.0.0.1 and stopped when it is dropped.

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use crate::port::Port;
use crate::postgres::{Postgres, give_to_nobody, unprivileged};

/// A pooler that does not start within this time will not start.
const PATIENCE: Duration = Duration::from_secs(300);

/// How long a client keeps its connection to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolMode {
    Session,
    Transaction,
}

/// One pooler before one server.
#[derive(Debug)]
pub struct PgBouncer {
    port: Port,
    dir: TempDir,
    mode: PoolMode,
    connections: u32,
    child: Mutex<Option<Child>>,
}

/// The program: the one named by PGBOUNCER, or that of the system's package.
fn binary() -> PathBuf {
    let named = std::env::var_os("PGBOUNCER").map(PathBuf::from);
    let installed = || {
        ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"]
            .map(PathBuf::from)
            .into_iter()
    };
    named
        .or_else(|| installed().find(|path| path.exists()))
        .expect("no PgBouncer. These tests need one: run scripts/test, which installs it")
}

impl PgBouncer {
    /// Starts one with so many connections to the server. In session mode, each client has one of them.
    #[must_use]
    pub fn start(server: &Postgres, mode: PoolMode, connections: u32) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("kp-pgbouncer")
            .tempdir()
            .expect("a directory");
        std::fs::write(dir.path().join("users"), "\"postgres\" \"\"\n").expect("the users are written");
        give_to_nobody(dir.path());
        let pooler = Self {
            port: Port::take(),
            dir,
            mode,
            connections,
            child: Mutex::new(None),
        };
        pooler.configure(server);
        pooler.restart();
        pooler
    }

    /// Turns to another server. Clients stay connected, and meet it in their next transactions, once that is known.
    pub fn turn_to(&self, server: &Postgres) {
        self.configure(server);
        let child = self.child.lock();
        let child = child.as_ref().expect("it runs");
        rustix::process::kill_process(Pid::from_child(child), Signal::HUP).expect("the pooler is ours");
    }

    fn configure(&self, server: &Postgres) {
        let Self { dir, connections, .. } = self;
        let port = self.port.number();
        let mode = match self.mode {
            PoolMode::Session => "session",
            PoolMode::Transaction => "transaction",
        };
        let config = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = {mode}\ndefault_pool_size = {connections}\n\
             max_client_conn = 1000\nserver_connect_timeout = 2\nserver_login_retry = 0\n",
            server.port(),
            dir.path().join("users").display()
        );
        std::fs::write(dir.path().join("config"), config).expect("the settings are written");
    }

    /// Starts it, or starts it again on its port, and waits until it takes connections.
    pub fn restart(&self) {
        self.stop();
        let log = std::fs::File::create(self.dir.path().join("log")).expect("a log");
        let child = unprivileged(&binary())
            .arg(self.dir.path().join("config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the pooler starts");
        *self.child.lock() = Some(child);
        let begin = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.port.number())).is_err() {
            assert!(begin.elapsed() < PATIENCE, "the pooler does not start: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!(
            "postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable",
            self.port.number()
        )
    }

    /// Kills it, and its connections with it.
    pub fn stop(&self) {
        let Some(mut child) = self.child.lock().take() else {
            return;
        };
        child.kill().expect("the pooler is ours to kill");
        child.wait().expect("it ends");
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        self.stop();
    }
}
