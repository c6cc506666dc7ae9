use std::fmt::Write as _;
use std::ops::Range;

use kp_core::rules::{Limits, Model};
use kp_core::server::Save;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::Context;
use crate::causes::with_causes;
use crate::check::checks;
use crate::histories::{Call, Draw, Reply, Scale};
use crate::level::{again, seeds};
use crate::shrink::shrunk;

/// Few packages, ids and moments: everything collides.
pub(super) const NARROW: Scale = Scale {
    pools: &["bob/phone", "bob/laptop", "carol"],
    packages: 14,
    ids: 6,
    batch: 5,
    moments: 24,
    in_steps: true,
};

/// A pool of some hundred: stretches of a queue, batches, and indexes that grow and shrink.
const MIDDLE: Scale = Scale {
    pools: &["bob/phone"],
    packages: 200,
    ids: 60,
    batch: 60,
    moments: 60,
    in_steps: true,
};

/// A pool of thousands: long queues, listings of many pages, sweeps of many steps.
const WIDE: Scale = Scale {
    pools: &["bob/phone"],
    packages: 20_000,
    ids: 400,
    batch: 1_000,
    moments: 2_000,
    in_steps: true,
};

/// How many calls a sequence has, reads apart.
pub(super) const CALLS: usize = 120;
/// After so many calls, all pools are read.
const READ_AFTER: usize = 12;
/// After so many calls, reads included, all handles are dropped, and the space is opened again.
const REOPENED_AFTER: usize = 300;

/// The calls of a seed with what the rules answer, and now and then all that can be read.
fn drawn(context: &Context, seed: u64, scale: Scale, limits: Limits) -> Vec<(Call, Reply)> {
    let mut draw = Draw::new(seed, scale)
        .limits(limits)
        .of(|method| context.offers(method));
    let mut calls = Vec::new();
    for n in 1..=CALLS {
        calls.push(draw.step());
        if n.is_multiple_of(READ_AFTER) {
            calls.extend(draw.reads());
        }
    }
    calls
}

/// The calls with what the rules answer.
fn answered(calls: Vec<Call>, limits: Limits) -> Vec<(Call, Reply)> {
    let mut model = Model::with_limits(limits);
    calls.into_iter().map(|call| call.answered(&mut model)).collect()
}

/// A sequence whose last call is not answered as the rules answer it.
struct Difference {
    calls: Vec<Call>,
    says: String,
}

/// Through which of two handles the calls of a seed go: through one alone, through both in turn, or through one until a
/// change that is drawn, so that what a handle remembers is now fresh, now old.
fn handles_of(seed: u64) -> impl FnMut() -> usize {
    let mut random = StdRng::seed_from_u64(seed);
    let (change, mut handle) = ([0.0, 1.0, 0.1, 0.02][random.random_range(0..4)], 0);
    move || {
        handle ^= usize::from(random.random_bool(change));
        handle
    }
}

/// Makes the calls of empty pools until one is not answered as expected.
async fn difference(context: &Context, seed: u64, calls: &[(Call, Reply)]) -> Option<Difference> {
    let mut handle = handles_of(seed);
    let mut handles = context.pools(2).await;
    for pool in NARROW.pools {
        handles[0].beside(pool).delete().await;
    }
    for (place, (call, expected)) in calls.iter().enumerate() {
        if context.facets().reopens && place % REOPENED_AFTER == REOPENED_AFTER - 1 {
            handles.clear();
            handles = context.pools(2).await;
        }
        match call.ask(&*handles[handle()].store).await {
            Ok(reply) if reply == *expected => (),
            other => {
                let until = calls.iter().take(place + 1);
                let seen = other.map_or_else(|failure| with_causes(&failure), |reply| format!("{reply:?}"));
                return Some(Difference {
                    calls: until.map(|(call, _)| call.clone()).collect(),
                    says: format!("is answered {seen},\nand the rules want {expected:?}"),
                });
            }
        }
    }
    None
}

/// How much of a sequence a call is: of a save, the packages are looked at one by one.
fn size(call: &Call) -> usize {
    match call {
        Call::Save(save, _) => save.packages().len().max(1),
        _ => 1,
    }
}

