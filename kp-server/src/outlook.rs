//! What this node knows of a pool, for its notices: when to look at the pool, and what was told (`DIR-7`).

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use kp_core::{Ciphersuite, Counts, PoolCounts, Slot, Timestamp};

use crate::notice::NoticeKind;

/// How many pools are remembered. A pool that is forgotten may be told again.
pub(crate) const MAX_POOLS: NonZeroUsize = NonZeroUsize::new(10_000).expect("10,000 are some");

/// The same is told again after so many seconds at the earliest.
const TOLD_FOR: u64 = 3_600;

/// After so many seconds a pool is looked at again, since other nodes take from it too.
const LOOKED_FOR: u64 = 60;

/// What a call of this node did to a pool.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Event {
    /// A one-time package was handed out.
    Taken,
    /// The last resort of this ciphersuite was handed out.
    LastResort(Ciphersuite),
    /// There was nothing to hand out.
    Exhausted,
    /// An upload, of which so many packages were saved.
    Uploaded(u32),
}

/// What is told, and of which ciphersuite.
type Told = (NoticeKind, Option<Ciphersuite>);

/// What this node knows of a pool.
#[derive(Debug, Default)]
pub(crate) struct Outlook {
    /// `None`: not yet.
    looked_at: Option<Timestamp>,
    is_queued: bool,
    /// How many more packages are taken before the pool is looked at again: half of those until the next mark, since other
    /// nodes take too. `None`: taking changes nothing more.
    takes_left: Option<u32>,
    /// How many more packages the pool's memory takes.
    room_left: u32,
    /// How the pool stood when it was last looked at, as far as that was told.
    stood: BTreeSet<Told>,
    /// What was told within the hour.
    told: BTreeMap<Told, Timestamp>,
}

fn lately(then: Timestamp, now: Timestamp, seconds: u64) -> bool {
    then.get().abs_diff(now.get()) < seconds
}

impl Outlook {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Whether the pool is to be looked at, after this.
    pub(crate) fn may_have_crossed(&mut self, event: Event, now: Timestamp) -> bool {
        if let Event::Uploaded(saved) = event {
            // What was low may be low anew.
            self.stood.retain(|(kind, _)| *kind == NoticeKind::MemoryFull);
            self.takes_left = Some(1);
            self.room_left = self.room_left.saturating_sub(saved);
        }
        let Some(looked_at) = self.looked_at.filter(|_| !self.is_queued) else {
            return !self.is_queued;
        };
        let crossed = match event {
            Event::Taken => {
                let left = self.takes_left.map(|left| left.saturating_sub(1));
                self.takes_left = left;
                left == Some(0)
            }
            Event::LastResort(suite) => !self.is_known((NoticeKind::LastResortUsed, Some(suite)), now),
            Event::Exhausted => self.takes_left.is_some(),
            Event::Uploaded(_) => self.room_left == 0 && !self.is_known((NoticeKind::MemoryFull, None), now),
        };
        crossed || !lately(looked_at, now, LOOKED_FOR)
    }

    fn is_known(&self, told: Told, now: Timestamp) -> bool {
        self.stood.contains(&told) || self.is_told(&told, now)
    }

    fn is_told(&self, told: &Told, now: Timestamp) -> bool {
        self.told.get(told).is_some_and(|at| lately(*at, now, TOLD_FOR))
    }

    /// The pool waits to be looked at.
    pub(crate) fn queued(&mut self) {
        self.is_queued = true;
    }

    /// The pool could not be looked at: after the next call, it may.
    pub(crate) fn look_again(&mut self) {
        self.is_queued = false;
        self.looked_at = None;
    }

    /// The pool was looked at. Returns what is to be told.
    pub(crate) fn looked(&mut self, counts: &PoolCounts, low_mark: u32, now: Timestamp) -> Vec<Told> {
        let suites = || counts.ciphersuites.iter();
        let mut stands: BTreeSet<Told> = suites()
            .flat_map(|(suite, counts)| kinds(counts, low_mark).map(|kind| (kind, Some(*suite))))
            .collect();
        if counts.room == 0 {
            stands.insert((NoticeKind::MemoryFull, None));
        }
        self.told.retain(|_, at| lately(*at, now, TOLD_FOR));
        let crossed: Vec<_> = stands.difference(&self.stood).copied().collect();
        // What was told within the hour is not told now, but may be at a later look.
        let (quiet, new): (Vec<_>, Vec<_>) = crossed.into_iter().partition(|told| self.told.contains_key(told));
        self.told.extend(new.iter().map(|told| (*told, now)));
        stands.retain(|told| !quiet.contains(told));

        let next = suites()
            .filter_map(|(_, counts)| takes_until_next(counts, low_mark))
            .min();
        self.takes_left = next.map(|takes| takes.div_ceil(2));
        self.room_left = counts.room;
        self.stood = stands;
        self.looked_at = Some(now);
        self.is_queued = false;
        new
    }
}

/// How one ciphersuite stands. Nothing is said of one that has no one-time packages, not even used ones.
fn kinds(counts: &Counts, low_mark: u32) -> impl Iterator<Item = NoticeKind> + use<> {
    let is_used = counts.last_resort == Slot::Used;
    let one_time = match counts.available {
        _ if counts.remembered_one_time() == 0 => None,
        0 => Some(NoticeKind::Exhausted),
        available if available < low_mark => Some(NoticeKind::Low),
        _ => None,
    };
    one_time
        .into_iter()
        .chain(is_used.then_some(NoticeKind::LastResortUsed))
}

/// How many packages are taken until the ciphersuite stands worse; `None`: it cannot.
fn takes_until_next(counts: &Counts, low_mark: u32) -> Option<u32> {
    match counts.available {
        0 => (counts.last_resort == Slot::Unused).then_some(1),
        available if available < low_mark => Some(available),
        available => Some((available - low_mark).saturating_add(1)),
    }
}
