use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

use kp_core::{PoolId, Timestamp};

/// Says when a sweep first finds work in a pool. Every record has a `not_after`, so a pool whose `not_after` is `None`
/// holds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Dates {
    pub(crate) lapses_at: Option<Timestamp>,
    pub(crate) not_after: Option<Timestamp>,
}

/// Orders pools by a date, and then by a number that is given once.
type Place = (Timestamp, u64);

/// Remembers the places of one pool in the schedule. It is kept with the pool.
#[derive(Debug, Default)]
pub(crate) struct Scheduled {
    lapses_at: Option<Place>,
    not_after: Option<Place>,
}

impl Scheduled {
    /// Returns whether the pool has to be scheduled anew at `now`: a scheduled date lies after the true date, or is due
    /// and is not the true date.
    pub(crate) fn is_stale(&self, dates: Dates, now: Timestamp) -> bool {
        let is_stale = |scheduled: Option<Place>, date: Option<Timestamp>| match (scheduled, date) {
            (None, date) => date.is_some(),
            (Some((scheduled, _)), date) => {
                date.is_some_and(|date| date < scheduled) || (scheduled <= now && date != Some(scheduled))
            }
        };
        let came_or_went = self.not_after.is_some() != dates.not_after.is_some();
        came_or_went || is_stale(self.lapses_at, dates.lapses_at) || is_stale(self.not_after, dates.not_after)
    }
}

/// Lists the pools by id, and by the date at which each pool is due. Listings and sweeps read the schedule instead of all
/// pools (`COST-1`).
///
/// A scheduled date may lie before the true date, never after it. So most calls on a pool need not write here, and a
/// sweep may visit a pool in vain once.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    pools: BTreeSet<PoolId>,
    lapses_at: ByDate,
    not_after: ByDate,
}

/// Orders pools by one of their dates. Dates mostly come in order, so most entries are added at the end, beside the one before, which is in the
/// processor's cache.
#[derive(Debug, Default)]
struct ByDate {
    pools: BTreeMap<Place, PoolId>,
    numbers: u64,
}

impl Schedule {
    /// Schedules a pool at its true dates.
    pub(crate) fn put(&mut self, pool: &PoolId, scheduled: &mut Scheduled, dates: Dates) {
        match (scheduled.not_after, dates.not_after) {
            (None, Some(_)) => _ = self.pools.insert(pool.clone()),
            (Some(_), None) => _ = self.pools.remove(pool),
            _ => {}
        }
        self.lapses_at.put(pool, &mut scheduled.lapses_at, dates.lapses_at);
        self.not_after.put(pool, &mut scheduled.not_after, dates.not_after);
    }

    /// Returns a pool in which a lease or window may have lapsed by `now`.
    pub(crate) fn lapsed(&self, now: Timestamp) -> Option<PoolId> {
        self.lapses_at.due(now)
    }

    /// Returns a pool in which a package may be past its `not_after` at `now`.
    pub(crate) fn expired(&self, now: Timestamp) -> Option<PoolId> {
        self.not_after.due(now)
    }

    /// Returns at most `limit` pools after this pool, in the order of their ids, and whether no more follow.
    pub(crate) fn page(&self, after: Option<&PoolId>, limit: usize) -> (Vec<PoolId>, bool) {
        let mut following = self.pools.range((after.map_or(Unbounded, Excluded), Unbounded));
        let page = following.by_ref().take(limit).cloned().collect();
        (page, following.next().is_none())
    }

    pub(crate) fn len(&self) -> usize {
        self.pools.len()
    }
}

impl ByDate {
    fn put(&mut self, pool: &PoolId, scheduled: &mut Option<Place>, date: Option<Timestamp>) {
        if scheduled.map(|(at, _)| at) == date {
            return;
        }
        if let Some(place) = scheduled.take() {
            self.pools.remove(&place);
        }
        if let Some(at) = date {
            let place = (at, self.numbers);
            self.numbers += 1;
            self.pools.insert(place, pool.clone());
            *scheduled = Some(place);
        }
    }

    fn due(&self, now: Timestamp) -> Option<PoolId> {
        let ((at, _), pool) = self.pools.first_key_value()?;
        (*at <= now).then(|| pool.clone())
    }
}
