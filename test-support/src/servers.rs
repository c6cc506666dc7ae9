//! Real servers, started by the tests on free ports of 127.0.0.1 and killed when they are dropped.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tempfile::TempDir;

use crate::port::Port;

/// A server that does not start within this time will not start.
const PATIENCE: Duration = Duration::from_secs(300);

/// Nothing is written to disk, and no script is called slow because the machine is starved.
const PLAIN: &str = "save \"\"\nbusy-reply-threshold 0\n";

/// One server, with a directory of its own.
#[derive(Debug)]
pub struct Server {
    binary: PathBuf,
    arguments: Vec<String>,
    port: Port,
    dir: TempDir,
    child: Mutex<Option<Child>>,
}

/// Redis, from the system's packages.
#[must_use]
pub fn redis() -> PathBuf {
    std::env::var_os("REDIS_SERVER").map_or_else(|| PathBuf::from("redis-server"), PathBuf::from)
}

/// Valkey, where it is named.
#[must_use]
pub fn valkey() -> Option<PathBuf> {
    std::env::var_os("VALKEY_SERVER")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
}

impl Server {
    /// Starts Redis with these arguments, beside those that every server here has.
    ///
    /// # Panics
    ///
    /// Where there is none: a missing server is no reason to pass.
    #[must_use]
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_binary(redis(), arguments)
    }

    /// Starts a replica of this master, in step with it: see [`follow`](Self::follow).
    #[must_use]
    pub fn start_replica(master: &Self) -> Self {
        let replica = Self::start(&[]);
        replica.follow(master);
        replica
    }

    /// Makes it a replica of this master, in step with it: one whose acknowledgements the master counts.
    ///
    /// A master calls a replica online before that. After a synchronisation without a file it sends no commands, and no
    /// request to acknowledge any, until an acknowledgement has come *since* it noticed that its child had ended. The
    /// replica's first may be earlier, and is then ignored; the next one comes a second later, and what waits for replicas
    /// meanwhile waits in vain.
    ///
    /// So one write is waited for here; once it is online, since before its first replica a master counts no writes, and
    /// has nothing to wait for. A master that is itself a replica takes no write.
    pub fn follow(&self, master: &Self) {
        let port = master.port().to_string();
        let () = self.command(&["REPLICAOF", "127.0.0.1", &port]).expect("it follows");
        let mine = format!("port={},state=online", self.port());
        let info = until(|| {
            let info: String = master.command(&["INFO", "replication"]).ok()?;
            info.contains(&mine).then_some(info)
        })
        .expect("the master finds it");
        if info.contains("role:master") {
            let replicas = info.matches("state=online").count();
            let client = redis::Client::open(master.url()).expect("the master has a URL");
            let mut connection = client.get_connection().expect("the master answers");
            let mut write = redis::pipe();
            write.cmd("SET").arg("probe").arg("").ignore();
            write.cmd("WAIT").arg(replicas).arg(PATIENCE.as_millis().to_string());
            let (found,): (usize,) = write.query(&mut connection).expect("the master answers");
            assert_eq!(found, replicas, "the replicas follow");
        }
    }

    /// Starts this server.
    #[must_use]
    pub fn start_binary(binary: PathBuf, arguments: &[&str]) -> Self {
        Self::start_with(binary, None, arguments)
    }

    fn start_with(binary: PathBuf, config: Option<&str>, arguments: &[&str]) -> Self {
        let server = Self {
            binary,
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            port: Port::take(),
            dir: tempfile::tempdir().expect("a directory for the server"),
            child: Mutex::new(None),
        };
        std::fs::write(server.config(), config.unwrap_or(PLAIN)).expect("its configuration is written");
        assert!(
            server.run(),
            "{} does not start with {arguments:?}",
            server.binary.display()
        );
        server
    }

    /// Starts a Sentinel, which keeps what it learns in its own file.
    #[must_use]
    pub fn start_sentinel(config: &str) -> Self {
        Self::start_with(redis(), Some(config), &["--sentinel"])
    }

    /// Stops it from running, as an overloaded machine would.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.child.lock().as_ref().expect("it runs").id();
        let sent = Command::new("kill")
            .args([signal, &id.to_string()])
            .status()
            .expect("kill");
        assert!(sent.success());
    }

    /// Starts it again, on its port and its files.
    pub fn restart(&self) {
        assert!(self.run(), "the server does not start again on port {}", self.port());
    }

    /// Kills it at once (SIGKILL), by its process.
    pub fn kill(&self) {
        if let Some(mut child) = self.child.lock().take() {
            child.kill().expect("the server is ours to kill");
            child.wait().expect("it ends");
        }
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port())
    }

    /// Sends commands to it that are none of the store's.
    pub fn command<T: redis::FromRedisValue>(&self, command: &[&str]) -> redis::RedisResult<T> {
        let mut sent = redis::Cmd::new();
        for argument in command {
            sent.arg(*argument);
        }
        let mut connection = redis::Client::open(self.url())?.get_connection()?;
        sent.query(&mut connection)
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("server.conf")
    }

    fn run(&self) -> bool {
        let log = std::fs::File::create(self.dir.path().join("log")).expect("a log");
        let child = Command::new(&self.binary)
            .arg(self.config())
            .args(["--port", &self.port().to_string(), "--bind", "127.0.0.1"])
            .args(["--dir", &self.dir.path().display().to_string()])
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "{}: {error}. These tests need a server: run scripts/test, which installs it",
                    self.binary.display()
                )
            });
        *self.child.lock() = Some(child);
        until(|| {
            let ended = self
                .child
                .lock()
                .as_mut()
                .is_none_or(|child| !matches!(child.try_wait(), Ok(None)));
            if ended {
                return Some(false);
            }
            (ping(self.port())? == "+PONG").then_some(true)
        })
        .unwrap_or(false)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Three masters that share the slots.
