use crate::asking::Asking as _;
use kp_core::Slot;
use std::sync::Arc;

use kp_core::Rejection::{AlreadyReserved, AlreadySpent, NoLiveReservation, PoolExhausted};
use kp_core::Status;
use kp_core::server::LastResort;
use kp_core::server::SaveOutcome::{AlreadyStored, PoolFull, Saved};

use crate::Context;
use crate::at_once::at_once;
use crate::check::checks;
use crate::must_be::{must_be, must_be_distinct, must_number};
use crate::packages::{SUITE, at, key_package_ref, last_resort, no_usage, one_time, one_times, usage};
use crate::pool::{Pool, answered};

/// How many tasks run against each other.
const TASKS: u64 = 8;
/// Through how many handles, where the backend has several.
const HANDLES: usize = 4;

checks! {
    /// 8 tasks take 50 packages each of 400: all distinct, none told that the pool is exhausted, none given the last
    /// resort.
    #[rules("RES-8", "RES-1", "LIN-1")]
    async fn four_hundred_reservations_get_four_hundred_packages(context: &Context) {
        let pools = context.stocked_pools(HANDLES, one_times(1..=400)).await;
        pools[0].stock(vec![last_resort(401)], at(0)).await;
        let taken = at_once(&pools, TASKS, |pool, task| async move {
            let mut refs = Vec::new();
            for n in 0..50 {
                let reserved = pool
                    .reserve(&pool.take(task * 50 + n), at(0))
                    .await
                    .expect("there are enough");
                assert!(reserved.lease.is_some(), "no last resort while packages are free");
                refs.push(reserved.package.info.key_package_ref);
            }
            refs
        })
        .await;
        must_be_distinct(taken.into_iter().flatten(), 400);
        must_be!(
            pools[0].status(401, at(0)).await,
            Some(Status::LastResort { used: false })
        );
        must_be!(pools[0].count(SUITE, at(0)).await.reserved, 400);
    }

    /// The same for claims, in batches: all distinct, all spent.
    #[rules("RES-8", "CLAIM-1", "SPEND-1")]
    async fn concurrent_claims_get_distinct_packages(context: &Context) {
        let pools = context.stocked_pools(HANDLES, one_times(1..=160)).await;
        pools[0].stock(vec![last_resort(401)], at(0)).await;
        let taken = at_once(&pools, TASKS, |pool, task| async move {
            let mut refs = Vec::new();
            for batch in 0..4 {
                let takes: Vec<_> = (0..5).map(|n| pool.take(task * 20 + batch * 5 + n)).collect();
                let claimed = pool.store.claim_key_packages(&takes, None, at(0)).await;
                must_be!(claimed.len(), takes.len());
                refs.extend(
                    claimed
                        .into_iter()
                        .map(|claim| answered(claim).expect("there are enough").info),
                );
            }
            refs
        })
        .await;
        let taken: Vec<_> = taken.into_iter().flatten().collect();
        must_number(&taken, 0, "are the last resort, while packages are free", |info| info.role.is_last_resort());
        must_be_distinct(taken.into_iter().map(|info| info.key_package_ref), 160);
        must_be!(pools[0].count(SUITE, at(0)).await.spent, 160);
    }

    /// More ask than there are packages: each package goes to one, and the others are told that there is none.
    #[rules("RES-1", "RES-6")]
    async fn when_too_many_ask_each_package_goes_to_one(context: &Context) {
        let pools = context.pools(HANDLES).await;
        for round in 0..5 {
            let pools = Pool::all_beside(&pools, &format!("round-{round}"));
            pools[0].stock(one_times(1..=3), at(0)).await;
            let answers = at_once(&pools, TASKS, |pool, n| async move {
                pool.taken(n % 2 == 1, &pool.take(n), at(0)).await
            })
            .await;
            must_be_distinct(answers.iter().flatten(), 3);
            must_number(&answers, 5, "are told that there is none", |answer| *answer == Err(PoolExhausted));
        }
    }

    /// All ask for the one package by name: one gets it.
    #[rules("RES-1", "RES-3")]
    async fn one_of_many_gets_the_package_named(context: &Context) {
        let pools = context.stocked_pools(HANDLES, one_times(1..=10)).await;
        for package in 1..=10 {
            let answers = at_once(&pools, TASKS, |pool, n| async move {
                let named = pool.take(package * 100 + n).only(key_package_ref(package));
                pool.reserve_ref(&named, at(0)).await
            })
            .await;
            must_number(&answers, 1, "get the package named", Result::is_ok);
            must_number(&answers, 7, "are told that it is reserved", |answer| *answer == Err(AlreadyReserved));
        }
    }

    /// The same id at once is one request: all get the same package, reserved or claimed.
    #[rules("RES-5", "CLAIM-1", "ERR-1")]
    async fn the_same_id_at_once_gets_one_package(context: &Context) {
        let pools = context.stocked_pools(HANDLES, one_times(1..=20)).await;
        for request in 1..=10 {
            let answers = at_once(&pools, TASKS, |pool, _| async move {
                pool.taken(request % 2 == 1, &pool.take(request), at(0)).await
            })
            .await;
            let first = answers.iter().find(|answer| answer.is_ok());
            must_number(&answers, answers.len(), "of one id get one package", |answer| Some(answer) == first);
        }
        let count = pools[0].count(SUITE, at(0)).await;
        must_be!((count.reserved, count.spent, count.available), (5, 5, 10));
    }

    /// Of spends for different groups exactly one gets a receipt; of the same spend, all get the same one.
    #[rules("SPEND-1", "SPEND-3")]
    async fn of_concurrent_spends_one_wins(context: &Context) {
        let pools = context.stocked_pools(HANDLES, one_times(1..=10)).await;
        for n in 1..=10 {
            let token = pools[0].lease(&pools[0].take(n), at(0)).await;
            let answers = at_once(&pools, TASKS, |pool, task| {
                let token = token.clone();
                async move {
                    (
                        task / 2,
                        pool.spend(&token, &usage(&format!("group-{}", task / 2), "alice"), at(1))
                            .await,
                    )
                }
            })
            .await;
            let winner = answers.iter().find(|(_, answer)| answer.is_ok());
            must_number(&answers, 2, "have the receipt of one group", |one| Some(one) == winner);
            must_number(&answers, 6, "are told that it is spent", |(_, answer)| *answer == Err(AlreadySpent));
        }
    }

    /// Of a release and a spend exactly one wins.
    #[rules("REL-3", "SPEND-1")]
    async fn of_a_release_and_a_spend_one_wins(context: &Context) {
        let pools = context.stocked_pools(HANDLES, one_times(1..=20)).await;
        for n in 1..=20 {
            let token = pools[0].lease(&pools[0].take(n).only(key_package_ref(n)), at(0)).await;
            let answers = at_once(&pools, 2, |pool, task| {
                let token = token.clone();
                async move {
                    if task == n % 2 {
                        pool.spend(&token, &no_usage(), at(1)).await.map(|_| ())
                    } else {
                        pool.release(&token, at(1)).await
                    }
                }
            })
            .await;
            must_number(&answers, 1, "win, a release or a spend", Result::is_ok);
            let spent = answers[usize::from(n % 2 == 1)].is_ok();
            let lost = if spent { AlreadySpent } else { NoLiveReservation };
            must_number(&answers, 1, "lose, and are told why", |answer| *answer == Err(lost));
            let status = pools[0].status(n, at(1)).await.expect("it is remembered");
            must_be!(matches!(status, Status::Spent { .. }), spent);
        }
    }

    /// The same package saved by all at once is stored once: one is told `Saved`.
    #[rules("SAVE-2", "SAVE-1")]
    async fn the_same_package_saved_at_once_is_stored_once(context: &Context) {
        let pools = context.pools(HANDLES).await;
        for n in 1..=10 {
            let answers = at_once(&pools, TASKS, |pool, _| async move {
                pool.save(vec![one_time(n), one_time(100 + n)], at(0)).await
            })
            .await;
            must_number(&answers, 1, "are told that both are saved", |answer| *answer == [Saved; 2]);
            must_number(&answers, 7, "are told that both were stored", |answer| *answer == [AlreadyStored; 2]);
        }
        must_be!(pools[0].count(SUITE, at(0)).await.total(), 20);
    }

    /// Saves at once never exceed the cap, and fill it.
    #[rules("SAVE-6", "LIN-1")]
    async fn concurrent_saves_fill_the_cap_exactly(context: &Context) {
        let pools = context.pools(HANDLES).await;
        let answers = at_once(&pools, TASKS, |pool, task| async move {
            let save = pool.request(one_times(task * 10..task * 10 + 10)).cap_per_ciphersuite(33);
            pool.save_as(&save, at(0)).await
        })
        .await;
        let answers: Vec<_> = answers.into_iter().flatten().collect();
        must_number(&answers, 33, "are saved at a cap of 33", |answer| *answer == Saved);
        must_number(&answers, 47, "are refused, since the pool is full", |answer| *answer == PoolFull);
        must_be!(pools[0].count(SUITE, at(0)).await.available, 33);
    }

    /// A batch becomes visible at once: whoever reads meanwhile sees all of it, or none.
    #[rules("SAVE-1", "READ-3", "LIN-1")]
    async fn a_batch_becomes_visible_at_once(context: &Context) {
        let pools = context.pools(HANDLES).await;
        let saver = Arc::new(());
        at_once(&pools, 4, |pool, task| {
            let others = Arc::downgrade(&saver);
            let saves = (task == 0).then(|| Arc::clone(&saver));
            async move {
                if saves.is_some() {
                    for batch in 0..5 {
                        pool.stock(one_times(batch * 50..batch * 50 + 50), at(0)).await;
                    }
                    return;
                }
                // Who reads goes on as long as the other saves (one more is the check's own).
                while others.strong_count() > 1 {
                    let count = pool.count(SUITE, at(0)).await.available;
                    must_be!(count % 50, 0, "a part of a batch is counted");
                    let listed = pool.available(at(0)).await.len();
                    must_be!(listed % 50, 0, "a part of a batch is listed");
                    tokio::task::yield_now().await;
                }
            }
        })
        .await;
        must_be!(pools[0].count(SUITE, at(0)).await.available, 250);
    }

    /// With another last resort saved meanwhile, whoever asks gets the old or the new, and never none.
    #[rules("LAST-1", "LIN-1")]
    async fn whoever_asks_gets_the_old_last_resort_or_the_new(context: &Context) {
        let pools = context.stocked_pools(HANDLES, vec![last_resort(0)]).await;
        at_once(&pools, 4, |pool, task| async move {
            let mut newest = 0;
            for n in 1..=20 {
                if task == 0 {
                    pool.stock(vec![last_resort(n)], at(0)).await;
                } else {
                    let count = pool.count(SUITE, at(0)).await;
                    assert!(count.last_resort != Slot::Empty, "the slot is never empty");
                    let given = pool
                        .claim(&pool.take(task * 100 + n), None, at(0))
                        .await
                        .expect("never none");
                    let number = (newest..=20).find(|n| last_resort(*n) == given);
                    newest = number.expect("the one in the slot, and none older than before");
                }
            }
        })
        .await;
        must_be!(pools[0].count(SUITE, at(0)).await.spent, 20);
    }

    /// Beside a replace, a reservation gets an old package, which is then recalled, or a new one; none is lost.
    #[rules("SAVE-8", "LIN-1", "DEL-3")]
    async fn a_replace_beside_reservations_loses_nothing(context: &Context) {
        let pools = context.stocked_pools(HANDLES, one_times(0..20)).await;
        at_once(&pools, 4, |pool, task| async move {
            for n in 1..=5 {
                if task == 0 {
                    pool.replace(one_times(n * 100..n * 100 + 20), at(0)).await;
                } else {
                    let take = pool.take(task * 100 + n).last_resort(LastResort::Never);
                    let token = pool.lease(&take, at(0)).await;
                    pool.spend(&token, &no_usage(), at(0))
                        .await
                        .expect("recalled or not, its id may spend it");
                }
            }
        })
        .await;
        let count = pools[0].count(SUITE, at(0)).await;
        let used = 15;
        must_be!(count.total(), 120);
        must_be!(count.spent + count.available, 120);
        assert!(count.available <= 20 && count.available >= 20 - used, "{count:?}");
        for listed in pools[0].available(at(0)).await {
            assert!(
                (500..520).any(|n| key_package_ref(n) == listed),
                "only the newest are left"
            );
        }
    }

    /// A pool deleted beside saves holds whole batches, or nothing.
    #[rules("DEL-1", "SAVE-1", "LIN-1")]
    async fn a_deletion_beside_saves_leaves_whole_batches(context: &Context) {
        let pools = context.pools(HANDLES).await;
        for round in 0..5 {
            let pools = Pool::all_beside(&pools, &format!("round-{round}"));
            at_once(&pools, 4, |pool, task| async move {
                if task == 0 {
                    pool.delete().await;
                } else {
                    pool.stock(one_times(task * 100..task * 100 + 10), at(0)).await;
                }
            })
            .await;
            let listed = pools[0].available(at(0)).await;
            for task in 1..4 {
                let batch = (task * 100..task * 100 + 10).map(key_package_ref);
                let there = batch.filter(|named| listed.contains(named)).count();
                assert!(there == 0 || there == 10, "{there} of the 10 packages of a batch are there, and all or none must");
            }
            must_be!(pools[0].count(SUITE, at(0)).await.total() as usize, listed.len());
        }
    }
}
