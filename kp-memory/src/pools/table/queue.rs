use kp_core::{Ciphersuite, Lifetime, Timestamp};
use smallvec::SmallVec;

use crate::pools::table::slab::Key;

/// How many keys one summary covers, as a power of two; and how many summaries one summary of the next level covers.
const SPAN_BITS: usize = 6;
const SPAN: usize = 1 << SPAN_BITS;

/// Finds the oldest free package of one ciphersuite that fits (`RES-2`).
///
/// Every key of the pool has a bit: whether its package is free and of this ciphersuite. Keys are in the order of
/// sequences. A span is 64 keys, one word of bits. A summary of a span holds the earliest `not_before` and the latest
/// `not_after` of its free packages. A summary of the next level covers 64 summaries, and so on up to one span of
/// summaries.
///
/// A search goes down only where a summary may fit. So it takes O(log n), also behind any number of packages that have
/// expired or are not valid yet (`COST-1`), and in whatever order `now` comes (`TIME-3`).
///
/// A summary may be too wide, never too narrow. `put` widens the summaries; `take` leaves them as they are, and costs
/// nothing here. A search that finds nothing below a summary recomputes the summary.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) suite: Ciphersuite,
    /// The first free key, which mostly fits.
    first: Option<Key>,
    /// One bit for each key, one word for each span. The words of a small pool lie in place.
    free: SmallVec<[u64; 2]>,
    /// One row for each level, the lowest level first.
    summaries: Vec<Vec<Summary>>,
}

/// Holds the earliest `not_before` and the latest `not_after` of some packages.
#[derive(Debug, Clone, Copy)]
struct Summary {
    from: Timestamp,
    to: Timestamp,
}

impl Summary {
    /// Summarises no package.
    const NOTHING: Self = Self {
        from: Timestamp::MAX,
        to: Timestamp::MIN,
    };

    fn of(lifetime: Lifetime) -> Self {
        Self {
            from: lifetime.not_before(),
            to: lifetime.not_after(),
        }
    }

    fn with(self, other: Self) -> Self {
        Self {
            from: self.from.min(other.from),
            to: self.to.max(other.to),
        }
    }
}

/// Asks of a lifetime that it contains `now`, and that so much of it is left (`RES-3`).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    now: i64,
    until: i64,
}

impl Wanted {
    pub(crate) fn new(now: Timestamp, remaining: u32) -> Self {
        let now = now.get();
        Self {
            now,
            until: now + i64::from(remaining.max(1)),
        }
    }

    fn is_met_by(self, summary: Summary) -> bool {
        summary.from.get() <= self.now && self.until <= summary.to.get()
    }
}

impl Queue {
    pub(crate) fn new(suite: Ciphersuite) -> Self {
        Self {
            suite,
            first: None,
            free: SmallVec::new(),
            summaries: vec![Vec::new()],
        }
    }

    /// Adds a package, or puts it back in its place.
    pub(crate) fn put(&mut self, key: Key, lifetime: Lifetime) {
        let span = span(key);
        if span >= self.free.len() {
            self.free.resize(span + 1, 0);
        }
        self.free[span] |= bit(key);
        if self.first.is_none_or(|first| key < first) {
            self.first = Some(key);
        }
        self.widen(span, Summary::of(lifetime));
    }

    /// Removes a package.
    pub(crate) fn take(&mut self, key: Key) {
        if let Some(free) = self.free.get_mut(span(key)) {
            *free &= !bit(key);
        }
        if self.first == Some(key) {
            self.first = self.first_from(span(key));
        }
    }

    /// Returns the oldest package whose lifetime is as wanted, and of which `will_do` says the same. `will_do` is asked for
    /// packages of such a lifetime alone.
    pub(crate) fn oldest(
        &mut self,
        wanted: Wanted,
        lifetime: &impl Fn(Key) -> Option<Lifetime>,
        will_do: &impl Fn(Key) -> bool,
    ) -> Option<Key> {
        // Nearly always the first fits, and no more memory need be fetched.
        let first = self.first?;
        if lifetime(first).is_some_and(|lifetime| wanted.is_met_by(Summary::of(lifetime))) && will_do(first) {
            return Some(first);
        }
        self.search(self.summaries.len(), 0, wanted, lifetime, will_do)
    }

    /// Returns the first free key in this span or after it.
    fn first_from(&self, span: usize) -> Option<Key> {
        let mut spans = (span..).zip(self.free.get(span..)?);
        let (span, free) = spans.find(|(_, free)| **free != 0)?;
        Some(key(span, *free))
    }

    /// Searches a span of keys (level 0), or of the summaries of the level below.
    fn search(
        &mut self,
        level: usize,
        span: usize,
        wanted: Wanted,
        lifetime: &impl Fn(Key) -> Option<Lifetime>,
        will_do: &impl Fn(Key) -> bool,
    ) -> Option<Key> {
        let fits = |summary: Summary| wanted.is_met_by(summary);
        let Some(below) = level.checked_sub(1) else {
            return self
                .keys(span)
                .find(|key| lifetime(*key).map(Summary::of).is_some_and(fits) && will_do(*key));
        };
        let start = span << SPAN_BITS;
        for place in start..self.summaries[below].len().min(start + SPAN) {
            if fits(self.summaries[below][place]) {
                let found = self.search(below, place, wanted, lifetime, will_do);
                if found.is_some() {
                    return found;
                }
                self.summaries[below][place] = self.summarise(below, place, lifetime);
            }
        }
        None
    }