/// The calls without a piece, as [`size`] measures.
fn without(calls: &[Call], piece: Range<usize>) -> Vec<Call> {
    let mut end = 0;
    let rest = calls.iter().filter_map(|call| {
        let begin = end;
        end += size(call);
        if end <= piece.start || piece.end <= begin {
            return Some(call.clone());
        }
        let Call::Save(save, now) = call else { return None };
        let (before, after) = (piece.start.saturating_sub(begin), piece.end.min(end) - begin);
        let packages = save.packages().iter().take(before);
        let packages: Vec<_> = packages.chain(save.packages().iter().skip(after)).cloned().collect();
        if packages.is_empty() {
            return None;
        }
        let fewer = Save::new(save.pool.clone(), packages).expect("they are fewer");
        Some(Call::Save(
            fewer.mode(save.mode).cap_per_ciphersuite(save.cap_per_ciphersuite),
            *now,
        ))
    });
    rest.collect()
}

/// Compares the answers to a sequence of each seed with those of the rules. The shortest sequence found that differs is
/// told, with its seed.
async fn compare(context: &Context, scale: Scale<'_>, limits: Limits, seeds: impl Iterator<Item = u64>) {
    for seed in seeds {
        let Some(found) = difference(context, seed, &drawn(context, seed, scale, limits)).await else {
            continue;
        };
        let fewer = |found: &Difference, piece| Difference {
            calls: without(&found.calls, piece),
            says: String::new(),
        };
        let differs = |fewer: Difference| async move {
            let calls = answered(fewer.calls, limits);
            difference(context, seed, &calls).await
        };
        let size = |found: &Difference| found.calls.iter().map(size).sum();
        let Difference { calls, says } = shrunk(found, size, fewer, differs).await;
        let Some(last) = calls.last() else { continue };
        let mut told = String::new();
        for call in &calls {
            let _ = writeln!(told, "    {call:?}");
        }
        panic!(
            "the last of {} calls, {:?}, {says}\n{}\nall of them:\n{told}",
            calls.len(),
            last.method(),
            again(seed)
        );
    }
}

checks! {
    /// Random sequences of calls, with time that stands still, jumps, and steps back, are answered as the rules answer
    /// them, call by call. The shortest sequence found that is not is printed, with its seed.
    #[rules("TIME-3", "TIME-2", "SAVE-7", "RES-10", "DEL-2", "SWEEP-1", "SWEEP-2")]
    #[relies_on(everything)]
    async fn every_sequence_is_answered_as_by_the_rules(context: &Context) {
        compare(context, NARROW, Limits::default(), seeds("sequences", 12, 400)).await;
    }

    /// The same where a pool remembers few records: what is remembered counts until it expires, and no longer.
    #[rules("SAVE-6", "SAVE-7", "SAVE-8")]
    #[relies_on(everything)]
    #[needs(limits)]
    async fn every_sequence_at_a_low_limit_is_answered_as_by_the_rules(context: &Context) {
        let limits = Limits::default().max_records(7);
        compare(&context.with_limits(limits), NARROW, limits, seeds("sequences at a low limit", 12, 400)).await;
    }

    /// The same in a pool of some two hundred packages, with batches of requests and claims by name.
    #[rules("RES-2", "RES-5", "SAVE-8", "SWEEP-1", "READ-2")]
    #[relies_on(everything)]
    async fn every_sequence_in_a_pool_of_hundreds_is_answered_as_by_the_rules(context: &Context) {
        compare(context, MIDDLE, Limits::default(), seeds("sequences in a pool of hundreds", 6, 200)).await;
    }

    /// The same in a pool of thousands, with a long queue, listings of many pages, and sweeps of many steps.
    #[rules("RES-2", "SAVE-8", "READ-2", "SWEEP-1")]
    #[relies_on(everything)]
    async fn every_sequence_in_a_large_pool_is_answered_as_by_the_rules(context: &Context) {
        compare(context, WIDE, Limits::default(), seeds("sequences in a large pool", 1, 20)).await;
    }
}
