//! A real PostgreSQL server, started by the tests on a free port of 127.0.0.1 and stopped when it is dropped.
//!
//! The server refuses to run as root: for root, its processes run as `nobody`, in a directory of theirs.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use crate::port::Port;

/// A server that does not start within this time will not start.
const PATIENCE: Duration = Duration::from_secs(60);

/// One server, with a directory of its own.
#[derive(Debug)]
pub struct Postgres {
    binaries: PathBuf,
    port: Port,
    dir: TempDir,
    child: Mutex<Option<Child>>,
}

/// The folder of `initdb` and `postgres`: the one named by POSTGRES_BIN, or the newest of the system's packages.
fn binaries() -> PathBuf {
    found().expect("no PostgreSQL server. These tests need one: run scripts/test, which installs it")
}

/// The server on this machine, if there is one, as it calls itself.
#[must_use]
pub fn postgres_version() -> Option<String> {
    version(&found()?)
}

fn version(binaries: &Path) -> Option<String> {
    let output = Command::new(binaries.join("postgres")).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn found() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("POSTGRES_BIN") {
        return Some(PathBuf::from(named));
    }
    let packages = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = packages.map(|entry| entry.path()).max_by_key(version)?;
    Some(newest.join("bin"))
}

/// Where a server keeps its files: in memory where that can be had. A sync is then a call and no wait; a killed process
/// finds its files again.
fn parent() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    }
}

impl Postgres {
    /// Makes a cluster, and starts a server on it with these settings beside the usual.
    #[must_use]
    pub fn start(settings: &[&str]) -> Self {
        Self::start_in(&parent(), settings)
    }

    /// As [`start`](Self::start), with its files in a directory inside of this one: a sync waits for the disk, if it is on one.
    #[must_use]
    pub fn start_in(parent: &Path, settings: &[&str]) -> Self {
        let server = Self::nowhere(parent);
        server.make_cluster();
        let config: String = settings.iter().map(|setting| format!("{setting}\n")).collect();
        server.configure(&config);
        server.restart();
        server
    }

    /// Makes an empty cluster. It takes a second of the processor, so the first is kept beside the tests, and copied.
    fn make_cluster(&self) {
        let kept = kept_cluster(&self.binaries);
        if kept.is_dir() {
            return copy(&kept, &self.data());
        }
        let made = self
            .command("initdb")
            .args([
                "--auth=trust",
                "--username=postgres",
                "--encoding=UTF8",
                "--no-locale",
                "--no-sync",
            ])
            .arg("--pgdata")
            .arg(self.data())
            .stdout(Stdio::null())
            .status();
        assert!(made.expect("initdb").success(), "no cluster is made");
        // Another process may be as far. A cluster that is there is whole: it comes by a rename.
        let beside = tempfile::tempdir_in(kept.parent().expect("it is in a folder")).expect("a directory");
        copy(&self.data(), &beside.path().join("data"));
        if let Err(error) = std::fs::rename(beside.path().join("data"), &kept) {
            assert!(kept.is_dir(), "{}: {error}", kept.display());
        }
    }

    /// Starts a standby of this server, which follows it.
    #[must_use]
    pub fn standby(&self) -> Self {
        let standby = Self::nowhere(&parent());
        let copied = standby
            .command("pg_basebackup")
            .args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--pgdata"])
            .arg(standby.data())
            .args(["--host=127.0.0.1", "--username=postgres", "--port"])
            .arg(self.port().to_string())
            .status();
        assert!(copied.expect("pg_basebackup").success(), "no standby is made");
        let primary = format!(
            "primary_conninfo = 'host=127.0.0.1 port={} user=postgres'\n",
            self.port()
        );
        standby.configure(&primary);
        standby.restart();
        standby
    }

