use std::cmp::Reverse;
use std::collections::BinaryHeap;

use kp_core::Timestamp;

use crate::pools::table::slab::Key;

/// How many entries may be stale beyond as many as are not: the fewest that are worth a tidying.
const SPARE: usize = 16;

/// Finds the records whose lease or window lapses first, by [`State::lapses_at`](kp_core::rules::State::lapses_at).
///
/// Most leases end before they lapse. So an entry whose lease has ended stays in the heap, stale, until its date comes or half of
/// the heap is stale: to lease and to spend costs no search here. The record itself tells whether an entry is stale.
#[derive(Debug, Default)]
pub(crate) struct Lapses {
    dates: BinaryHeap<Reverse<(Timestamp, Key)>>,
    /// How many records have a date.
    live: usize,
}

impl Lapses {
    /// Adds the date of a record. `date` returns the date that a record has, or had before.
    pub(crate) fn add(&mut self, at: Timestamp, key: Key, date: impl Fn(Key) -> Option<Timestamp>) {
        if self.live == 0 {
            self.dates.clear();
            self.dates.shrink_to(SPARE);
        } else if self.dates.len() > 2 * self.live + SPARE {
            let mut dates = std::mem::take(&mut self.dates).into_vec();
            dates.retain(|Reverse((at, key))| date(*key) == Some(*at));
            // A record that was leased twice until the same moment.
            dates.sort_unstable();
            dates.dedup();
            dates.shrink_to(SPARE);
            self.dates = dates.into();
        }
        self.live += 1;
        self.dates.push(Reverse((at, key)));
    }

    /// Notes that a record has no date any more.
    pub(crate) fn end(&mut self) {
        self.live -= 1;
    }

    /// Returns a moment before which none lapses; `None` when no record has a date, whatever is stale.
    pub(crate) fn earliest(&self) -> Option<Timestamp> {
        let first = self.dates.peek().filter(|_| self.live > 0);
        first.map(|Reverse((at, _))| *at)
    }

    /// Takes the records whose date has come: the caller ends them. `date` returns the date that a record has.
    pub(crate) fn take_due(&mut self, now: Timestamp, date: impl Fn(Key) -> Option<Timestamp>) -> Vec<Key> {
        let mut due = Vec::new();
        while let Some(Reverse((at, key))) = self.dates.peek().copied()
            && at <= now
        {
            self.dates.pop();
            if date(key) == Some(at) && due.last() != Some(&key) {
                due.push(key);
            }
        }
        due
    }

    /// The dates that are not stale, in order; and whether few enough are.
    #[cfg(test)]
    pub(crate) fn all(&self, date: impl Fn(Key) -> Option<Timestamp>) -> (Vec<(Timestamp, Key)>, bool) {
        let mut all: Vec<_> = self.dates.iter().map(|Reverse(entry)| *entry).collect();
        let few = all.len() <= 2 * self.live + SPARE + 1;
        all.retain(|(at, key)| date(*key) == Some(*at));
        all.sort_unstable();
        all.dedup();
        (all, few)
    }
}
