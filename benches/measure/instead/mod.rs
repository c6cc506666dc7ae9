//! What a server would use instead of this project, each as small as its peers write it: the way to take a package, and what
//! that needs. `docs/performance.md` says what each gets wrong, and `benches/instead.rs` shows it by the conformance suite.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use adapted::Adapted;
use delete_returning::DeleteReturning;
use kp_core::server::KeyPackageStore;
use map::Map;
use one_connection::OneConnection;
use update_skip_locked::UpdateSkipLocked;

use super::Fallible;
use super::backend::Backend;
use super::work::Work;

pub(crate) use adapted::Lacking;

mod adapted;
mod delete_returning;
mod flaws;
mod map;
mod one_connection;
mod peer;
mod postgres;
mod record;
mod update_skip_locked;

/// What is compared with a store of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instead {
    /// One SQLite connection under an async mutex; a spend names the package by its ref alone, which no index begins with.
    OneConnection,
    /// One `UPDATE` of PostgreSQL, of a row that `FOR UPDATE SKIP LOCKED` chose.
    UpdateSkipLocked,
    /// One `DELETE ... RETURNING` of PostgreSQL, of the oldest row.
    DeleteReturning,
    /// A `HashMap` of `Vec`s under a mutex.
    Map,
}

/// What it gets wrong, and the check of the suite that fails for it.
#[derive(Debug)]
pub(crate) struct Flaw {
    pub(crate) says: &'static str,
    pub(crate) check: &'static str,
}

impl Instead {
    pub(crate) const ALL: [Self; 4] = [
        Self::OneConnection,
        Self::UpdateSkipLocked,
        Self::DeleteReturning,
        Self::Map,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OneConnection => "one SQLite connection under an async mutex",
            Self::UpdateSkipLocked => "UPDATE ... SKIP LOCKED",
            Self::DeleteReturning => "DELETE ... RETURNING",
            Self::Map => "a HashMap under a mutex",
        }
    }

    /// The store of ours on the same engine.
    pub(crate) fn ours(self) -> Backend {
        match self {
            Self::OneConnection => Backend::Sqlite,
            Self::UpdateSkipLocked | Self::DeleteReturning => Backend::Postgres,
            Self::Map => Backend::Memory,
        }
    }

    /// How a package is used for good: in one call, where it has no lease.
    pub(crate) fn work(self) -> Work {
        if self.has_leases() { Work::Cycle } else { Work::Claim }
    }

    pub(crate) fn has_leases(self) -> bool {
        self == Self::OneConnection
    }

    /// One that holds nothing, or what another one of the same place and name has saved.
    pub(crate) async fn open(
        self,
        dir: &Path,
        url: Option<&str>,
        name: &str,
        lacking: &Lacking,
    ) -> Fallible<Arc<dyn KeyPackageStore>> {
        let url = url.ok_or("no server");
        Ok(match self {
            Self::OneConnection => Adapted::over(OneConnection::open(&dir.join("instead.db"))?, lacking),
            Self::UpdateSkipLocked => Adapted::over(UpdateSkipLocked::open(url?, name).await?, lacking),
            Self::DeleteReturning => Adapted::over(DeleteReturning::open(url?, name).await?, lacking),
            Self::Map => Adapted::over(Map::named(name), lacking),
        })
    }

    /// What it gets wrong, the gravest first.
    pub(crate) fn flaws(self) -> &'static [Flaw] {
        flaws::of(self)
    }
}

impl fmt::Display for Instead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
