//! Kills the server under load: with `appendfsync always`, every answered change survives.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod packages;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use kp_core::server::*;
use kp_core::*;
use kp_redis::RedisStore;
use kp_test_support::servers::{Server, until};
use packages::{now, pool, save, take};

/// The answers of one worker.
#[derive(Debug, Default)]
struct Answered {
    saved: Vec<(PoolId, u32)>,
    claimed: Vec<(TakeRequest, KeyPackage)>,
    spent: Vec<(ReservationToken, Receipt)>,
    reserved: Vec<Reservation>,
}

/// Works until the server is gone.
async fn work(store: RedisStore, worker: u32, round: u32, ids: Arc<AtomicU64>, done: Arc<AtomicU32>) -> Answered {
    let bob = pool(format!("bob/{worker}"));
    let mut answered = Answered::default();
    for step in 0.. {
        let first = (round * 1_000 + step) * 4;
        match store.save_key_packages(&save(&bob, first..first + 4), now()).await {
            Ok(_) => answered.saved.push((bob.clone(), first)),
            Err(_) => return answered,
        }
        let number = || ids.fetch_add(1, Ordering::Relaxed);
        let claim = take(&bob, number());
        match store.claim_key_package(&claim, None, now()).await {
            Ok(package) => answered.claimed.push((claim, package)),
            Err(_) => return answered,
        }
        for spends in [true, false] {
            let reserved = match store
                .reserve_key_package(&take(&bob, number()), OnLapse::Return, now())
                .await
            {
                Ok(reserved) => reserved,
                Err(_) => return answered,
            };
            if spends {
                let token = reserved.lease.unwrap().token;
                match store.spend_key_package(&token, &Spend::default(), now()).await {
                    Ok(receipt) => answered.spent.push((token, receipt)),
                    Err(_) => return answered,
                }
            } else {
                answered.reserved.push(reserved);
            }
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
    answered
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_under_load_lose_nothing_that_was_answered() {
    let server = Arc::new(Server::start(&["--appendonly", "yes", "--appendfsync", "always"]));
    let ids = Arc::new(AtomicU64::new(0));
    // Which id each package went to.
    let mut handed_out: HashMap<(PoolId, KeyPackageRef), ReservationId> = HashMap::new();
    let mut checked = 0;
    for round in 0..50 {
        let store = RedisStore::open(server.url()).await.unwrap();
        let done = Arc::new(AtomicU32::new(0));
        let workers: Vec<_> = (0..4)
            .map(|worker| tokio::spawn(work(store.clone(), worker, round, Arc::clone(&ids), Arc::clone(&done))))
            .collect();
        let killer = {
            let (server, done) = (Arc::clone(&server), Arc::clone(&done));
            tokio::task::spawn_blocking(move || {
                until(|| (done.load(Ordering::Relaxed) > 3 + round % 7).then_some(())).expect("they work");
                server.kill();
            })
        };
        killer.await.unwrap();
        let mut answered = Vec::new();
        for worker in workers {
            answered.push(worker.await.unwrap());
        }
        server.restart();

        let store = RedisStore::open(server.url()).await.unwrap();
        let mut hand_out = |pool: &PoolId, key_package_ref: &KeyPackageRef, id: ReservationId| {
            let before = handed_out.insert((pool.clone(), key_package_ref.clone()), id);
            assert!(
                before.is_none_or(|before| before == id),
                "round {round}: {key_package_ref:?} went out twice"
            );
        };
        for answered in answered {
            for (bob, first) in answered.saved {
                let again = store
                    .save_key_packages(&save(&bob, first..first + 4), now())
                    .await
                    .unwrap();
                assert!(
                    again
                        .iter()
                        .all(|one| matches!(one, SaveOutcome::AlreadyStored | SaveOutcome::AlreadySpent)),
                    "round {round}: {again:?}"
                );
                checked += 1;
            }
            for (claim, package) in answered.claimed {
                assert_eq!(
                    store.claim_key_package(&claim, None, now()).await.unwrap(),
                    package,
                    "round {round}"
                );
                hand_out(&claim.pool, &package.info.key_package_ref, claim.id);
                checked += 1;
            }
            for (token, receipt) in answered.spent {
                let again = store.spend_key_package(&token, &Spend::default(), now()).await.unwrap();
                assert_eq!(again, receipt, "round {round}");
                hand_out(&token.pool, &token.key_package_ref, token.id());
                checked += 1;
            }
            for reserved in answered.reserved {
                let lease = reserved.lease.clone().unwrap();
                let mut request = take(&lease.token.pool, 0);
                request.id = lease.token.id();
                let again = store
                    .reserve_key_package(&request, OnLapse::Return, now())
                    .await
                    .unwrap();
                assert_eq!(again, reserved, "round {round}");
                hand_out(&request.pool, &lease.token.key_package_ref, request.id);
                checked += 1;
            }
        }
    }
    println!("50 kills, {checked} answers checked, none lost");
}
