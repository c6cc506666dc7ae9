//! What the largest calls that a store takes cost everybody else (`DIR-8`): while one is under way, claims of other pools are
//! made one after the other. For each call: how long it took, and the longest that a claim beside it took.
//!
//! `cargo bench --bench largest`; a word behind `--` chooses: `-- SQLite`. It asserts nothing: times are for people to judge.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use kp_core::rules::{MAX_CIPHERSUITES, MAX_ITEMS};
use kp_core::server::*;
use kp_core::{Ciphersuite, PoolId, ReservationId, Ttl};
use measure::Fallible;
use measure::backend::{Backend, is_chosen};
use measure::inputs::{self, Kind, NOW, pool_id, take};
use tokio::time::Instant;

mod measure;

/// The pool that the large calls are about, with as many packages as it remembers.
const LARGE: u32 = 0;
const REMEMBERED: u32 = 10_000;
/// The pools that the claims beside them are about.
const OTHERS: std::ops::Range<u32> = 1..41;
const ITEMS: u32 = 1_000;
/// How often each call is made: the worst counts.
const ROUNDS: u64 = 3;

type Store = Arc<dyn KeyPackageStore>;

/// A call of the largest size that there is.
#[derive(Debug, Clone, Copy)]
enum Large {
    Statuses,
    Ready,
    Count,
    ForgedTokens,
    ForgedTokensOfManyPools,
    ClaimsThatFitNothing,
    ClaimsOfManyPools,
    Save,
    WithdrawRefs,
    Replace,
    WithdrawAll,
    Delete,
}

const CALLS: [(Large, &str); 12] = [
    (Large::Statuses, "statuses of 1,000 refs"),
    (Large::Ready, "all that is ready, of 10,000"),
    (Large::Count, "counts of 10,000"),
    (Large::ForgedTokens, "1,000 forged tokens of a pool"),
    (Large::ForgedTokensOfManyPools, "1,000 forged tokens of 1,000 pools"),
    (Large::ClaimsThatFitNothing, "1,000 claims that nothing fits"),
    (Large::ClaimsOfManyPools, "1,000 claims of 1,000 pools"),
    (Large::Save, "a save of 1,000"),
    (Large::WithdrawRefs, "a withdrawal of 1,000 refs"),
    (Large::Replace, "a replace of 10,000"),
    (Large::WithdrawAll, "a withdrawal of all 10,000"),
    (Large::Delete, "a deletion of 10,000"),
];

#[tokio::main]
async fn main() -> Fallible<()> {
    println!(
        "in milliseconds: {:<46}{:>10}{:>20}",
        "", "the call", "a claim beside it"
    );
    for backend in Backend::ALL.into_iter().filter(|backend| is_chosen(*backend)) {
        let subject = backend.open().await?;
        for (call, words) in CALLS {
            let (mut took, mut waited) = (Duration::ZERO, Duration::ZERO);
            for round in 0..ROUNDS {
                let (call, claim) = beside(&subject.store, call, round).await?;
                took = took.max(call);
                waited = waited.max(claim);
            }
            let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
            println!(
                "{backend:<16}{words:<46}{:>10.1}{:>20.1}",
                milliseconds(took),
                milliseconds(waited)
            );
        }
    }
    Ok(())
}

/// Makes the call, and claims beside it. Returns how long the call took, and the longest claim.
async fn beside(store: &Store, call: Large, round: u64) -> Fallible<(Duration, Duration)> {
    prepare(store).await?;
    let (running, longest) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
    let claims = {
        let (store, running, longest) = (Arc::clone(store), Arc::clone(&running), Arc::clone(&longest));
        tokio::spawn(async move {
            let mut serial = 0;
            while running.load(Ordering::Relaxed) {
                let pool = OTHERS.start + u32::try_from(serial % OTHERS.len() as u64)?;
                let begin = Instant::now();
                let _ = store.claim_key_packages(&[take(pool, serial)?], None, NOW).await;
                longest.fetch_max(u64::try_from(begin.elapsed().as_micros())?, Ordering::Relaxed);
                serial += 1;
            }
            Fallible::Ok(())
        })
    };
    // The claims are under way before the call begins, and what they met before it does not count.
    tokio::time::sleep(Duration::from_millis(50)).await;
    longest.store(0, Ordering::Relaxed);
    let begin = Instant::now();
    make(store, call, round).await?;
    let took = begin.elapsed();
    running.store(false, Ordering::Relaxed);
    claims.await??;
    Ok((took, Duration::from_micros(longest.load(Ordering::Relaxed))))
}

