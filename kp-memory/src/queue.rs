use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use kp_core::{Lifetime, Timestamp};

use crate::slab::Key;

/// How many places stand behind one sign, as a power of two; and how many signs behind one of the next level.
const SPAN_BITS: u32 = 5;

/// The free packages of one ciphersuite in the order in which they are handed out (`RES-2`).
///
/// Above the places stand signs: for each span of sequences, how far the lifetimes there reach at most; and above the
/// signs, signs for spans of them. So the oldest that fits is found in O(log n), also behind any number of packages that
/// have expired or are not valid yet (`COST-1`), and nothing depends on the order in which `now` comes (`TIME-3`).
///
/// A sign may promise too much, never too little: it is put up when a package comes, and put right by the search that
/// it disappointed. So taking a package costs nothing here.
#[derive(Debug)]
pub(crate) struct Queue {
    places: BTreeMap<u64, Key>,
    /// By the upper bits of the sequence, [`SPAN_BITS`] fewer at each level.
    signs: Vec<BTreeMap<u64, Reach>>,
}

/// The earliest `not_before` and the latest `not_after` of some packages.
#[derive(Debug, Clone, Copy)]
struct Reach {
    from: Timestamp,
    to: Timestamp,
}

impl Reach {
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

/// What a search asks of a lifetime: that it contains `now`, and that so much of it is left (`RES-3`).
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

    fn is_met_by(self, reach: Reach) -> bool {
        reach.from.get() <= self.now && self.until <= reach.to.get()
    }
}

impl Queue {
    pub(crate) fn new() -> Self {
        Self {
            places: BTreeMap::new(),
            signs: vec![BTreeMap::new()],
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// A package comes, or comes back to its place.
    pub(crate) fn put(&mut self, sequence: u64, key: Key, lifetime: Lifetime) {
        self.places.insert(sequence, key);
        let reach = Reach::of(lifetime);
        let mut span = sequence;
        for signs in &mut self.signs {
            span >>= SPAN_BITS;
            raise(signs, span, reach);
        }
        if let Some(top) = self.signs.last()
            && top.len() > 1 << SPAN_BITS
        {
            let mut higher = BTreeMap::new();
            for (span, reach) in top {
                raise(&mut higher, span >> SPAN_BITS, *reach);
            }
            self.signs.push(higher);
        }
    }

    pub(crate) fn take(&mut self, sequence: u64) {
        self.places.remove(&sequence);
    }

    /// The oldest package whose lifetime is as wanted.
    pub(crate) fn oldest(&mut self, wanted: Wanted, lifetime: &impl Fn(Key) -> Option<Lifetime>) -> Option<(u64, Key)> {
        // Nearly always the first will do, and no more memory need be fetched.
        if let Some((sequence, key)) = self.places.first_key_value()
            && lifetime(*key).is_some_and(|lifetime| wanted.is_met_by(Reach::of(lifetime)))
        {
            return Some((*sequence, *key));
        }
        let top = self.signs.len();
        self.search(top, 0..=u64::MAX, wanted, lifetime)
    }

    /// Among the places (level 0), or the signs of a level, with these numbers.
    fn search(
        &mut self,
        level: usize,
        mut numbers: RangeInclusive<u64>,
        wanted: Wanted,
        lifetime: &impl Fn(Key) -> Option<Lifetime>,
    ) -> Option<(u64, Key)> {
        let meets = |reach: Reach| wanted.is_met_by(reach);
        let Some(below) = level.checked_sub(1) else {
            let mut places = self.places.range(numbers);
            let found = places.find(|(_, key)| lifetime(**key).map(Reach::of).is_some_and(meets));
            return found.map(|(sequence, key)| (*sequence, *key));
        };
        loop {
            let mut signs = self.signs[below].range(numbers.clone());
            let (&span, _) = signs.find(|(_, reach)| meets(**reach))?;
            let behind = (span << SPAN_BITS)..=(span << SPAN_BITS | ((1 << SPAN_BITS) - 1));
            let found = self.search(below, behind.clone(), wanted, lifetime);
            if found.is_some() {
                return found;
            }
            match self.reach(below, behind, lifetime) {
                Some(truth) => self.signs[below].insert(span, truth),
                None => self.signs[below].remove(&span),
            };
            if span == *numbers.end() {
                return None;
            }
            numbers = span + 1..=*numbers.end();
        }
    }

    /// How far the places, or the signs of a level, with these numbers reach together.
    fn reach(
        &self,
        level: usize,
        numbers: RangeInclusive<u64>,
        lifetime: &impl Fn(Key) -> Option<Lifetime>,
    ) -> Option<Reach> {
        match level.checked_sub(1) {
            None => {
                let places = self.places.range(numbers);
                places
                    .filter_map(|(_, key)| lifetime(*key).map(Reach::of))
                    .reduce(Reach::with)
            }
            Some(below) => {
                let signs = self.signs[below].range(numbers);
                signs.map(|(_, reach)| *reach).reduce(Reach::with)
            }
        }
    }
}

/// Makes a sign promise this much more.
fn raise(signs: &mut BTreeMap<u64, Reach>, span: u64, reach: Reach) {
    signs
        .entry(span)
        .and_modify(|sign| *sign = sign.with(reach))
        .or_insert(reach);
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
            let mut queue = Queue::new();
            for step in 0..4_000 {
                // Whole stretches come and go, as batches do.
                let start = rng.random_range(0..there.len());
                let end = there.len().min(start + rng.random_range(0..100));
                let comes = rng.random_bool(0.5);
                for place in start..end {
                    match (there[place], comes) {
                        (false, true) => queue.put(place as u64, place as Key, lifetimes[place]),
                        (true, false) => queue.take(place as u64),
                        _ => continue,
                    }
                    there[place] = comes;
                }
                let (now, remaining) = (at(rng.random_range(0..100)), rng.random_range(0..60));
                let fits = |place: &usize| {
                    let left = lifetimes[*place].not_after().get() - now.get();
                    there[*place] && lifetimes[*place].contains(now) && left >= i64::from(remaining)
                };
                let expected = (0..there.len()).find(fits).map(|place| (place as u64, place as Key));
                let of = |key: Key| lifetimes.get(key as usize).copied();
                let found = queue.oldest(Wanted::new(now, remaining), &of);
                assert_eq!(found, expected, "seed {seed}, step {step}");
            }
        }
    }

    #[test]
    fn a_search_behind_many_that_do_not_fit_looks_at_few() {
        let unfit = [lifetime(0, 10), lifetime(500, 1_000), lifetime(0, 150)];
        for unfit in unfit {
            let lifetimes = |key: Key| if key < 100_000 { unfit } else { lifetime(0, 1_000) };
            let mut queue = Queue::new();
            for key in 0..100_100 {
                queue.put(key.into(), key, lifetimes(key));
            }
            let looked_at = Cell::new(0);
            let look = |key| {
                looked_at.set(looked_at.get() + 1);
                Some(lifetimes(key))
            };
            for key in 100_000..100_100 {
                looked_at.set(0);
                let oldest = queue.oldest(Wanted::new(at(100), 100), &look);
                assert_eq!(oldest, Some((key.into(), key)));
                assert!(looked_at.get() <= 100, "{} lifetimes", looked_at.get());
                queue.take(key.into());
            }
        }
    }
}
