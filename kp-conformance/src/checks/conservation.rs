use kp_core::Slot;
use std::sync::Arc;

use kp_core::KeyPackageRef;
use kp_core::Rejection::{AlreadySpent, NoLiveReservation};
use kp_core::server::{KeyPackageStoreExt, OnLapse};

use crate::at_once::at_once;
use crate::check::checks;
use crate::level::by_level;
use crate::must_be::{must_be, must_be_distinct};
use crate::packages::{SUITE, at, last_resort, no_usage, one_times};
use crate::pool::{Pool, until_answered};
use crate::{Context, Faults, FaultyStore};

/// How many tasks run against each other.
const TASKS: u64 = 8;
/// Through how many handles, where the backend has several.
const HANDLES: usize = 4;
/// How many turns each task has: a third each that reserve and spend, reserve and claim, and reserve, release and claim.
const TURNS: u64 = 126;
/// How many calls the turns of a round make.
const CALLS: u64 = TASKS * TURNS * 7 / 3;

/// So many rounds of turns that there are this many calls.
fn rounds(default: u64, heavy: u64) -> u64 {
    by_level(default, heavy).div_ceil(CALLS)
}

/// Reserves a package, and uses it, or another in its place; says which.
async fn turn(pool: &Pool, turn: u64) -> KeyPackageRef {
    let (store, take) = (&pool.store, pool.take(turn));
    let reserve = || store.reserve_key_package(&take, OnLapse::Return, at(0));
    let claim = || store.claim_key_package(&take, None, at(1));
    if pool.only_claims {
        let claimed = until_answered(claim).await.expect("there is one for each turn");
        return claimed.info.key_package_ref;
    }
    let reserved = until_answered(reserve).await.expect("there is one for each turn");
    let token = reserved.lease.expect("no last resort while packages are free").token;
    let claimed = match turn % 3 {
        0 => {
            let usage = no_usage();
            let receipt = until_answered(|| store.spend_key_package(&token, &usage, at(1))).await;
            return receipt.expect("the lease is live").key_package_ref;
        }
        1 => {
            let released = until_answered(|| store.release_key_package(&token, at(1))).await;
            // Refused when it was released before, the answer was lost, and perhaps another took the package since (REL-2).
            assert!(
                matches!(released, Ok(()) | Err(NoLiveReservation | AlreadySpent)),
                "a release of what was taken is answered {released:?}, where the rules want that it is released, or that it was"
            );
            until_answered(claim).await.expect("there is one for each turn")
        }
        _ => until_answered(claim).await.expect("the lease is live"),
    };
    claimed.info.key_package_ref
}

/// A round of turns on a pool that has a package for each.
async fn round(plain: &Pool, pools: &[Pool]) {
    plain.stock(vec![last_resort(u64::MAX)], at(0)).await;
    let used = at_once(pools, TASKS, |pool, task| async move {
        let turns = task * TURNS..(task + 1) * TURNS;
        let save = pool.request(one_times(turns.clone()));
        let saved = until_answered(|| pool.store.save_key_packages(&save, at(0))).await;
        let saved = saved.expect("a save is not refused");
        assert!(
            saved.iter().all(|outcome| outcome.is_held()),
            "a save made again stores all or finds all stored, and is answered {saved:?}"
        );
        let mut used = Vec::new();
        for n in turns {
            used.push(turn(&pool, n).await);
        }
        used
    })
    .await;
    must_be_distinct(used.into_iter().flatten(), TASKS * TURNS);
    let count = plain.count(SUITE, at(1)).await;
    must_be!(
        (u64::from(count.spent), count.last_resort),
        (TASKS * TURNS, Slot::Unused),
        "each turn spends one package, and none is left: {count:?}"
    );
    must_be!(
        u64::from(count.total()),
        TASKS * TURNS + 1,
        "every package is accounted for, and the last resort: {count:?}"
    );
}

checks! {
    /// Thousands of reservations, releases, spends and claims beside each other (more than 100,000 at the heavy level): each
    /// turn gets a package, no package serves two, and at the end all are accounted for.
    #[rules("RES-8", "SPEND-1", "REL-1", "READ-3")]
    #[relies_on(everything)]
    async fn many_calls_at_once_conserve_every_package(context: &Context) {
        let handles = context.pools(HANDLES).await;
        for n in 0..rounds(2_000, 100_000) {
            let name = format!("round-{n}");
            let pools = Pool::all_beside(&handles, &name);
            round(&pools[0], &pools).await;
            pools[0].delete().await;
        }
    }

    /// The same where every other call fails before it is made, loses its reply, is delayed, or is dropped on its way, and
    /// is made again until it is answered. The pool of others stands as it stood.
    #[rules("ERR-1", "ERR-2", "SPEND-1", "RES-8")]
    #[relies_on(everything)]
    async fn failures_lose_no_package_and_use_none_twice(context: &Context) {
        let handles = context.pools(HANDLES).await;
        let others = handles[0].beside("carol");
        others.stock(one_times(0..10), at(0)).await;
        others.taken(others.only_claims, &others.take(0), at(0)).await.expect("there are ten");
        let stood = others.picture(0..10, at(1)).await;
        for n in 0..rounds(2_000, 20_000) {
            let name = format!("round-{n}");
            let faulty = (0..).zip(&handles).map(|(handle, pool)| {
                let faults = Faults::seeded(n * HANDLES as u64 + handle);
                pool.through(Arc::new(FaultyStore::new(Arc::clone(&pool.store), faults)), &name)
            });
            round(&handles[0].beside(&name), &faulty.collect::<Vec<_>>()).await;
        }
        must_be!(others.picture(0..10, at(1)).await, stood, "the pool of others stands as it stood");
    }
}
