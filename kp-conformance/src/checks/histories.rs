use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::at_once::at_once;
use crate::check::checks;
use crate::histories::{Call, Draw, History, Scale};
use crate::level::{again, seeds};
use crate::packages::{at, key_package_ref};
use crate::pool::Pool;
use crate::shrink::shrunk;
use crate::{Context, Fault, Faults, FaultyStore, Method};

/// How many tasks make a history.
const TASKS: u64 = 3;
/// How many calls each of them makes.
const CALLS: u64 = 4;
/// How many calls are made before, one after the other, so that there is something to fight for.
const BEFORE: usize = 6;

/// Little of everything, so that everything collides.
const CROWDED: Scale<'_> = Scale {
    pools: &[],
    packages: 6,
    ids: 4,
    batch: 3,
    moments: 240,
    in_steps: false,
};

/// How often what is left of a history is tried: who comes first is up to the machine.
const TRIES: u64 = 3;

/// A history, drawn from a seed.
#[derive(Clone, Copy)]
struct Drawn<'a> {
    context: &'a Context,
    pools: &'a [Pool],
    seed: u64,
    faulty: bool,
}

/// What of a history no order of steps explains.
struct Unexplained {
    /// The numbers of its calls, in the order in which they were drawn.
    calls: Vec<usize>,
    history: String,
}

impl Drawn<'_> {
    /// Makes the calls of these numbers, and says whether an order of steps explains what they are answered. They have a pool
    /// of their own: a call of an earlier history whose outcome is unknown may still happen.
    async fn unexplained(self, calls: Vec<usize>, name: &str) -> Option<Unexplained> {
        let Self {
            context, seed, faulty, ..
        } = self;
        let pools = Pool::all_beside(self.pools, name);
        let scale = Scale {
            pools: &[name],
            ..CROWDED
        };
        let mut draw = Draw::new(seed, scale).of(|method| context.offers(method));
        // A sweep is not to meet what a call of an earlier history did late, after its pool was deleted.
        let mut next = || loop {
            let call = draw.call();
            if !(faulty && call.is_on_all_pools()) {
                return call;
            }
        };
        let history = History::default();
        for number in 0..BEFORE {
            let call = next();
            if calls.contains(&number) {
                history.ask(0, &call, &*pools[0].store).await;
            }
        }
        let mut numbers = BEFORE..;
        let of_tasks = (0..TASKS).map(|task| {
            let faults = Faults::seeded(seed * TASKS + task).map(|fault| if faulty { fault } else { Fault::None });
            let drawn = (0..CALLS).map(|_| next()).zip(faults).zip(numbers.by_ref());
            let kept = drawn.filter(|(_, number)| calls.contains(number));
            kept.map(|(drawn, _)| drawn).collect::<Vec<_>>()
        });
        let of_tasks = Arc::new(of_tasks.collect::<Vec<_>>());
        at_once(&pools, TASKS, |pool, task| {
            let (history, of_tasks) = (history.clone(), Arc::clone(&of_tasks));
            async move {
                for (call, fault) in &of_tasks[usize::try_from(task).expect("they are few")] {
                    let store = FaultyStore::new(Arc::clone(&pool.store), [*fault]);
                    // Asked again, once.
                    if !history.ask(1 + task, call, &store).await {
                        history.ask(1 + task, call, &*pool.store).await;
                    }
                    tokio::task::yield_now().await;
                }
            }
        })
        .await;
        // The end as it is read afterwards belongs to the history.
        let packages = if context.offers(Method::Get) {
            CROWDED.packages
        } else {
            0
        };
        for n in 0..packages {
            let get = Call::Get(pools[0].id.clone(), key_package_ref(n), at(0));
            history.ask(0, &get, &*pools[0].store).await;
        }
        let unexplained = (!history.is_linearizable()).then(|| history.to_string());
        pools[0].delete().await;
        unexplained.map(|history| Unexplained { calls, history })
    }

    /// Judges the history, and tells the shortest part of it that is found to be unexplained.
    async fn judge(self) {
        let Self { seed, .. } = self;
        let all = (0..BEFORE + TASKS as usize * CALLS as usize).collect();
        let Some(found) = self.unexplained(all, &format!("history-{seed}")).await else {
            return;
        };
        let without = |found: &Unexplained, piece: Range<usize>| {
            let (calls, history) = (found.calls.iter().enumerate(), String::new());
            let calls = calls.filter(|(place, _)| !piece.contains(place));
            let calls = calls.map(|(_, number)| *number).collect();
            Unexplained { calls, history }
        };
        let tries = AtomicU64::new(0);
        let fails = |fewer: Unexplained| {
            let first = tries.fetch_add(TRIES, Ordering::Relaxed);
            async move {
                for number in first..first + TRIES {
                    let name = format!("history-{seed}-{number}");
                    let found = self.unexplained(fewer.calls.clone(), &name).await;
                    if found.is_some() {
                        return found;
                    }
                }
                None
            }
        };
        let Unexplained { calls, history } = shrunk(found, |found| found.calls.len(), without, fails).await;
        panic!(
            "no order of steps explains what {} calls were answered\n{}; who comes first is up to the machine\n{history}",
            calls.len(),
            again(seed)
        );
    }
}

checks! {
    /// Whatever several handles do to a pool at once, there is an order of single steps, each between its call and its
    /// return, that explains every answer: many small histories, each drawn from a seed. A sweep is a series of steps, with
    /// those of others in between.
    #[rules("LIN-1", "RES-1", "SPEND-1", "REL-3", "SWEEP-3")]
    #[relies_on(everything)]
    async fn every_history_is_linearizable(context: &Context) {
        let pools = context.pools(3).await;
        for seed in seeds("histories", 60, 2_000) {
            Drawn { context, pools: &pools, seed, faulty: false }.judge().await;
        }
    }

    /// The same where some calls fail before they are made, the replies of others are lost, and the futures of others are
    /// dropped on the way: each took effect at some moment, or never, and the same call made again is answered
    /// accordingly. A failure that says that nothing was done is taken at its word.
    #[rules("ERR-2", "ERR-1", "LIN-1")]
    #[relies_on(everything)]
    async fn histories_with_unknown_outcomes_are_linearizable(context: &Context) {
        let pools = context.pools(3).await;
        for seed in seeds("histories with faults", 60, 2_000) {
            Drawn { context, pools: &pools, seed, faulty: true }.judge().await;
        }
    }
}
