use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

use kp_core::{PoolId, Timestamp};

/// When a sweep first finds work in a pool. Every record has a `not_after`, so a pool without one holds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Dates {
    pub(crate) lapses_at: Option<Timestamp>,
    pub(crate) not_after: Option<Timestamp>,
}

/// A date, and a number that is given once: of one date, the one noted last stands last.
type Place = (Timestamp, u64);

/// What the agenda has of a pool.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    lapses_at: Option<Place>,
    not_after: Option<Place>,
}

impl Noted {
    /// Whether this has to be put right at `now`: where a date lies after the truth, or is due.
    pub(crate) fn misleads(&self, truth: Dates, now: Timestamp) -> bool {
        let misleads = |noted: Option<Place>, truth: Option<Timestamp>| match (noted, truth) {
            (None, truth) => truth.is_some(),
            (Some((noted, _)), truth) => {
                truth.is_some_and(|truth| truth < noted) || (noted <= now && truth != Some(noted))
            }
        };
        let came_or_went = self.not_after.is_some() != truth.not_after.is_some();
        came_or_went || misleads(self.lapses_at, truth.lapses_at) || misleads(self.not_after, truth.not_after)
    }
}

/// Which pools there are, and when each has to be looked at: what listings and sweeps walk, instead of all pools
/// (`COST-1`).
///
/// A date may lie before the truth, never after it: so most calls on a pool need not write here, and a sweep may look
/// at a pool in vain once.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    pools: BTreeSet<PoolId>,
    lapses_at: Schedule,
    not_after: Schedule,
}

/// Pools by date. Dates mostly come in order, so most go to the end, beside the one before: that is in the cache.
#[derive(Debug, Default)]
struct Schedule {
    pools: BTreeMap<Place, PoolId>,
    numbers: u64,
}

impl Agenda {
    /// Brings what is noted of a pool to the truth.
    pub(crate) fn note(&mut self, pool: &PoolId, noted: &mut Noted, truth: Dates) {
        match (noted.not_after, truth.not_after) {
            (None, Some(_)) => _ = self.pools.insert(pool.clone()),
            (Some(_), None) => _ = self.pools.remove(pool),
            _ => {}
        }
        self.lapses_at.note(pool, &mut noted.lapses_at, truth.lapses_at);
        self.not_after.note(pool, &mut noted.not_after, truth.not_after);
    }

    /// A pool in which a lease or window may have ended by `now`.
    pub(crate) fn ended(&self, now: Timestamp) -> Option<PoolId> {
        self.lapses_at.due(now)
    }

    /// A pool in which a package may be past its `not_after` at `now`.
    pub(crate) fn over(&self, now: Timestamp) -> Option<PoolId> {
        self.not_after.due(now)
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

impl Schedule {
    fn note(&mut self, pool: &PoolId, noted: &mut Option<Place>, truth: Option<Timestamp>) {
        if noted.map(|(at, _)| at) == truth {
            return;
        }
        if let Some(was) = noted.take() {
            self.pools.remove(&was);
        }
        if let Some(at) = truth {
            let place = (at, self.numbers);
            self.numbers += 1;
            self.pools.insert(place, pool.clone());
            *noted = Some(place);
        }
    }

    fn due(&self, now: Timestamp) -> Option<PoolId> {
        let ((at, _), pool) = self.pools.first_key_value()?;
        (*at <= now).then(|| pool.clone())
    }
}
