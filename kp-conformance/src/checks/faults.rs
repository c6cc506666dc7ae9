use std::iter;
use std::sync::Arc;

use kp_core::server::{Answers, KeyPackageStore, OnLapse, Receipt, Reservation, ReservationToken};
use kp_core::{KeyPackage, KeyPackageRef};

use super::scene::Scene;
use crate::check::checks;
use crate::must_be::must_be;
use crate::packages::{SUITE, at, no_usage, one_times};
use crate::pool::Pool;
use crate::{Context, Fault, FaultyStore};

/// Futures are dropped at each of their awaits, up to this one.
const AWAITS: u32 = 32;

/// What the items got that were answered.
fn refs<T>(answers: Answers<T>, of: impl Fn(T) -> KeyPackageRef) -> Vec<Option<KeyPackageRef>> {
    answers.into_iter().map(|answer| answer.ok().map(&of)).collect()
}

/// Lets a fault befall the call of this number, and says whether it was answered nevertheless.
async fn play(scene: &Scene, call: usize, cut: &Pool, fault: Fault) -> bool {
    let before = scene.begin().await;
    let call = &scene.calls()[call];
    let faulty = FaultyStore::new(Arc::clone(&cut.store), [fault]);
    let answer = call.ask_once(&faulty).await;
    scene.judge(call, answer, &before, cut).await
}

checks! {
    /// Of every call: one that is said not to be applied has changed nothing; one that was applied, and whose reply was
    /// lost, made again is answered as if it had been made once.
    #[rules("ERR-1", "CLAIM-1", "SPEND-3")]
    #[relies_on(everything)]
    async fn a_call_that_failed_did_what_it_says(context: &Context) {
        let pools = context.pools(2).await;
        let mut scenes = (0..).map(|number| Scene::new(&pools[0], number));
        for call in 0..Scene::new(&pools[0], 0).calls().len() {
            for fault in [Fault::None, Fault::NotMade, Fault::LostReply] {
                let scene = scenes.next().expect("there is always another");
                play(&scene, call, &pools[1], fault).await;
            }
        }
    }

    /// Every call, its future dropped at any of its awaits, is applied wholly, or not at all, or will be; made again, it is
    /// answered as if it had been made once. Other pools stand as they stood, and all handles can be used.
    #[rules("ERR-2", "ERR-1", "SWEEP-3")]
    #[relies_on(everything)]
    async fn a_call_dropped_at_any_await_happens_wholly_or_not_at_all(context: &Context) {
        let pools = context.pools(2).await;
        let mut scenes = (0..).map(|number| Scene::new(&pools[0], number));
        for call in 0..Scene::new(&pools[0], 0).calls().len() {
            for at_await in 0..AWAITS {
                let scene = scenes.next().expect("there is always another");
                if play(&scene, call, &pools[1], Fault::Dropped { at_await }).await {
                    break;
                }
            }
        }
    }

    /// A batch over several pools that is dropped at any of its awaits is cut between items: asked again, each is answered
    /// as if it had been asked once.
    #[rules("ERR-2", "ERR-1", "LIN-1")]
    #[relies_on(everything)]
    async fn a_batch_that_is_cut_is_settled_item_by_item(context: &Context) {
        let handles = context.pools(2).await;
        for at_await in 0..AWAITS {
            let pools = [0, 1, 2].map(|n| handles[0].beside(&format!("user-{at_await}-{n}")));
            for pool in &pools {
                pool.stock(one_times(1..=4), at(0)).await;
            }
            let store = &pools[0].store;
            let fault = Fault::Dropped { at_await };
            let cut = FaultyStore::new(Arc::clone(&handles[1].store), iter::repeat(fault));
            let takes = |first: u64| (first..).zip(pools.iter().cycle()).map(|(n, pool)| pool.take(n)).take(6);
            let (claims, leases): (Vec<_>, Vec<_>) = (takes(0).collect(), takes(10).collect());

            let claimed = |answers| refs(answers, |package: KeyPackage| package.info.key_package_ref);
            let mut cut_short = vec![claimed(cut.claim_key_packages(&claims, None, at(0)).await)];
            let mut whole = vec![claimed(store.claim_key_packages(&claims, None, at(0)).await)];

            let leased = |answers| refs(answers, |reserved: Reservation| reserved.package.info.key_package_ref);
            cut_short.push(leased(cut.reserve_key_packages(&leases, OnLapse::Return, at(0)).await));
            whole.push(leased(store.reserve_key_packages(&leases, OnLapse::Return, at(0)).await));

            let refs_leased = whole[1].iter().flatten();
            let tokens = refs_leased.zip(&leases).map(|(named, take)| ReservationToken::new(take.pool.clone(), named.clone(), take.id));
            let tokens: Vec<_> = tokens.collect();
            let spent = |answers| refs(answers, |receipt: Receipt| receipt.key_package_ref);
            cut_short.push(spent(cut.spend_key_packages(&tokens, &no_usage(), at(1)).await));
            whole.push(spent(store.spend_key_packages(&tokens, &no_usage(), at(1)).await));

            for (cut_short, whole) in cut_short.iter().flatten().zip(whole.iter().flatten()) {
                assert!(whole.is_some(), "there is one for each");
                assert!(cut_short.is_none() || cut_short == whole, "an item got another package");
            }
            for pool in &pools {
                let count = pool.count(SUITE, at(1)).await;
                must_be!((count.spent, count.total()), (4, 4), "{count:?}");
            }
            if cut_short.iter().flatten().all(Option::is_some) {
                break;
            }
        }
    }
}