#[derive(Debug)]
pub struct Cluster {
    pub nodes: Vec<Server>,
    _buses: Vec<Port>,
}

impl Cluster {
    #[must_use]
    pub fn start(binary: PathBuf) -> Self {
        let nodes: Vec<_> = (0..3)
            .map(|_| {
                let bus = Port::take();
                let arguments = [
                    "--cluster-enabled",
                    "yes",
                    "--cluster-port",
                    &bus.number().to_string(),
                    "--cluster-node-timeout",
                    "5000",
                ];
                let node = Server::start_binary(binary.clone(), &arguments);
                (node, bus)
            })
            .collect();
        let ranges = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];
        for (place, ((node, _), (first, last))) in nodes.iter().zip(ranges).enumerate() {
            let () = node.command(&["CLUSTER", "ADDSLOTSRANGE", first, last]).expect("slots");
            let () = node
                .command(&["CLUSTER", "SET-CONFIG-EPOCH", &(place + 1).to_string()])
                .expect("an epoch");
        }
        for (node, bus) in &nodes[1..] {
            let (port, bus) = (node.port().to_string(), bus.number().to_string());
            let () = nodes[0]
                .0
                .command(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus])
                .expect("they meet");
        }
        let (nodes, _buses) = nodes.into_iter().unzip();
        let cluster = Self { nodes, _buses };
        until(|| cluster.agrees().then_some(())).expect("the nodes agree");
        cluster
    }

    fn agrees(&self) -> bool {
        self.nodes.iter().all(|node| {
            let info: String = node.command(&["CLUSTER", "INFO"]).expect("it answers");
            info.contains("cluster_state:ok")
                && info.contains("cluster_known_nodes:3")
                && info.contains("cluster_size:3")
        })
    }

    #[must_use]
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self
            .nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port()))
            .collect();
        format!("redis-cluster://{}", hosts.join(","))
    }
}

/// Asks again and again for what another process brings about, for a while.
pub fn until<T>(mut done: impl FnMut() -> Option<T>) -> Option<T> {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        if let Some(value) = done() {
            return Some(value);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

fn ping(port: u16) -> Option<String> {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).ok()?;
    connection.write_all(b"PING\r\n").ok()?;
    let mut reply = [0; 7];
    connection.read_exact(&mut reply).ok()?;
    Some(String::from_utf8_lossy(&reply[..5]).into_owned())
}