    /// A directory without a cluster.
    fn nowhere(parent: &Path) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("kp-postgres")
            .tempdir_in(parent)
            .expect("a directory");
        give_to_nobody(dir.path());
        Self {
            binaries: binaries(),
            port: Port::take(),
            dir,
            child: Mutex::new(None),
        }
    }

    /// Makes a primary of a standby.
    pub fn promote(&self) {
        let promoted = self
            .command("pg_ctl")
            .args(["promote", "--wait", "--silent", "--pgdata"])
            .arg(self.data())
            .status();
        assert!(promoted.expect("pg_ctl").success(), "it is not promoted");
    }

    /// Makes a standby of a primary: one that follows nobody, and takes reads alone.
    pub fn demote(&self) {
        self.kill();
        let standby = self.data().join("standby.signal");
        std::fs::write(&standby, "").expect("the cluster is ours");
        give_to_nobody(&standby);
        self.restart();
    }

    /// Has the server read its settings anew.
    pub fn reload(&self) {
        let child = self.child.lock();
        let child = child.as_ref().expect("it runs");
        rustix::process::kill_process(Pid::from_child(child), Signal::HUP).expect("the server is ours");
    }

    /// Writes settings. They hold from the next start on, or after a reload.
    pub fn configure(&self, settings: &str) {
        let always = format!(
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = ''\nmax_connections = 400\n\
             shared_buffers = 64MB\ndynamic_shared_memory_type = mmap\nlogging_collector = off\nlog_min_messages = fatal\n{settings}",
            self.port()
        );
        let path = self.data().join("postgresql.auto.conf");
        std::fs::write(&path, always).expect("the settings are written");
        give_to_nobody(&path);
    }

    /// Starts it again with this certificate and key, in PEM, and takes connections over TLS alone.
    pub fn serve_tls(&self, certificate: &str, key: &str) {
        for (name, pem) in [("server.crt", certificate), ("server.key", key)] {
            let path = self.data().join(name);
            std::fs::write(&path, pem).expect("the cluster is ours");
            let private = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(&path, private).expect("the file is ours");
            give_to_nobody(&path);
        }
        let rules = self.data().join("pg_hba.conf");
        std::fs::write(&rules, "hostssl all all all trust\n").expect("the cluster is ours");
        self.configure("ssl = on");
        self.restart();
    }

    /// Starts it, or starts it again on its port and its files, and waits until it takes connections.
    pub fn restart(&self) {
        self.kill();
        let log = std::fs::File::create(self.dir.path().join("log")).expect("a log");
        // What a killed server leaves: the lock of its own process id, which another process may have by now.
        let _ = std::fs::remove_file(self.data().join("postmaster.pid"));
        let child = self
            .command("postgres")
            .arg("-D")
            .arg(self.data())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("the server starts");
        *self.child.lock() = Some(child);
        let begin = Instant::now();
        while !self.is_ready() {
            assert!(begin.elapsed() < PATIENCE, "the server does not start: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn is_ready(&self) -> bool {
        // The last line of the file, once it is there.
        let pid = std::fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        pid.lines().nth(7).is_some_and(|status| status.trim() == "ready")
    }

    /// Kills the server's first process at once (SIGKILL). Its others notice, and end.
    pub fn kill(&self) {
        let Some(mut child) = self.child.lock().take() else {
            return;
        };
        let others = children(child.id());
        child.kill().expect("the server is ours to kill");
        child.wait().expect("it ends");
        // They hold the shared memory, and a new server waits for that.
        let begin = Instant::now();
        for other in others {
            while Path::new(&format!("/proc/{other}")).exists() && begin.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }

    /// Ends the server without a checkpoint (SIGQUIT), so that it leaves no shared memory behind.
    pub fn stop(&self) {
        let Some(mut child) = self.child.lock().take() else {
            return;
        };
        rustix::process::kill_process(Pid::from_child(&child), Signal::QUIT).expect("the server is ours to stop");
        child.wait().expect("it ends");
    }

    /// What the server said.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Its first process, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.lock().as_ref().map(Child::id)
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable", self.port())
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn command(&self, binary: &str) -> Command {
        let mut command = unprivileged(&self.binaries.join(binary));
        command.current_dir(self.dir.path());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Where an empty cluster of these binaries is kept: in the folder of the program that runs.
fn kept_cluster(binaries: &Path) -> PathBuf {
    let version = version(binaries).expect("the server says its version");
    let program = std::env::current_exe().expect("a program has a file");
    program.with_file_name(version.replace([' ', '(', ')', '/'], "-"))
}

/// Copies a cluster, with its owner.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.expect("cp").success(), "{} is not copied", from.display());
}

/// For root, gives a file to the user that runs the servers.
pub(crate) fn give_to_nobody(path: &Path) {
    if is_root() {
        let owned = Command::new("chown").arg("nobody").arg(path).status();
        assert!(owned.expect("chown").success());
    }
}

/// Returns a command that does not run as root.
pub(crate) fn unprivileged(binary: &Path) -> Command {
    if !is_root() {
        return Command::new(binary);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"])
        .arg(binary);
    command
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    ids.and_then(|ids| ids.split_whitespace().nth(1)) == Some("0")
}

/// The processes that this one started.
fn children(parent: u32) -> Vec<u32> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let ids = std::fs::read_to_string(path).unwrap_or_default();
    ids.split_whitespace().filter_map(|id| id.parse().ok()).collect()
}
