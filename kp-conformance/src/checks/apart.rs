use kp_core::server::{OnLapse, TakeRequest, Withdrawal};
use kp_core::{Counts, KeyPackage};

use crate::Context;
use crate::at_once::at_once;
use crate::check::checks;
use crate::histories::Call;
use crate::must_be::{must_be, must_be_distinct};
use crate::packages::{SUITE, at, key_package_ref, no_usage, one_times, ttl};
use crate::pool::{Pool, each, works};

/// How many packages the pool has in which one request takes one.
const STOCK: u64 = 300;
/// How many pools a batch goes over.
const POOLS: u64 = 4;
/// How many items a batch has of each.
const EACH: u64 = 5;
/// How many tasks make batches at once.
const TASKS: u64 = 4;

/// The batch of a task: its pools one after the other, in the opposite order for every other task.
fn across(pools: &[Pool], task: u64, first: u64) -> Vec<(u64, TakeRequest)> {
    let mut order: Vec<_> = (0..POOLS).zip(pools).collect();
    if task % 2 == 1 {
        order.reverse();
    }
    let of_each = |(number, pool): (u64, &Pool)| {
        let ids = (0..EACH).map(|n| first + task * EACH + n);
        ids.map(|id| (number, pool.take(id))).collect::<Vec<_>>()
    };
    order.into_iter().flat_map(of_each).collect()
}

/// Which pool the package belongs to, by its number.
fn owner(package: &KeyPackage, stock: u64) -> Option<u64> {
    let mut numbers = 0..POOLS * stock;
    let number = numbers.find(|n| key_package_ref(*n) == package.info.key_package_ref)?;
    Some(number / stock)
}

checks! {
    /// One request takes one package, by claim or by reservation, alone or beside others, in a pool of hundreds: all others
    /// stay as they were.
    #[rules("CLAIM-1", "RES-1", "READ-3")]
    async fn one_request_takes_one_package(context: &Context) {
        let pools = context.stocked_pools(4, one_times(0..STOCK)).await;
        let untouched = async |taken: u32| {
            let Counts { available, reserved, spent, .. } = pools[0].count(SUITE, at(0)).await;
            must_be!(
                (available, reserved + spent),
                (300 - taken, taken),
                "{taken} requests take {taken} of {STOCK} packages"
            );
        };
        for n in 0..4 {
            pools[0].taken(n % 2 == 0, &pools[0].take(n), at(0)).await.expect("there are enough");
            untouched(u32::try_from(n).expect("a few") + 1).await;
        }
        at_once(&pools, 8, |pool, task| async move {
            for n in 0..4 {
                let take = pool.take(100 + 4 * task + n);
                pool.taken(n % 2 == 0, &take, at(0)).await.expect("there are enough");
            }
        })
        .await;
        untouched(36).await;
    }

    /// A call on one pool leaves the same ref, under the same id, in another pool as it is.
    #[rules("SPEND-2", "REL-1", "REN-1", "SAVE-5")]
    async fn a_call_on_one_pool_leaves_the_same_ref_in_another(context: &Context) {
        let bob = context.stocked(one_times(1..=8)).await;
        let carol = bob.beside("carol/laptop");
        carol.stock(one_times(1..=8), at(0)).await;
        for pool in [&bob, &carol] {
            for n in 1..=5 {
                pool.lease(&pool.take(n), at(0)).await;
            }
        }
        let before = carol.picture(1..=8, at(30)).await;
        let calls = [
            Call::Spend(bob.token(1, 1), no_usage(), at(1)),
            Call::Release(bob.token(2, 2), at(1)),
            Call::Renew(bob.token(3, 3), ttl(500), at(1)),
            Call::Claim(bob.take(4), None, at(1)),
            Call::Claim(bob.take(9), None, at(1)),
            Call::Withdraw(bob.id.clone(), Withdrawal::Refs([5, 6].map(key_package_ref).into()), at(1)),
            Call::Delete(bob.id.clone()),
        ];
        for call in calls {
            works(call.ask(&*bob.store).await);
            must_be!(carol.picture(1..=8, at(30)).await, before, "{call:?} concerns one pool");
        }
        for n in 1..=5 {
            carol.spent(&carol.token(n, n), &no_usage(), at(30)).await;
        }
    }

    /// Batches over the same pools in opposite orders, at once: each is answered, item by item, with packages of the pools
    /// that its items name.
    #[rules("LIN-1", "RES-8", "ERR-3")]
    async fn batches_over_pools_in_opposite_orders_are_all_answered(context: &Context) {
        const ROUNDS: u64 = 3;
        const TAKEN: u64 = ROUNDS * TASKS * EACH * 2;
        let handles = context.pools(4).await;
        let pools: Vec<Vec<_>> = handles.iter().map(|handle| {
            (0..POOLS).map(|n| handle.beside(&format!("user-{n}"))).collect()
        }).collect();
        for (n, pool) in (0..).zip(&pools[0]) {
            pool.stock(one_times(n * TAKEN..(n + 1) * TAKEN), at(0)).await;
        }
        let taken = at_once(&pools, TASKS, |pools, task| async move {
            let (store, only_claims) = (&pools[0].store, pools[0].only_claims);
            let mut taken = Vec::new();
            for round in 0..ROUNDS * 2 {
                let first = round * TASKS * EACH;
                let (numbers, takes): (Vec<_>, Vec<_>) = across(&pools, task, first).into_iter().unzip();
                let packages = if round % 2 == 0 || only_claims {
                    each(store.claim_key_packages(&takes, None, at(0)).await, |package| package)
                } else {
                    each(store.reserve_key_packages(&takes, OnLapse::Return, at(0)).await, |reserved| reserved.package)
                };
                must_be!(packages.len(), takes.len(), "an answer for each item");
                let packages: Vec<_> = packages.into_iter().map(|package| package.expect("there are enough")).collect();
                for (number, package) in numbers.iter().zip(&packages) {
                    must_be!(owner(package, TAKEN), Some(*number), "each item gets a package of the pool it names");
                }
                if round % 2 == 1 && !only_claims {
                    let tokens = takes.iter().zip(&packages).map(|(take, package)| {
                        kp_core::server::ReservationToken::new(take.pool.clone(), package.info.key_package_ref.clone(), take.id)
                    });
                    let tokens: Vec<_> = tokens.rev().collect();
                    for spent in each(store.spend_key_packages(&tokens, &no_usage(), at(0)).await, drop) {
                        spent.expect("the lease is live");
                    }
                }
                taken.extend(packages.into_iter().map(|package| package.info.key_package_ref));
            }
            taken
        })
        .await;
        must_be_distinct(taken.into_iter().flatten(), POOLS * TAKEN);
    }
}
