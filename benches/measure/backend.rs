use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use kp_core::server::KeyPackageStore;
use kp_memory::MemoryStore;
use kp_postgres::PostgresStore;
use kp_redis::RedisStore;
use kp_sqlite::SqliteStore;
use kp_test_support::postgres::{Postgres, postgres_version};
use procfs::process::{Process, Stat};
use tempfile::TempDir;

use super::Fallible;
use super::servers::{self, Server};

/// What is compared, each as a delivery service would run it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Memory,
    /// A file: write-ahead log, `synchronous=FULL`.
    Sqlite,
    /// Redis, its append-only file synced every second.
    RedisEverysec,
    /// Redis, its append-only file synced before every answer.
    RedisAlways,
    /// A server of its own: `fsync=on`, `synchronous_commit=on`, autovacuum as shipped.
    Postgres,
}

/// A store under measurement.
pub(crate) struct Subject {
    pub(crate) backend: Backend,
    pub(crate) store: Arc<dyn KeyPackageStore>,
    pub(crate) server: Option<Server>,
    postgres: Option<Postgres>,
    /// Where its file, or its server's, is.
    dir: TempDir,
}

impl Backend {
    pub(crate) const ALL: [Self; 5] = [
        Self::Memory,
        Self::Sqlite,
        Self::RedisEverysec,
        Self::RedisAlways,
        Self::Postgres,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite => "SQLite",
            Self::RedisEverysec => "Redis everysec",
            Self::RedisAlways => "Redis always",
            Self::Postgres => "PostgreSQL",
        }
    }

    /// Whether this machine has what it takes.
    pub(crate) fn is_here(self) -> bool {
        match self {
            Self::Memory | Self::Sqlite => true,
            Self::RedisEverysec | Self::RedisAlways => redis_version().is_some(),
            Self::Postgres => postgres_version().is_some(),
        }
    }

    /// An empty store.
    pub(crate) async fn open(self) -> Fallible<Subject> {
        let dir = on_disk()?;
        let (mut server, mut postgres) = (None, None);
        let store: Arc<dyn KeyPackageStore> = match self {
            Self::Memory => Arc::new(MemoryStore::new()),
            Self::Sqlite => Arc::new(SqliteStore::open(file(&dir)).await?),
            Self::RedisEverysec => Arc::new(start(&mut server, dir.path(), "everysec").await?),
            Self::RedisAlways => Arc::new(start(&mut server, dir.path(), "always").await?),
            Self::Postgres => {
                // A cache and a log as a server has them: else the pages of a round are written at its checkpoints.
                let settings = ["shared_buffers = 512MB", "max_wal_size = 4GB"];
                let server = postgres.insert(Postgres::start_in(dir.path(), &settings));
                Arc::new(PostgresStore::connect(server.url()).await?)
            }
        };
        Ok(Subject {
            backend: self,
            store,
            server,
            postgres,
            dir,
        })
    }
}

impl Subject {
    /// Another store on the same file, as another process has one.
    pub(crate) async fn beside(&self) -> Fallible<Arc<dyn KeyPackageStore>> {
        Ok(Arc::new(SqliteStore::open(file(&self.dir)).await?))
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn postgres(&self) -> Fallible<&Postgres> {
        Ok(self.postgres.as_ref().ok_or("no PostgreSQL server")?)
    }
}

fn file(dir: &TempDir) -> PathBuf {
    dir.path().join("pools.db")
}

/// What all processes of a server have used of the processor, those that have ended included.
pub(crate) fn postgres_cpu(server: &Postgres) -> Fallible<Duration> {
    let first = Process::new(i32::try_from(server.pid().ok_or("it does not run")?)?)?;
    let ticks = |stat: &Stat| stat.utime + stat.stime;
    let stat = first.stat()?;
    let mut used = ticks(&stat) + u64::try_from(stat.cutime + stat.cstime)?;
    for child in first.task_main_thread()?.children()? {
        // One that ended meanwhile is counted by the first.
        if let Ok(stat) = Process::new(i32::try_from(child)?).and_then(|child| child.stat()) {
            used += ticks(&stat);
        }
    }
    Ok(Duration::from_secs_f64(used as f64 / procfs::ticks_per_second() as f64))
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Whether this is named on the command line, by the beginning of its name. Without a choice, all are.
pub(crate) fn is_named(name: &str) -> bool {
    let words = std::env::args().skip(1).filter(|argument| !argument.starts_with('-'));
    let words: Vec<_> = words.collect();
    words.is_empty() || words.iter().any(|word| name.starts_with(word))
}

/// Whether a benchmark is to measure this backend: it is here, and [named](is_named).
pub(crate) fn is_chosen(backend: Backend) -> bool {
    let chosen = is_named(backend.name());
    if chosen && !backend.is_here() {
        eprintln!("{backend}: there is no server on this machine");
    }
    chosen && backend.is_here()
}

/// The server on this machine, if there is one, as it calls itself.
pub(crate) fn redis_version() -> Option<String> {
    let output = Command::new(servers::redis()).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// A directory that is not in /tmp, which may be memory: what is durable is measured on a disk.
pub(crate) fn on_disk() -> Fallible<TempDir> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    std::fs::create_dir_all(&target)?;
    Ok(tempfile::tempdir_in(target)?)
}

async fn start(server: &mut Option<Server>, dir: &Path, sync: &str) -> Fallible<RedisStore> {
    let dir = dir.display().to_string();
    let arguments = [
        ["--appendonly", "yes"],
        ["--appendfsync", sync],
        ["--dir", &dir],
        // A rewrite of the log would fall into one measurement and not into the next.
        ["--auto-aof-rewrite-percentage", "0"],
    ];
    let server = server.insert(Server::start(arguments.as_flattened()));
    Ok(RedisStore::open(server.url()).await?)
}
