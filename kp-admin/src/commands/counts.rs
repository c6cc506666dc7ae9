use std::collections::BTreeMap;

use futures::{StreamExt as _, TryStreamExt as _};
use kp_core::{Ciphersuite, Slot, Timestamp};
use serde::Serialize;

use super::now;
use crate::failure::Failure;
use crate::report::{Report, count, print, table};
use crate::stores::{self, Store};

/// How many pools are counted at once.
const AT_ONCE: usize = 16;

/// The sums over all pools of a store.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Sums {
    pub(super) pools: u64,
    /// The mark below which a pool is low.
    pub(super) mark: u32,
    /// How many pools remember as many one-time KeyPackages as they may.
    pub(super) memory_full: u64,
    pub(super) ciphersuites: BTreeMap<Ciphersuite, Sum>,
}

/// The sums over all pools that have a record of one ciphersuite.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Sum {
    pub(super) available: u64,
    pub(super) reserved: u64,
    pub(super) spent: u64,
    pub(super) not_yet_valid: u64,
    pub(super) expired: u64,
    pub(super) last_resorts: u64,
    /// How many pools have fewer available than the mark, but some.
    pub(super) low: u64,
    /// How many pools have none available.
    pub(super) exhausted: u64,
    /// How many pools handed out their last resort.
    pub(super) last_resort_used: u64,
}

impl Report for Sums {
    fn text(&self) -> String {
        let counts = self.ciphersuites.iter().map(|(suite, sum)| {
            let numbers = [sum.available, sum.reserved, sum.spent, sum.not_yet_valid, sum.expired];
            (*suite, numbers, sum.last_resorts.to_string())
        });
        let counts = counted(counts);
        let low = format!("fewer than {}", self.mark);
        let head = ["pools by suite", &low, "none", "last resort used"];
        let health = self.ciphersuites.iter();
        let health = health.map(|(suite, sum)| row(*suite, &[sum.low, sum.exhausted, sum.last_resort_used]));
        let health = table(&head, health);
        let Self { pools, memory_full, .. } = self;
        let pools = count(*pools, "pool");
        format!("{pools}, {memory_full} of them full\n\n{counts}\n\n{health}")
    }
}

/// Lays out counts by ciphersuite: available, reserved, spent, not yet valid, expired; and the last resort.
pub(super) fn counted(counts: impl Iterator<Item = (Ciphersuite, [u64; 5], String)>) -> String {
    let head = [
        "suite",
        "available",
        "reserved",
        "spent",
        "not yet",
        "expired",
        "last resort",
    ];
    let rows = counts.map(|(suite, numbers, last_resort)| {
        let mut cells = row(suite, &numbers);
        cells.push(last_resort);
        cells
    });
    table(&head, rows)
}

fn row(suite: Ciphersuite, numbers: &[u64]) -> Vec<String> {
    let numbers = numbers.iter().map(ToString::to_string);
    [suite.to_string()].into_iter().chain(numbers).collect()
}

/// Counts all pools of a store at one moment. Each pool is counted in a snapshot of its own.
pub(super) async fn of(store: &Store, low: u32, now: Timestamp) -> Result<Sums, Failure> {
    let pools = futures::stream::iter(stores::pools(store).await?);
    let counts = pools.map(|pool| async move { store.count_by_status(&pool, now).await });
    let mut counts = counts.buffer_unordered(AT_ONCE);
    let mut sums = Sums {
        mark: low,
        ..Sums::default()
    };
    while let Some(counted) = counts.try_next().await? {
        sums.pools += 1;
        sums.memory_full += u64::from(counted.room == 0);
        for (suite, counts) in counted.ciphersuites {
            let sum = sums.ciphersuites.entry(suite).or_default();
            sum.available += u64::from(counts.available);
            sum.reserved += u64::from(counts.reserved);
            sum.spent += u64::from(counts.spent);
            sum.not_yet_valid += u64::from(counts.not_yet_valid);
            sum.expired += u64::from(counts.expired);
            sum.last_resorts += u64::from(counts.last_resort != Slot::Empty);
            sum.low += u64::from(counts.available > 0 && counts.available < low);
            sum.exhausted += u64::from(counts.available == 0);
            sum.last_resort_used += u64::from(counts.last_resort == Slot::Used);
        }
    }
    Ok(sums)
}

pub(crate) async fn run(store: &Store, low: u32, json: bool) -> Result<(), Failure> {
    print(&of(store, low, now()).await?, json)
}
