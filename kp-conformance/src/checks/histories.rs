use std::sync::Arc;

use crate::at_once::at_once;
use crate::check::checks;
use crate::histories::{Call, Draw, History, Scale};
use crate::level::seeds;
use crate::packages::{at, key_package_ref};
use crate::pool::Pool;
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

/// Runs a history drawn from the seed, and judges it. It has a pool of its own: a call of an earlier one whose outcome is
/// unknown may still happen.
async fn run(context: &Context, pools: &[Pool], seed: u64, faulty: bool) {
    let name = format!("history-{seed}");
    let pools = Pool::all_beside(pools, &name);
    let scale = Scale {
        pools: &[&name],
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
    for _ in 0..BEFORE {
        history.ask(0, &next(), &*pools[0].store).await;
    }
    let calls: Vec<Vec<_>> = (0..TASKS).map(|_| (0..CALLS).map(|_| next()).collect()).collect();
    let calls = Arc::new(calls);
    at_once(&pools, TASKS, |pool, task| {
        let (history, calls) = (history.clone(), Arc::clone(&calls));
        async move {
            let mut faults = Faults::seeded(seed * TASKS + task).map(|fault| if faulty { fault } else { Fault::None });
            for call in &calls[usize::try_from(task).expect("they are few")] {
                let store = FaultyStore::new(Arc::clone(&pool.store), faults.next());
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
    assert!(
        history.is_linearizable(),
        "no order of steps explains the history of seed {seed}:\n{history}"
    );
    pools[0].delete().await;
}

checks! {
    /// Whatever several handles do to a pool at once, there is an order of single steps, each between its call and its
    /// return, that explains every answer: many small histories, each drawn from a seed. A sweep is a series of steps, with
    /// those of others in between.
    #[rules("LIN-1", "RES-1", "SPEND-1", "REL-3", "SWEEP-3")]
    async fn every_history_is_linearizable(context: &Context) {
        let pools = context.pools(3).await;
        for seed in seeds("histories", 60, 2_000) {
            run(context, &pools, seed, false).await;
        }
    }

    /// The same where some calls fail before they are made, the replies of others are lost, and the futures of others are
    /// dropped on the way: each took effect at some moment, or never, and the same call made again is answered
    /// accordingly. A failure that says that nothing was done is taken at its word.
    #[rules("ERR-2", "ERR-1", "LIN-1")]
    async fn histories_with_unknown_outcomes_are_linearizable(context: &Context) {
        let pools = context.pools(3).await;
        for seed in seeds("histories with faults", 60, 2_000) {
            run(context, &pools, seed, true).await;
        }
    }
}
