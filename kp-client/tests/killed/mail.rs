//! Welcomes on their way to the processes of the client: files, which a process takes by renaming them.

use std::fs;
use std::path::{Path, PathBuf};

use kp_test_support::messenger::Invitation;

/// A Welcome, the same with one byte changed, and the group.
pub(crate) struct Mail {
    path: PathBuf,
    pub(crate) welcome: Vec<u8>,
    pub(crate) forged: Vec<u8>,
    pub(crate) group: Vec<u8>,
}

fn with_end<'a>(dir: &'a Path, end: &'a str) -> impl Iterator<Item = PathBuf> + 'a {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(move |path| path.extension().is_some_and(|found| found == end))
}

/// How many are so.
pub(crate) fn count(dir: &Path, end: &str) -> usize {
    with_end(dir, end).count()
}

pub(crate) fn send(dir: &Path, number: usize, invitation: &Invitation) {
    let parts = [
        &invitation.welcome,
        &invitation.forged(),
        &invitation.group.group_id().to_vec(),
    ];
    let path = dir.join(format!("{number}.writing"));
    fs::write(&path, serde_json::to_vec(&parts).unwrap()).unwrap();
    fs::rename(&path, path.with_extension("welcome")).unwrap();
}

/// Takes a Welcome, unless another process is faster.
pub(crate) fn take(dir: &Path, process: u32) -> Option<Mail> {
    let path = with_end(dir, "welcome").next()?;
    let taken = path.with_extension(format!("taken-{process}"));
    fs::rename(&path, &taken).ok()?;
    let [welcome, forged, group] = serde_json::from_slice(&fs::read(&taken).unwrap()).unwrap();
    Some(Mail {
        path: taken,
        welcome,
        forged,
        group,
    })
}

/// Puts back what a process that died had taken.
pub(crate) fn put_back(dir: &Path, process: u32) {
    for path in with_end(dir, &format!("taken-{process}")) {
        fs::rename(&path, path.with_extension("welcome")).unwrap();
    }
}

impl Mail {
    pub(crate) fn joined(self) {
        fs::rename(&self.path, self.path.with_extension("joined")).unwrap();
    }

    pub(crate) fn later(self) {
        fs::rename(&self.path, self.path.with_extension("welcome")).unwrap();
    }

    /// A genuine Welcome that could not be joined with.
    pub(crate) fn lost(self, why: &str) {
        fs::write(&self.path, why).unwrap();
        fs::rename(&self.path, self.path.with_extension("lost")).unwrap();
    }
}

/// Why Welcomes could not be joined with.
pub(crate) fn lost(dir: &Path) -> Vec<String> {
    with_end(dir, "lost")
        .map(|path| fs::read_to_string(path).unwrap())
        .collect()
}
