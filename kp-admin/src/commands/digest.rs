//! What the commands share that go through all pools: the digest of all records, and the bar that shows how far they are.

use std::fmt;

use indicatif::{ProgressBar, ProgressStyle};
use kp_core::PoolId;
use kp_core::moving::PoolExport;
use sha2::{Digest as _, Sha256};

/// The digest of all records of a store. The order of the pools makes no difference: no listing has one.
#[derive(Debug, Default)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    /// Adds a pool that was not added yet.
    pub(super) fn add(&mut self, pool: &PoolId, export: &PoolExport) {
        let mut hash = Sha256::new();
        hash.update([u8::try_from(pool.as_bytes().len()).unwrap_or(u8::MAX)]);
        hash.update(pool.as_bytes());
        hash.update(export.to_bytes());
        let hash = hash.finalize();
        self.0.iter_mut().zip(hash).for_each(|(sum, byte)| *sum ^= byte);
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Shows on a terminal how many of so many pools are done.
pub(super) fn bar(pools: usize, what: &'static str, json: bool) -> ProgressBar {
    if json {
        return ProgressBar::hidden();
    }
    let style = "{msg:9} {bar:30} {pos}/{len} pools, {per_sec:0}, {eta} left";
    let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(pools as u64).with_style(style).with_message(what)
}
