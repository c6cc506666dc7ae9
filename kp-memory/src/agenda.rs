use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

use kp_core::{PoolId, Timestamp};

/// When a sweep first finds work in a pool. Every record has a `not_after`, so a pool without one holds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Dates {
    pub(crate) ends_at: Option<Timestamp>,
    pub(crate) not_after: Option<Timestamp>,
}

impl Dates {
    /// Whether these, as noted, have to be put right at `now`: where they lie after the truth, or are due.
    pub(crate) fn mislead(self, truth: Self, now: Timestamp) -> bool {
        let misleads = |noted: Option<Timestamp>, truth: Option<Timestamp>| match (noted, truth) {
            (None, truth) => truth.is_some(),
            (Some(noted), truth) => truth.is_some_and(|truth| truth < noted) || (noted <= now && truth != Some(noted)),
        };
        let came_or_went = self.not_after.is_some() != truth.not_after.is_some();
        came_or_went || misleads(self.ends_at, truth.ends_at) || misleads(self.not_after, truth.not_after)
    }
}

/// Pools by date. Of one date, by a number: to compare ids, one would have to fetch them from all over the memory.
type Schedule = BTreeMap<(Timestamp, u64), PoolId>;

/// Which pools there are, and when each has to be looked at: what listings and sweeps walk, instead of all pools
/// (`COST-1`).
///
/// A date may lie before the truth, never after it: so most calls on a pool need not write here, and a sweep may look
/// at a pool in vain once.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    pools: BTreeSet<PoolId>,
    ends_at: Schedule,
    not_after: Schedule,
}

impl Agenda {
    /// Brings what is noted of a pool from `was` to `is`.
    ///
    /// Its number is its own, and stays the same.
    pub(crate) fn note(&mut self, pool: &PoolId, number: u64, was: Dates, is: Dates) {
        match (was.not_after, is.not_after) {
            (None, Some(_)) => _ = self.pools.insert(pool.clone()),
            (Some(_), None) => _ = self.pools.remove(pool),
            _ => {}
        }
        reschedule(&mut self.ends_at, pool, number, was.ends_at, is.ends_at);
        reschedule(&mut self.not_after, pool, number, was.not_after, is.not_after);
    }

    /// A pool in which a lease or window may have ended by `now`.
    pub(crate) fn ended(&self, now: Timestamp) -> Option<PoolId> {
        due(&self.ends_at, now)
    }

    /// A pool in which a package may be past its `not_after` at `now`.
    pub(crate) fn over(&self, now: Timestamp) -> Option<PoolId> {
        due(&self.not_after, now)
    }

    /// At most `limit` pools after this one, in the order of their ids, and whether no more follow.
    pub(crate) fn page(&self, after: Option<&PoolId>, limit: usize) -> (Vec<PoolId>, bool) {
        let mut following = self.pools.range((after.map_or(Unbounded, Excluded), Unbounded));
        let page = following.by_ref().take(limit).cloned().collect();
        (page, following.next().is_none())
    }

    pub(crate) fn len(&self) -> usize {
        self.pools.len()
    }
}

fn reschedule(dates: &mut Schedule, pool: &PoolId, number: u64, was: Option<Timestamp>, is: Option<Timestamp>) {
    if was != is {
        if let Some(was) = was {
            dates.remove(&(was, number));
        }
        if let Some(is) = is {
            dates.insert((is, number), pool.clone());
        }
    }
}

fn due(dates: &Schedule, now: Timestamp) -> Option<PoolId> {
    let ((at, _), pool) = dates.first_key_value()?;
    (*at <= now).then(|| pool.clone())
}
