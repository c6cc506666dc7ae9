use std::sync::Arc;
use std::time::Duration;

use futures::future::{join, join_all};
use kp_core::rules::Model;
use kp_core::{Error, PoolId};

use super::scene::Scene;
use crate::causes::with_causes;
use crate::check::checks;
use crate::histories::{Call, Reply};
use crate::must_be::must_be;
use crate::packages::{DAY, at, one_times};
use crate::pool::Pool;
use crate::{Context, Fault, FaultyStore, Outage};

/// How many of each call are under way when an outage comes.
const MEANWHILE: usize = 4;
/// How often a call may fail after an outage, and how long is waited each time: 30 s in all.
const ATTEMPTS: usize = 1_500;
const PAUSE: Duration = Duration::from_millis(20);

/// A call on a pool of its own, with what was there before.
struct Asked {
    scene: Scene,
    call: Call,
    before: Model,
}

/// This many of each call that is on one pool. The scenes have the numbers from `first` on.
async fn scenes(pool: &Pool, first: i64, copies: usize) -> Vec<Asked> {
    let calls = Scene::new(pool, 0).calls();
    let alone = (0..calls.len()).filter(|number| !calls[*number].is_on_all_pools());
    let numbers: Vec<usize> = alone.collect();
    let numbered = (first..).zip(numbers.iter().cycle()).take(copies * numbers.len());
    join_all(numbered.map(|(number, call)| async move {
        let scene = Scene::new(pool, number);
        let call = scene.calls().swap_remove(*call);
        let before = scene.begin().await;
        Asked { scene, call, before }
    }))
    .await
}

/// Calls on all pools, with a time at which nothing is to be done.
fn on_all_pools() -> [Call; 4] {
    let (now, limit) = (at(-2 * DAY), 1_000);
    [
        Call::CleanUp { limit, now },
        Call::Settle { limit, now },
        Call::Retire {
            saved_before: now,
            limit,
            now,
        },
        Call::Pools { limit },
    ]
}

