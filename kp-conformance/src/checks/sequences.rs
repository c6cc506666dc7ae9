use std::fmt;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use kp_core::PoolId;
use kp_core::moving::MovePools;
use kp_core::rules::{Limits, Model};
use kp_core::server::Save;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::Context;
use crate::causes::with_causes;
use crate::check::checks;
use crate::histories::{Call, Draw, Reply, Scale};
use crate::level::{again, seeds};
use crate::pool::Pool;
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
/// After so many calls, a pool is moved where pools are, and all are read.
pub(super) const MOVED_AFTER: usize = 8;
/// After so many calls, reads included, all handles are dropped, and the space is opened again.
const REOPENED_AFTER: usize = 300;

/// What sequences are drawn from.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    scale: Scale<'a>,
    limits: Limits,
    /// Whether pools are moved.
    moves: bool,
}

/// One step of a sequence. Nearly all are calls.
#[allow(clippy::large_enum_variant)]
#[derive(Clone)]
enum Step {
    /// A call, and what the rules answer.
    Call(Call, Reply),
    /// A pool is exported, deleted, and imported through another handle, which changes nothing.
    Move(PoolId),
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(call, _) => call.fmt(f),
            Self::Move(pool) => write!(f, "Move({pool:?})"),
        }
    }
}

impl<'a> Source<'a> {
    /// A store of the default limits, whose pools stay where they are.
    fn of(scale: Scale<'a>) -> Self {
        let (limits, moves) = (Limits::default(), false);
        Self { scale, limits, moves }
    }

    /// The same, with moves of its pools.
    pub(super) fn moving(scale: Scale<'a>) -> Self {
        Self {
            moves: true,
            ..Self::of(scale)
        }
    }

    /// The steps of a seed, and now and then all that can be read.
    fn drawn(self, context: &Context, seed: u64) -> Vec<Step> {
        let mut draw = Draw::new(seed, self.scale)
            .limits(self.limits)
            .of(|method| context.offers(method));
        let call = |(call, reply)| Step::Call(call, reply);
        let mut steps = Vec::new();
        for n in 1..=CALLS {
            steps.push(call(draw.step()));
            let moves = self.moves && n.is_multiple_of(MOVED_AFTER);
            if moves {
                let pools = self.scale.pools;
                steps.push(Step::Move(pool_id(pools[n / MOVED_AFTER % pools.len()])));
            }
            if moves || n.is_multiple_of(READ_AFTER) {
                steps.extend(draw.reads().into_iter().map(call));
            }
        }
        steps
    }

    /// The steps with what the rules answer where they are the whole sequence.
    fn answered(self, steps: Vec<Step>) -> Vec<Step> {
        let mut model = Model::with_limits(self.limits);
        let step = |step| match step {
            Step::Call(call, _) => {
                let (call, reply) = call.answered(&mut model);
                Step::Call(call, reply)
            }
            moves @ Step::Move(_) => moves,
        };
        steps.into_iter().map(step).collect()
    }
}

fn pool_id(name: &str) -> PoolId {
    PoolId::try_from(name).expect("a short name is a pool id")
}

/// A sequence whose last step is not answered as the rules answer it.
struct Difference {
    steps: Vec<Step>,
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

/// The handles that a sequence goes through.
struct Handles {
    pools: Vec<Pool>,
    /// Those that a pool is moved from and to, where one is moved.
    movers: Vec<Arc<dyn MovePools>>,
}

impl Handles {
    async fn open(context: &Context, moves: bool) -> Self {
        let mut movers = Vec::new();
        for _ in 0..if moves { 2 } else { 0 } {
            movers.push(context.mover().await);
        }
        let pools = context.pools(2).await;
        Self { pools, movers }
    }

    /// Takes a step through this handle, and says how it is not answered as it should be.
    async fn wrong(&self, handle: usize, step: &Step) -> Option<String> {
        let (call, expected) = match step {
            Step::Call(call, expected) => (call, expected),
            Step::Move(pool) => return self.moved(pool).await.err(),
        };
        let seen = match call.ask(&*self.pools[handle].store).await {
            Ok(reply) if reply == *expected => return None,
            Ok(reply) => format!("{reply:?}"),
            Err(failure) => with_causes(&failure),
        };
        Some(format!("is answered {seen},\nand the rules want {expected:?}"))
    }

