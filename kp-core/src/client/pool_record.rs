use std::collections::{BTreeMap, BTreeSet};

use crate::protocol::Health;
use crate::{Ciphersuite, Role, Timestamp};

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
    /// By how many seconds the client's clock was ahead of the server's at the last sync, or behind if negative. `None`
    /// unless that was too much ([POOL-8](crate::contract::POOL_8)).
    pub clock_off: Option<i64>,
    /// Whether the server took a package that was made while the clocks differed by [`clock_off`](Self::clock_off): then
    /// the server's clock is the wrong one ([POOL-8](crate::contract::POOL_8)).
    pub clock_trusted: bool,
    /// Since when the client's clock alone says that packages are over ([POOL-8](crate::contract::POOL_8)).
    pub alone: Option<Alone>,
    /// How many syncs in a row found new packages without a key
    /// ([POOL-10](crate::contract::POOL_10)).
    pub strangers: u32,
    /// No package of this ciphersuite and role is made before the end of the wait.
    pub waits: BTreeMap<(Ciphersuite, Role), Wait>,
    /// How many one-time packages of each ciphersuite may be made.
    pub budgets: BTreeMap<Ciphersuite, Budget>,
    /// The numbers that this release does not know.
    later: BTreeMap<u32, i64>,
}

/// A time in which the client's clock alone says that packages are over, and is looked at again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Alone {
    /// When it began, by the client's clock.
    pub since: Timestamp,
    /// When it was looked at last, by the client's clock.
    pub seen: Timestamp,
}

impl Alone {
    /// Began then, and was looked at last then.
    #[must_use]
    pub const fn new(since: Timestamp, seen: Timestamp) -> Self {
        Self { since, seen }
    }
}

/// A wait after a refusal that new packages would not cure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Wait {
    /// When the wait ends.
    pub until: Timestamp,
    /// How long the wait is, in seconds: the next one is longer.
    pub seconds: u32,
    /// A short hash of the plan and the credential that the refused packages were made by. Others end the wait.
    pub basis: u32,
}

impl Wait {
    /// Waits until then, for so many seconds.
    #[must_use]
    pub const fn new(until: Timestamp, seconds: u32) -> Self {
        Self {
            until,
            seconds,
            basis: 0,
        }
    }

    /// Sets the short hash of the plan and the credential. Default: 0.
    #[must_use]
    pub const fn basis(self, basis: u32) -> Self {
        Self { basis, ..self }
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
const BUDGET_LEFT: u32 = 5;
const BUDGET_AT: u32 = 6;
const CLOCK_OFF: u32 = 7;
const STRANGERS: u32 = 8;
const CLOCK_TRUSTED: u32 = 13;
const ALONE_SINCE: u32 = 14;
const ALONE_SEEN: u32 = 15;

/// The numbers of a wait: until when, how many seconds, on which basis.
const fn wait_fields(role: Role) -> [u32; 3] {
    match role {
        Role::OneTime => [3, 4, 9],
        Role::LastResort => [10, 11, 12],
    }
}

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
        if let Some(seconds) = self.clock_off {
            put(CLOCK_OFF, 0, seconds);
        }
        if self.clock_trusted {
            put(CLOCK_TRUSTED, 0, 1);
        }
        if let Some(alone) = self.alone {
            put(ALONE_SINCE, 0, alone.since.get());
            put(ALONE_SEEN, 0, alone.seen.get());
        }
        if self.strangers > 0 {
            put(STRANGERS, 0, self.strangers.into());
        }
        for ((suite, role), wait) in &self.waits {
            let [until, seconds, basis] = wait_fields(*role);
            put(until, suite.0, wait.until.get());
            put(seconds, suite.0, wait.seconds.into());
            put(basis, suite.0, wait.basis.into());
        }
        for (suite, budget) in &self.budgets {
            put(BUDGET_LEFT, suite.0, budget.left.into());
            put(BUDGET_AT, suite.0, budget.at.get());
        }
        numbers.into_iter()
    }

    /// Reads a record back from its [`numbers`](Self::numbers), in any order. `None` when a number cannot be what its
    /// key says, or the rest of a pair or of a wait is missing.
    #[must_use]
    pub fn from_numbers(numbers: impl IntoIterator<Item = (u32, i64)>) -> Option<Self> {
        let mut later: BTreeMap<u32, i64> = numbers.into_iter().collect();
        let suites = |fields: &[u32]| -> BTreeSet<u16> {
            let of_these = later.keys().filter(|key| fields.contains(&(*key >> 16)));
            of_these.map(|key| *key as u16).collect()
        };
        let budgets = suites(&[BUDGET_LEFT, BUDGET_AT]);
        let waits = [Role::OneTime, Role::LastResort].map(|role| (role, suites(&wait_fields(role))));
        let mut record = Self::default();
        let mut take = |field: u32, suite: u16| later.remove(&(field << 16 | u32::from(suite)));
        if let Some(time) = take(SERVER_TIME, 0) {
            record.server_time = Some(Timestamp::new(time)?);
        }
        if let Some(number) = take(HEALTH, 0) {
            let known = usize::try_from(number).ok().and_then(|number| HEALTHS.get(number));
            record.health = Some(known.copied().unwrap_or(Health::Unknown));
        }
        record.clock_off = take(CLOCK_OFF, 0);
        record.clock_trusted = take(CLOCK_TRUSTED, 0).is_some_and(|number| number != 0);
        record.alone = match (take(ALONE_SINCE, 0), take(ALONE_SEEN, 0)) {
            (None, None) => None,
            (since, seen) => Some(Alone::new(Timestamp::new(since?)?, Timestamp::new(seen?)?)),
        };
        if let Some(number) = take(STRANGERS, 0) {
            record.strangers = u32::try_from(number).ok()?;
        }
        for (role, suites) in waits {
            let [until, seconds, basis] = wait_fields(role);
            for suite in suites {
                let until = Timestamp::new(take(until, suite)?)?;
                let seconds = u32::try_from(take(seconds, suite)?).ok()?;
                let basis = u32::try_from(take(basis, suite)?).ok()?;
                let wait = Wait::new(until, seconds).basis(basis);
                record.waits.insert((Ciphersuite(suite), role), wait);
            }
        }
        for suite in budgets {
            let (left, at) = (take(BUDGET_LEFT, suite)?, take(BUDGET_AT, suite)?);
            let budget = Budget::new(u32::try_from(left).ok()?, Timestamp::new(at)?);
            record.budgets.insert(Ciphersuite(suite), budget);
        }
        record.later = later;
        Some(record)
    }
}