/// Every handle works again: within a while, since it may have to connect, and may pause before it does.
async fn work_again(pools: &[Pool], outage: Outage) {
    for (number, pool) in pools.iter().enumerate() {
        let pool = pool.beside("after");
        let save = pool.request(one_times([1]));
        let mut attempts = 0;
        while let Err(error) = pool.store.save_key_packages(&save, at(0)).await {
            attempts += 1;
            assert!(
                attempts < ATTEMPTS,
                "{attempts} calls after the outage ({outage:?}) handle {number} still fails: {}",
                with_causes(&error)
            );
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Asks each call once, with the outage in force; then ends it, and holds each call to what it was answered.
async fn befall(context: &Context, outage: Outage) {
    let pools = context.pools(2).await;
    let mut number = 0;
    for at_await in [None, Some(1), Some(3)] {
        let asked = scenes(&pools[0], number, 1).await;
        number += asked.len() as i64;
        let fault = at_await.map_or(Fault::None, |at_await| Fault::Dropped { at_await });
        let faulty = || FaultyStore::new(Arc::clone(&pools[1].store), [fault]);
        let stores: Vec<_> = asked.iter().map(|_| faulty()).collect();

        context.disturb(outage).await;
        let answers = join_all(
            asked
                .iter()
                .zip(&stores)
                .map(|(asked, store)| asked.call.ask_once(store)),
        )
        .await;
        let on_all_pools = on_all_pools();
        let swept = join_all(on_all_pools.iter().map(|call| call.ask_once(&*pools[1].store))).await;
        context.mend(outage).await;
        work_again(&pools, outage).await;

        let there: Vec<_> = asked.iter().map(|asked| &asked.scene.carol.id).collect();
        for (call, answer) in on_all_pools.iter().zip(swept) {
            touches_nothing(call, answer, &there);
        }
        let failed = judge(&asked, answers, &pools[1]).await;
        let must_fail = fault == Fault::None && outage != Outage::Cut;
        assert!(
            failed > 0 || !must_fail,
            "no call has failed in the outage ({outage:?}): the factory has to begin one, or the store answers without its \
             engine"
        );
    }
}

/// Holds each call to its answer, or to what its failure says. Returns how many failed.
async fn judge(asked: &[Asked], answers: Vec<kp_core::Result<Reply>>, cut: &Pool) -> usize {
    let judged = asked.iter().zip(answers).map(|(asked, answer)| {
        let Asked { scene, call, before } = asked;
        scene.judge(call, answer, before, cut)
    });
    join_all(judged).await.into_iter().filter(|answered| !answered).count()
}

/// A call on all pools has found nothing to do, or failed.
fn touches_nothing(call: &Call, answer: kp_core::Result<Reply>, there: &[&PoolId]) {
    match answer {
        Err(Error::Backend(_)) | Ok(Reply::Swept(0)) => {}
        Ok(Reply::Pools(listed)) => {
            let missing = there.iter().filter(|pool| !listed.contains(pool)).count();
            must_be!(
                missing,
                0,
                "of {} pools, so many are not listed, and nothing failed",
                there.len()
            );
        }
        other => panic!("{call:?} answers {other:?} in an outage, where there is nothing to do"),
    }
}

/// Lets the outage come while calls are under way; then ends it, and holds each call to what it was answered.
async fn interrupt(context: &Context, outage: Outage) {
    let pools = context.pools(2).await;
    let mut number = 100_000;
    for round in 0..2 {
        let asked = scenes(&pools[0], number, MEANWHILE).await;
        number += asked.len() as i64;
        let calls = join_all(asked.iter().map(|asked| asked.call.ask_once(&*pools[1].store)));
        let begins = async {
            for _ in 0..round * 20 {
                tokio::task::yield_now().await;
            }
            context.disturb(outage).await;
        };
        let (answers, ()) = join(calls, begins).await;
        context.mend(outage).await;
        work_again(&pools, outage).await;
        judge(&asked, answers, &pools[1]).await;
    }
}

/// The outage, in force and on its way, for each call.
async fn endure(context: &Context, outage: Outage) {
    befall(context, outage).await;
    interrupt(context, outage).await;
}

checks! {
    /// When all connections are cut, each call is answered as the rules want, or fails and did what its failure says; none is
    /// answered as if there were nothing. Afterwards all handles work again, and made again, each call is answered as if
    /// it had been made once.
    #[rules("ERR-1", "ERR-2", "ERR-5", "RES-6")]
    #[relies_on(everything)]
    #[needs(outages(Cut))]
    async fn cut_connections_are_a_failure_and_no_answer(context: &Context) {
        endure(context, Outage::Cut).await;
    }

    /// The same when the engine is killed, and started again.
    #[rules("ERR-1", "ERR-2", "ERR-5", "RES-6")]
    #[relies_on(everything)]
    #[needs(outages(Killed))]
    async fn a_killed_engine_is_a_failure_and_no_answer(context: &Context) {
        endure(context, Outage::Killed).await;
    }

    /// The same when the engine does not answer those who write.
    #[rules("ERR-1", "ERR-2", "ERR-5", "RES-6")]
    #[relies_on(everything)]
    #[needs(outages(Hung))]
    async fn a_hung_engine_is_a_failure_and_no_answer(context: &Context) {
        endure(context, Outage::Hung).await;
    }

    /// The same when the engine takes reads alone.
    #[rules("ERR-1", "ERR-2", "ERR-5", "RES-6")]
    #[relies_on(everything)]
    #[needs(outages(ReadOnly))]
    async fn an_engine_that_takes_reads_alone_is_a_failure_and_no_answer(context: &Context) {
        endure(context, Outage::ReadOnly).await;
    }

    /// The same when there is no room.
    #[rules("ERR-1", "ERR-2", "ERR-5", "RES-6")]
    #[relies_on(everything)]
    #[needs(outages(Full))]
    async fn a_full_engine_is_a_failure_and_no_answer(context: &Context) {
        endure(context, Outage::Full).await;
    }

    /// The same when commits fail: every call of a shared commit fails with it.
    #[rules("ERR-1", "ERR-2", "ERR-5", "RES-6")]
    #[relies_on(everything)]
    #[needs(outages(CommitFails))]
    async fn a_commit_that_fails_is_a_failure_and_no_answer(context: &Context) {
        endure(context, Outage::CommitFails).await;
    }
}