    /// Moves a pool, or says what fails.
    async fn moved(&self, pool: &PoolId) -> Result<(), String> {
        let [from, to] = &self.movers[..] else {
            return Err("has no handles".to_owned());
        };
        let export = from.export_pool(pool).await;
        let export = export.map_err(|failure| format!("fails to export it: {}", with_causes(&failure)))?;
        let deleted = from.delete_pool(pool).await;
        deleted.map_err(|failure| format!("fails to delete it: {}", with_causes(&failure)))?;
        let imported = to.import_pool(pool, &export).await;
        imported.map_err(|failure| format!("fails to import it again: {}", with_causes(&failure)))
    }
}

/// Takes the steps, from empty pools on, until one is not answered as expected.
async fn difference(context: &Context, seed: u64, steps: &[Step]) -> Option<Difference> {
    let moves = steps.iter().any(|step| matches!(step, Step::Move(_)));
    let mut handle = handles_of(seed);
    let mut handles = Handles::open(context, moves).await;
    for pool in NARROW.pools {
        handles.pools[0].beside(pool).delete().await;
    }
    for (place, step) in steps.iter().enumerate() {
        if context.facets().reopens && place % REOPENED_AFTER == REOPENED_AFTER - 1 {
            drop(handles);
            handles = Handles::open(context, moves).await;
        }
        if let Some(says) = handles.wrong(handle(), step).await {
            let steps = steps.iter().take(place + 1).cloned().collect();
            return Some(Difference { steps, says });
        }
    }
    None
}

/// How much of a sequence a step is: of a save, the packages are looked at one by one.
fn size(step: &Step) -> usize {
    match step {
        Step::Call(Call::Save(save, _), _) => save.packages().len().max(1),
        _ => 1,
    }
}

/// The steps without a piece, as [`size`] measures.
fn without(steps: &[Step], piece: Range<usize>) -> Vec<Step> {
    let mut end = 0;
    let rest = steps.iter().filter_map(|step| {
        let begin = end;
        end += size(step);
        if end <= piece.start || piece.end <= begin {
            return Some(step.clone());
        }
        let Step::Call(Call::Save(save, now), reply) = step else {
            return None;
        };
        let (before, after) = (piece.start.saturating_sub(begin), piece.end.min(end) - begin);
        let packages = save.packages().iter().take(before);
        let packages: Vec<_> = packages.chain(save.packages().iter().skip(after)).cloned().collect();
        if packages.is_empty() {
            return None;
        }
        let fewer = Save::new(save.pool.clone(), packages).expect("they are fewer");
        let fewer = fewer.mode(save.mode).cap_per_ciphersuite(save.cap_per_ciphersuite);
        Some(Step::Call(Call::Save(fewer, *now), reply.clone()))
    });
    rest.collect()
}

/// Compares the answers to a sequence of each seed with those of the rules. The shortest sequence found that differs is
/// told, with its seed.
pub(super) async fn compare(context: &Context, source: Source<'_>, seeds: impl Iterator<Item = u64>) {
    for seed in seeds {
        let Some(found) = difference(context, seed, &source.drawn(context, seed)).await else {
            continue;
        };
        let fewer = |found: &Difference, piece| Difference {
            steps: without(&found.steps, piece),
            says: String::new(),
        };
        let differs = |fewer: Difference| async move { difference(context, seed, &source.answered(fewer.steps)).await };
        let size = |found: &Difference| found.steps.iter().map(size).sum();
        let Difference { steps, says } = shrunk(found, size, fewer, differs).await;
        let last = match steps.last() {
            Some(Step::Call(call, _)) => format!("{:?}", call.method()),
            Some(moves) => format!("{moves:?}"),
            None => continue,
        };
        let mut told = String::new();
        for step in &steps {
            let _ = writeln!(told, "    {step:?}");
        }
        panic!(
            "the last of {} calls, {last}, {says}\n{}\nall of them:\n{told}",
            steps.len(),
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
        compare(context, Source::of(NARROW), seeds("sequences", 12, 400)).await;
    }

    /// The same where a pool remembers few records: what is remembered counts until it expires, and no longer.
    #[rules("SAVE-6", "SAVE-7", "SAVE-8")]
    #[relies_on(everything)]
    #[needs(limits)]
    async fn every_sequence_at_a_low_limit_is_answered_as_by_the_rules(context: &Context) {
        let limits = Limits::default().max_records(7);
        let source = Source { limits, ..Source::of(NARROW) };
        compare(&context.with_limits(limits), source, seeds("sequences at a low limit", 12, 400)).await;
    }

    /// The same in a pool of some two hundred packages, with batches of requests and claims by name.
    #[rules("RES-2", "RES-5", "SAVE-8", "SWEEP-1", "READ-2")]
    #[relies_on(everything)]
    async fn every_sequence_in_a_pool_of_hundreds_is_answered_as_by_the_rules(context: &Context) {
        compare(context, Source::of(MIDDLE), seeds("sequences in a pool of hundreds", 6, 200)).await;
    }

    /// The same in a pool of thousands, with a long queue, listings of many pages, and sweeps of many steps.
    #[rules("RES-2", "SAVE-8", "READ-2", "SWEEP-1")]
    #[relies_on(everything)]
    async fn every_sequence_in_a_large_pool_is_answered_as_by_the_rules(context: &Context) {
        compare(context, Source::of(WIDE), seeds("sequences in a large pool", 1, 20)).await;
    }
}
