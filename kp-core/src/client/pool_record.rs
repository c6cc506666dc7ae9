use std::collections::{BTreeMap, BTreeSet};

use crate::protocol::Health;
use crate::{Ciphersuite, Timestamp};

/// Remembers what a pool knows beside its rows ([META-6](crate::contract::META_6)). The record of a new pool is empty.
///
/// A store keeps the record as its [`numbers`](Self::numbers): a few integers. So no record can hold key material
/// ([META-4](crate::contract::META_4)), and no store has to know what a release adds. Numbers of a later release are
/// kept as they are.
///
/// ```
/// use kp_core::client::PoolRecord;
/// use kp_core::protocol::Health;
///
/// let mut record = PoolRecord::default();
/// record.health = Some(Health::Low);
/// let stored: Vec<(u32, i64)> = record.numbers().collect();
/// assert_eq!(PoolRecord::from_numbers(stored), Some(record));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PoolRecord {
    /// The latest time that the server told.
    pub server_time: Option<Timestamp>,
    /// The health that the server told last.
    pub health: Option<Health>,
    /// No package is made before the end of the wait.
    pub wait: Option<Wait>,
    /// How many one-time packages of each ciphersuite may be made.
    pub budgets: BTreeMap<Ciphersuite, Budget>,
    /// The numbers that this release does not know.
    later: BTreeMap<u32, i64>,
}

/// A wait after a refusal that new packages would not cure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Wait {
    /// When the wait ends.
    pub until: Timestamp,
    /// How long the wait is, in seconds: the next one is longer.
    pub seconds: u32,
}

impl Wait {
    /// Waits until then, for so many seconds.
    #[must_use]
    pub const fn new(until: Timestamp, seconds: u32) -> Self {
        Self { until, seconds }
    }
}

/// A budget of one-time packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Budget {
    /// How many packages were left.
    pub left: u32,
    /// When so many were left. The budget grows from then on.
    pub at: Timestamp,
}

impl Budget {
    /// Had so many packages left then.
    #[must_use]
    pub const fn new(left: u32, at: Timestamp) -> Self {
        Self { left, at }
    }
}

// What a number stands for, in the upper half of its key. Never given anew once released. The lower half is a
// ciphersuite, or 0.
const SERVER_TIME: u32 = 1;
const HEALTH: u32 = 2;
const WAIT_UNTIL: u32 = 3;
const WAIT_SECONDS: u32 = 4;
const BUDGET_LEFT: u32 = 5;
const BUDGET_AT: u32 = 6;

/// The healths, each at its number. Any other number is a health of a later release.
const HEALTHS: [Health; 5] = [
    Health::Unknown,
    Health::Good,
    Health::Low,
    Health::Exhausted,
    Health::LastResortUsed,
];

impl PoolRecord {
    /// Returns the record as a store keeps it: numbers, each under a key of its own, by key.
    pub fn numbers(&self) -> impl Iterator<Item = (u32, i64)> {
        let mut numbers = self.later.clone();
        let mut put = |field: u32, suite: u16, number: i64| numbers.insert(field << 16 | u32::from(suite), number);
        if let Some(time) = self.server_time {
            put(SERVER_TIME, 0, time.get());
        }
        if let Some(health) = self.health {
            let number = (0..).zip(HEALTHS).find(|(_, named)| *named == health);
            put(HEALTH, 0, number.map_or(0, |(number, _)| number));
        }
        if let Some(wait) = self.wait {
            put(WAIT_UNTIL, 0, wait.until.get());
            put(WAIT_SECONDS, 0, wait.seconds.into());
        }
        for (suite, budget) in &self.budgets {
            put(BUDGET_LEFT, suite.0, budget.left.into());
            put(BUDGET_AT, suite.0, budget.at.get());
        }
        numbers.into_iter()
    }

    /// Reads a record back from its [`numbers`](Self::numbers), in any order. `None` when a number cannot be what its
    /// key says, or the other half of a pair is missing.
    #[must_use]
    pub fn from_numbers(numbers: impl IntoIterator<Item = (u32, i64)>) -> Option<Self> {
        let mut later: BTreeMap<u32, i64> = numbers.into_iter().collect();
        let is_budget = |key: &u32| matches!(key >> 16, BUDGET_LEFT | BUDGET_AT);
        let budgets: BTreeSet<_> = later
            .keys()
            .filter(|key| is_budget(key))
            .map(|key| *key as u16)
            .collect();
        let mut record = Self::default();
        let mut take = |field: u32, suite: u16| later.remove(&(field << 16 | u32::from(suite)));
        if let Some(time) = take(SERVER_TIME, 0) {
            record.server_time = Some(Timestamp::new(time)?);
        }
        if let Some(number) = take(HEALTH, 0) {
            let known = usize::try_from(number).ok().and_then(|number| HEALTHS.get(number));
            record.health = Some(known.copied().unwrap_or(Health::Unknown));
        }
        record.wait = match (take(WAIT_UNTIL, 0), take(WAIT_SECONDS, 0)) {
            (None, None) => None,
            (until, seconds) => Some(Wait::new(Timestamp::new(until?)?, u32::try_from(seconds?).ok()?)),
        };
        for suite in budgets {
            let (left, at) = (take(BUDGET_LEFT, suite)?, take(BUDGET_AT, suite)?);
            let budget = Budget::new(u32::try_from(left).ok()?, Timestamp::new(at)?);
            record.budgets.insert(Ciphersuite(suite), budget);
        }
        record.later = later;
        Some(record)
    }
}
