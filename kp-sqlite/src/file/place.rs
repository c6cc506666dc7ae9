//! The files of a store: how they are created, and whether those that are open are still those at their paths.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use kp_core::OpenError;

use crate::file::error::Failure;

/// Tells a file from all others that exist at the same time. An open file exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    #[cfg(unix)]
    device: u64,
    #[cfg(unix)]
    inode: u64,
}

impl Identity {
    /// Reads the identity of the file at a path, behind symbolic links.
    #[cfg(unix)]
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt;

        let found = fs::metadata(path)?;
        Ok(Self {
            device: found.dev(),
            inode: found.ino(),
        })
    }

    /// Finds out that there is a file. Elsewhere than on Unix, it cannot be told from another one without unsafe code; but
    /// Windows does not let anybody rename, replace or delete a file that SQLite has open.
    #[cfg(not(unix))]
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|_| Self {})
    }
}

/// The files that a store has open: the database, its write-ahead log, and the index of the log.
#[derive(Debug, Default)]
pub(crate) struct Place {
    files: Vec<(PathBuf, Identity)>,
    /// Whether a file was found to be replaced, moved or deleted.
    is_lost: AtomicBool,
}

impl Place {
    /// Notes the files of a database that a connection has opened and read.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let mut files = vec![(path.to_owned(), Identity::at(path)?)];
        if has_other_names(path) {
            tracing::warn!(
                path = %path.display(),
                "the file has another name, a hard link: a process that opens it by that name uses another log"
            );
        }
        // SQLite puts them beside the file itself, not beside a link to it.
        let real = fs::canonicalize(path)?;
        for suffix in ["-wal", "-shm"] {
            let mut beside = real.clone().into_os_string();
            beside.push(suffix);
            let beside = PathBuf::from(beside);
            if let Ok(identity) = Identity::at(&beside) {
                files.push((beside, identity));
            }
        }
        Ok(Self {
            files,
            is_lost: AtomicBool::new(false),
        })
    }

    /// Returns how long the write-ahead log is.
    #[cfg(feature = "metrics")]
    pub(crate) fn log_bytes(&self) -> Option<u64> {
        let (log, _) = self.files.get(1)?;
        Some(fs::metadata(log).ok()?.len())
    }

    /// Returns the identity of the database.
    pub(crate) fn database(&self) -> Option<Identity> {
        self.files.first().map(|(_, identity)| *identity)
    }

    /// Fails if a file at its path is not the one that is open, now or at an earlier check. What is written to a file that
    /// nobody will open again is not durable (ERR-5), and what is read from it may be long past (LIN-1).
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.is_lost.load(Ordering::Acquire) {
            return Err(Failure::Lost);
        }
        for (path, identity) in &self.files {
            let found = match Identity::at(path) {
                Ok(found) => Some(found),
                Err(error) if is_absent(&error) => None,
                // Nobody can tell for now (a folder that may not be read): this call fails, and not those after it.
                Err(_) => return Err(Failure::Lost),
            };
            if found != Some(*identity) {
                if !self.is_lost.swap(true, Ordering::AcqRel) {
                    tracing::error!(
                        path = %path.display(),
                        "a file was replaced, moved or deleted under the running store, which is to be opened again"
                    );
                }
                return Err(Failure::Lost);
            }
        }
        Ok(())
    }
}

#[cfg(unix)]
fn has_other_names(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;

    fs::metadata(path).is_ok_and(|found| found.nlink() > 1)
}

#[cfg(not(unix))]
fn has_other_names(_: &Path) -> bool {
    false
}

/// Returns whether nothing is at a path.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Returns the path under which SQLite finds the file, whatever becomes of the working directory.
///
/// SQLite gives some names a meaning of their own. A name that begins with `file:` is taken as it is.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, OpenError> {
    if path.as_os_str().is_empty() || path == Path::new(":memory:") {
        return Err(OpenError::UnsafeConfiguration(
            "a database in memory does not last".into(),
        ));
    }
    if path.is_dir() {
        return Err(OpenError::NotADatabase("it is a directory".into()));
    }
    std::path::absolute(path).map_err(|error| OpenError::Unreachable(error.into()))
}

/// Creates the file, if there is none, such that its owner alone can read it. SQLite gives the log and its index the same
/// permissions.
///
/// A failure is left to SQLite, which meets it as well.
pub(crate) fn create(path: &Path) {
    /// To close a file ends all locks of this process on it: nobody may open the new file before it is closed.
    static CREATING: Mutex<()> = Mutex::new(());

    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let _creating = CREATING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut path = path.to_owned();
    // SQLite makes the file that a link leads to.
    for _ in 0..MAX_LINKS {
        let made = options.open(&path);
        let Some(target) = made.err().and_then(|_| fs::read_link(&path).ok()) else {
            return;
        };
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
}

/// The most links on the way to a file, as on Linux.
const MAX_LINKS: usize = 40;
