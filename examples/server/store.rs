use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use keypackage_pool::OpenError;
use keypackage_pool::memory::MemoryStore;
use keypackage_pool::postgres::PostgresStore;
use keypackage_pool::redis::RedisStore;
use keypackage_pool::server::KeyPackageStore;
use keypackage_pool::sqlite::SqliteStore;

/// Which store to open, as the command line names it.
#[derive(Clone)]
pub(crate) enum Store {
    Memory,
    Sqlite(PathBuf),
    Redis(String),
    Postgres(String),
}

impl Store {
    /// Whether other processes, or this one after a restart, see what it holds.
    pub(crate) fn is_shared(&self) -> bool {
        !matches!(self, Self::Memory)
    }

    pub(crate) async fn open(self) -> Result<Arc<dyn KeyPackageStore>, OpenError> {
        Ok(match self {
            Self::Memory => Arc::new(MemoryStore::new()),
            Self::Sqlite(path) => Arc::new(SqliteStore::open(path).await?),
            Self::Redis(url) => Arc::new(RedisStore::open(url).await?),
            Self::Postgres(url) => Arc::new(PostgresStore::connect(url).await?),
        })
    }
}

impl FromStr for Store {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "memory" => Ok(Self::Memory),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            Some((scheme, _)) if scheme.starts_with("redis") => Ok(Self::Redis(text.to_owned())),
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(text.to_owned())),
            // Not the text itself: a URL may hold a password.
            _ => Err("memory, sqlite:PATH, redis://HOST or postgres://HOST/DATABASE".to_owned()),
        }
    }
}
