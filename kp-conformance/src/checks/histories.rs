use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use kp_core::{Error, KeyPackageStore, Outcome};
use stateright::semantics::{ConsistencyTester, LinearizabilityTester};

use crate::Context;
use crate::at_once::at_once;
use crate::check::checks;
use crate::histories::{Call, Draw, Reply, Scale, Spec};
use crate::level::seeds;
use crate::packages::{at, key_package_ref};

/// How many tasks make a history.
const TASKS: u64 = 3;
/// How many calls each of them makes.
const CALLS: u64 = 4;
/// How many calls are made before, one after the other, so that there is something to fight for.
const BEFORE: usize = 6;

/// One pool, and little of everything: everything collides.
const CROWDED: Scale = Scale {
    pools: &["bob/phone"],
    packages: 6,
    ids: 4,
    batch: 3,
    moments: 240,
    in_steps: false,
};

/// A history under way. A call that began and never ended has an unknown outcome: at any later moment, or never.
#[derive(Debug, Clone)]
struct History {
    tester: Arc<Mutex<LinearizabilityTester<u64, Spec>>>,
    /// What happened, in order, to be read by people.
    told: Arc<Mutex<String>>,
}

impl History {
    fn new() -> Self {
        let tester = LinearizabilityTester::new(Spec::default());
        Self {
            tester: Arc::new(Mutex::new(tester)),
            told: Arc::default(),
        }
    }

    fn tell(&self, what: std::fmt::Arguments<'_>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = told.write_fmt(what);
    }

    /// Makes a call as one lane, recorded, and says whether it was answered.
    async fn ask(&self, lane: u64, call: &Call, store: &dyn KeyPackageStore, fault: Fault) -> bool {
        let lock = || self.tester.lock().unwrap_or_else(PoisonError::into_inner);
        self.tell(format_args!("{lane:4} begins {call:?}\n"));
        lock()
            .on_invoke(lane, call.clone())
            .expect("a lane makes one call at a time");
        let future = std::pin::pin!(call.ask(store));
        let reply = match fault {
            Fault::None => Some(future.await),
            Fault::LostReply => {
                _ = future.await;
                None
            }
            Fault::Dropped { polls } => polled(future, polls).await,
        };
        let reply = match reply {
            Some(Ok(reply)) => reply,
            Some(Err(Error::Backend(failure))) if failure.outcome() == Outcome::NotApplied => Reply::NotApplied,
            Some(Err(_)) | None => {
                self.tell(format_args!("{lane:4} is never answered\n"));
                return false;
            }
        };
        self.tell(format_args!("{lane:4} ends with {reply:?}\n"));
        lock().on_return(lane, reply).expect("its call is under way");
        true
    }
}

/// What befalls a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// It was applied, and nobody hears of it.
    LostReply,
    /// Its future is dropped after so many polls.
    Dropped {
        polls: usize,
    },
}

impl Fault {
    /// That of the n-th call of a history with faults.
    fn of(seed: u64, number: u64) -> Self {
        match (seed + number) % 6 {
            0 => Self::Dropped {
                polls: usize::try_from(seed / 6 % 5).unwrap_or_default(),
            },
            3 if seed.is_multiple_of(2) => Self::LostReply,
            _ => Self::None,
        }
    }
}

/// Polls so many times, letting others run in between; `None` when that did not do.
async fn polled<T>(mut future: std::pin::Pin<&mut impl Future<Output = T>>, polls: usize) -> Option<T> {
    for _ in 0..polls {
        if let Some(value) = future.as_mut().now_or_never() {
            return Some(value);
        }
        tokio::task::yield_now().await;
    }
    None
}

/// Runs a history drawn from the seed on the pool, and judges it.
async fn run(context: &Context, seed: u64, faulty: bool) {
    let pools = context.pools(3).await;
    pools[0].delete().await;
    let mut draw = Draw::new(seed, CROWDED);
    let history = History::new();
    for _ in 0..BEFORE {
        history.ask(0, &draw.call(), &*pools[0].store, Fault::None).await;
    }
    let calls: Vec<_> = (0..TASKS * CALLS).map(|_| draw.call()).collect();
    let calls = Arc::new(calls);
    at_once(&pools, TASKS, |pool, task| {
        let (history, calls) = (history.clone(), Arc::clone(&calls));
        async move {
            for n in 0..CALLS {
                let number = task + n * TASKS;
                let call = &calls[usize::try_from(number).expect("they are few")];
                let fault = if faulty { Fault::of(seed, number) } else { Fault::None };
                // Each call is a lane of its own: one that is never answered may still happen while its task goes on,
                // which asks again, once.
                if !history.ask(1 + number, call, &*pool.store, fault).await {
                    history.ask(101 + number, call, &*pool.store, Fault::None).await;
                }
                tokio::task::yield_now().await;
            }
        }
    })
    .await;
    // The end as it is read afterwards belongs to the history.
    for n in 0..CROWDED.packages {
        let get = Call::Get(pools[0].id.clone(), key_package_ref(n), at(0));
        history.ask(0, &get, &*pools[0].store, Fault::None).await;
    }
    let linear = history
        .tester
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .is_consistent();
    let told = history.told.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(linear, "no order of steps explains the history of seed {seed}:\n{told}");
}

checks! {
    /// Whatever several handles do to a pool at once, there is an order of single steps, each between its call and its
    /// return, that explains every answer: many small histories, each drawn from a seed.
    #[rules("LIN-1", "RES-1", "SPEND-1", "REL-3")]
    async fn every_history_is_linearizable(context: &Context) {
        for seed in seeds(60, 2_000) {
            run(context, seed, false).await;
        }
    }

    /// The same where the futures of some calls are dropped on the way, and the replies of others are lost: each took
    /// effect at some moment, or never, and the same call made again is answered accordingly.
    #[rules("ERR-2", "ERR-1", "LIN-1")]
    async fn histories_with_unknown_outcomes_are_linearizable(context: &Context) {
        for seed in seeds(60, 2_000) {
            run(context, seed, true).await;
        }
    }
}