    /// Summarises a span of keys (level 0), or of the summaries of the level below.
    fn summarise(&self, level: usize, span: usize, lifetime: &impl Fn(Key) -> Option<Lifetime>) -> Summary {
        match level.checked_sub(1) {
            None => {
                let lifetimes = self.keys(span).filter_map(lifetime);
                lifetimes.map(Summary::of).fold(Summary::NOTHING, Summary::with)
            }
            Some(below) => {
                let summaries = self.summaries[below].iter().skip(span << SPAN_BITS).take(SPAN);
                summaries.copied().fold(Summary::NOTHING, Summary::with)
            }
        }
    }

    /// Returns the free keys of a span.
    fn keys(&self, span: usize) -> impl Iterator<Item = Key> {
        let mut free = self.free.get(span).copied().unwrap_or(0);
        std::iter::from_fn(move || {
            let next = (free != 0).then(|| key(span, free))?;
            free &= free - 1;
            Some(next)
        })
    }

    /// Widens the summaries above a span, and adds a level when the highest outgrows a span.
    fn widen(&mut self, mut span: usize, added: Summary) {
        for level in &mut self.summaries {
            if span >= level.len() {
                level.resize(span + 1, Summary::NOTHING);
            }
            level[span] = level[span].with(added);
            span >>= SPAN_BITS;
        }
        while let Some(top) = self.summaries.last()
            && top.len() > SPAN
        {
            let together = |summaries: &[Summary]| summaries.iter().copied().fold(Summary::NOTHING, Summary::with);
            let higher = top.chunks(SPAN).map(together).collect();
            self.summaries.push(higher);
        }
    }
}

/// Returns the span in which a key lies.
const fn span(key: Key) -> usize {
    key as usize >> SPAN_BITS
}

/// Returns the bit of a key in the word of its span.
const fn bit(key: Key) -> u64 {
    1 << (key as usize % SPAN)
}

/// Returns the key of the first bit set in the word of a span.
const fn key(span: usize, word: u64) -> Key {
    (span << SPAN_BITS) as Key | word.trailing_zeros()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    fn lifetime(not_before: i64, not_after: i64) -> Lifetime {
        Lifetime::new(at(not_before), at(not_after)).unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::new(seconds).unwrap()
    }

    #[test]
    fn the_oldest_as_wanted_is_found_whatever_was_asked_before() {
        for seed in 0..20 {
            let mut rng = StdRng::seed_from_u64(seed);
            let lifetimes: Vec<_> = (0..5_000)
                .map(|_| {
                    let not_before = rng.random_range(0..50);
                    lifetime(not_before, rng.random_range(not_before + 1..=100))
                })
                .collect();
            let mut there = vec![false; lifetimes.len()];
            let mut queue = Queue::new(Ciphersuite(1));
            // All keys are put once, so that all have a place.
            for (place, lifetime) in lifetimes.iter().enumerate() {
                queue.put(place as Key, *lifetime);
                queue.take(place as Key);
            }
            for step in 0..4_000 {
                // Whole stretches come and go, as batches do.
                let start = rng.random_range(0..there.len());
                let end = there.len().min(start + rng.random_range(0..100));
                let comes = rng.random_bool(0.5);
                for place in start..end {
                    match (there[place], comes) {
                        (false, true) => queue.put(place as Key, lifetimes[place]),
                        (true, false) => queue.take(place as Key),
                        _ => continue,
                    }
                    there[place] = comes;
                }
                let (now, remaining) = (at(rng.random_range(0..100)), rng.random_range(0..60));
                let fits = |place: &usize| {
                    let left = lifetimes[*place].not_after().get() - now.get();
                    there[*place] && lifetimes[*place].contains(now) && left >= i64::from(remaining)
                };
                let expected = (0..there.len()).find(fits).map(|place| place as Key);
                let of = |key: Key| lifetimes.get(key as usize).copied();
                let found = queue.oldest(Wanted::new(now, remaining), &of, &|_| true);
                assert_eq!(found, expected, "seed {seed}, step {step}");
            }
        }
    }

    #[test]
    fn a_suite_that_comes_late_is_found() {
        // So many of other suites came before it that several levels of summaries are added at once.
        for key in [0, 63, 64, 4_095, 4_096, 300_000, 20_000_000] {
            let mut queue = Queue::new(Ciphersuite(1));
            queue.put(key, lifetime(0, 10));
            queue.put(key + 1, lifetime(0, 100));
            let of = |asked| {
                Some(if asked == key {
                    lifetime(0, 10)
                } else {
                    lifetime(0, 100)
                })
            };
            assert_eq!(queue.oldest(Wanted::new(at(50), 0), &of, &|_| true), Some(key + 1));
        }
    }

    #[test]
    fn a_search_behind_many_that_do_not_fit_looks_at_few() {
        let unfit = [lifetime(0, 10), lifetime(500, 1_000), lifetime(0, 150)];
        for unfit in unfit {
            let lifetimes = |key: Key| if key < 100_000 { unfit } else { lifetime(0, 1_000) };
            let mut queue = Queue::new(Ciphersuite(1));
            for key in 0..100_100 {
                queue.put(key, lifetimes(key));
            }
            let looked_at = Cell::new(0);
            let look = |key| {
                looked_at.set(looked_at.get() + 1);
                Some(lifetimes(key))
            };
            for key in 100_000..100_100 {
                looked_at.set(0);
                let oldest = queue.oldest(Wanted::new(at(100), 100), &look, &|_| true);
                assert_eq!(oldest, Some(key));
                assert!(looked_at.get() <= 100, "{} lifetimes", looked_at.get());
                queue.take(key);
            }
        }
    }
}