/// Fills the pools anew.
async fn prepare(store: &Store) -> Fallible<()> {
    store.delete_pool(&pool_id(LARGE)?).await?;
    for begin in (0..REMEMBERED).step_by(MAX_ITEMS) {
        let save = inputs::save(LARGE, begin..begin + ITEMS, Kind::usual()?)?;
        store.save_key_packages(&save, NOW).await?;
    }
    for pool in OTHERS {
        store.delete_pool(&pool_id(pool)?).await?;
        store
            .save_key_packages(&inputs::save(pool, 0..ITEMS, Kind::usual()?)?, NOW)
            .await?;
    }
    Ok(())
}

async fn make(store: &Store, call: Large, round: u64) -> Fallible<()> {
    let large = pool_id(LARGE)?;
    let refs = |count: u32| -> Fallible<Vec<_>> {
        (0..count)
            .map(|number| Ok(inputs::package(LARGE, number, Kind::usual()?)?.info.key_package_ref))
            .collect()
    };
    let token = |pool: PoolId, number: u32| -> Fallible<_> {
        let named = inputs::package(LARGE, number, Kind::usual()?)?.info.key_package_ref;
        Ok(ReservationToken::new(pool, named, ReservationId::from_bytes([9; 16])))
    };
    match call {
        Large::Statuses => drop(store.get_statuses(&large, &refs(ITEMS)?, NOW).await?),
        Large::Ready => drop(store.list_ready(&large, NOW).await?),
        Large::Count => drop(store.count_by_status(&large, NOW).await?),
        Large::ForgedTokens => {
            let tokens: Vec<_> = (0..ITEMS)
                .map(|number| token(large.clone(), number))
                .collect::<Fallible<_>>()?;
            drop(store.spend_key_packages(&tokens, &Spend::new(), NOW).await);
        }
        Large::ForgedTokensOfManyPools => {
            let tokens: Vec<_> = (0..ITEMS)
                .map(|number| token(pool_id(1_000 + number)?, number))
                .collect::<Fallible<_>>()?;
            drop(store.spend_key_packages(&tokens, &Spend::new(), NOW).await);
        }
        Large::ClaimsThatFitNothing => {
            let suites: Vec<_> = (2..).take(MAX_CIPHERSUITES).map(Ciphersuite).collect();
            let options = TakeOptions::new().ciphersuites(suites);
            let claim = |number: u32| -> Fallible<_> {
                let id = take(LARGE, round << 32 | u64::from(number))?.id;
                Ok(TakeRequest::new(large.clone(), id, Ttl::try_from(60)?).options(options.clone()))
            };
            let takes: Vec<_> = (0..ITEMS).map(claim).collect::<Fallible<_>>()?;
            drop(store.claim_key_packages(&takes, None, NOW).await);
        }
        Large::ClaimsOfManyPools => {
            let takes: Vec<_> = (0..ITEMS)
                .map(|number| take(1_000 + number, round))
                .collect::<Fallible<_>>()?;
            drop(store.claim_key_packages(&takes, None, NOW).await);
        }
        Large::Save => {
            store.delete_pool(&large).await?;
            drop(
                store
                    .save_key_packages(&inputs::save(LARGE, 0..ITEMS, Kind::usual()?)?, NOW)
                    .await?,
            );
        }
        Large::WithdrawRefs => drop(
            store
                .withdraw_key_packages(&large, &Withdrawal::Refs(refs(ITEMS)?), NOW)
                .await?,
        ),
        Large::Replace => {
            // One more than it remembers is not taken, so that one of them is saved again.
            let save = inputs::save(LARGE, 0..1, Kind::usual()?)?.mode(SaveMode::Replace);
            drop(store.save_key_packages(&save, NOW).await?);
        }
        Large::WithdrawAll => drop(store.withdraw_key_packages(&large, &Withdrawal::All, NOW).await?),
        Large::Delete => store.delete_pool(&large).await?,
    }
    Ok(())
}
