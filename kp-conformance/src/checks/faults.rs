use crate::asking::Asking as _;
use kp_core::server::Answers;
use std::iter;
use std::sync::Arc;

use kp_core::rules::Model;
use kp_core::server::{
    KeyPackageStore, KeyPackageStoreExt, LastResort, OnLapse, Receipt, Reservation, ReservationToken, SaveMode,
    Withdrawal,
};
use kp_core::{Effect, Error, KeyPackage, KeyPackageRef, Timestamp};

use crate::check::checks;
use crate::histories::{Call, Reply};
use crate::packages::{
    Altered, DAY, SUITE, at, group, key_package_ref, last_resort, no_usage, one_time, one_times, usage,
};
use crate::pool::{Pool, until_answered};
use crate::{Context, Fault, FaultyStore};

/// Futures are dropped at each of their awaits, up to this one.
const AWAITS: u32 = 32;

/// Two pools: bob's, with something for every call to work on, and carol's, which none of them concerns.
///
/// Every scene has a later time than the ones before: a sweep that was dropped in one of those and comes late finds
/// nothing here.
struct Scene {
    bob: Pool,
    carol: Pool,
    start: i64,
}

impl Scene {
    fn new(handle: &Pool, number: i64) -> Self {
        Self {
            bob: handle.beside(&format!("bob-{number}")),
            carol: handle.beside(&format!("carol-{number}")),
            start: 1_000 * number,
        }
    }

    /// So many seconds after its start.
    fn at(&self, seconds: i64) -> Timestamp {
        at(self.start + seconds)
    }

    fn one_time(&self, n: u64) -> KeyPackage {
        one_time(n).valid(self.start - DAY, self.start + 500)
    }

    fn last_resort(&self, n: u64) -> KeyPackage {
        last_resort(n).valid(self.start - DAY, self.start + 500)
    }

    /// What comes before: leases until 60 and a claim's window of bob's, a package of his that ends at 50, and a lease of
    /// carol's.
    fn beginning(&self) -> Vec<Call> {
        let (bob, carol) = (&self.bob, &self.carol);
        let mut stock: Vec<_> = (1..=5).map(|n| self.one_time(n)).collect();
        stock.push(one_time(6).valid(self.start - DAY, self.start + 50));
        stock.push(self.last_resort(7));
        let carols = (1..=3).map(|n| self.one_time(n)).collect();
        vec![
            Call::Save(bob.request(stock), self.at(0)),
            Call::Reserve(bob.take(1), OnLapse::Return, self.at(0)),
            Call::Reserve(bob.take(2), OnLapse::Retire, self.at(0)),
            Call::Claim(bob.take(3), Some(group("club")), self.at(0)),
            Call::Save(carol.request(carols), self.at(5)),
            Call::Reserve(carol.take(1), OnLapse::Return, self.at(5)),
        ]
    }

    /// Every kind of call. Those on all pools come first: they are not to meet what an earlier call did late.
    fn calls(&self) -> Vec<Call> {
        let (bob, now) = (&self.bob, self.at(10));
        let (id, limit) = (&bob.id, 100);
        let saved_before = self.at(1);
        vec![
            Call::CleanUp {
                limit,
                now: self.at(50),
            },
            Call::Settle {
                limit,
                now: self.at(60),
            },
            Call::Retire {
                saved_before,
                limit,
                now,
            },
            Call::Pools { limit },
            Call::Save(
                bob.request(vec![self.one_time(8), self.one_time(9), self.last_resort(10)]),
                now,
            ),
            Call::Save(bob.request(vec![self.one_time(8)]).mode(SaveMode::Replace), now),
            Call::Reserve(bob.take(11), OnLapse::Return, now),
            Call::Reserve(bob.take(11).last_resort(LastResort::Only), OnLapse::Return, now),
            Call::Claim(bob.take(11), Some(group("club")), now),
            Call::Claim(bob.take(1), None, now),
            Call::Spend(bob.token(1, 1), usage("club", "alice"), now),
            Call::Release(bob.token(1, 1), now),
            Call::Release(bob.token(2, 2), now),
            Call::Withdraw(id.clone(), Withdrawal::Refs([1, 4].map(key_package_ref).into()), now),
            Call::Withdraw(id.clone(), Withdrawal::All, now),
            Call::Delete(id.clone()),
            Call::Get(id.clone(), key_package_ref(1), now),
            Call::Statuses(id.clone(), vec![key_package_ref(1)], now),
            Call::List {
                pool: id.clone(),
                limit,
                now,
            },
            Call::Count(id.clone(), now),
        ]
    }

    /// All that can be seen.
    fn reads(&self) -> Vec<Call> {
        let now = self.at(10);
        let of_each = [&self.bob, &self.carol].map(|pool| {
            let refs = (1..=10).map(key_package_ref).collect();
            let (id, limit) = (pool.id.clone(), 100);
            [
                Call::Statuses(id.clone(), refs, now),
                Call::Get(id.clone(), key_package_ref(1), now),
                Call::Count(id.clone(), now),
                Call::List { pool: id, limit, now },
            ]
        });
        of_each.into_iter().flatten().collect()
    }

    /// Makes a call until it is answered.
    async fn insist(&self, call: &Call) -> Reply {
        let answer = until_answered(|| call.ask_once(&*self.bob.store)).await;
        answer.unwrap_or_else(|rejection| panic!("the rules cannot refuse {call:?}: {rejection}"))
    }

    /// What is seen is wholly the one state or wholly the other and, once the other, stays so.
    async fn shows(&self, before: &Model, after: &Model) {
        let (mut before, mut after, mut applied) = (before.clone(), after.clone(), false);
        for read in self.reads().iter().chain(&self.reads()) {
            let seen = self.insist(read).await;
            let (old, new) = (read.answered_by(&mut before), read.answered_by(&mut after));
            let whole = seen == new || (seen == old && !applied);
            assert!(whole, "{read:?}\n  shows {seen:?},\n  and not {old:?}\n  or {new:?}");
            applied |= seen != old;
        }
    }

    /// Lets a fault befall one of the calls, and says whether it was answered nevertheless.
    async fn play(&self, call: usize, cut: &Pool, fault: Fault) -> bool {
        let mut before = Model::default();
        for call in self.beginning() {
            self.insist(&call).await;
            call.answered_by(&mut before);
        }
        self.shows(&before, &before).await;

        let call = &self.calls()[call];
        let mut after = before.clone();
        let first = call.answered_by(&mut after);
        let once = after.clone();
        let again = call.answered_by(&mut after);
        assert_eq!(once, after, "made again, {call:?} changes nothing");
        let faulty = FaultyStore::new(Arc::clone(&cut.store), [fault]);
        let answered = match call.ask_once(&faulty).await {
            Ok(reply) => {
                assert_eq!(reply, first, "{call:?}");
                self.shows(&after, &after).await;
                true
            }
            Err(Error::Backend(failure)) if failure.effect() == Effect::NotApplied => {
                self.shows(&before, &before).await;
                false
            }
            Err(Error::Backend(_)) => {
                self.shows(&before, &after).await;
                false
            }
            Err(refusal) => panic!("the rules cannot refuse {call:?}: {refusal}"),
        };
        let reply = self.insist(call).await;
        assert!(
            reply == first || reply == again,
            "{call:?}\n  made again answers {reply:?},\n  and not {first:?}\n  or {again:?}"
        );
        self.shows(&after, &after).await;

        // All handles are as good as ever.
        for (n, store) in [(2, &self.carol.store), (3, &cut.store)] {
            let take = self.carol.take(n);
            let claimed = until_answered(|| store.claim_key_package(&take, None, self.at(10)));
            assert_eq!(claimed.await, Ok(self.one_time(n)));
        }
        for pool in [&self.bob, &self.carol] {
            self.insist(&Call::Delete(pool.id.clone())).await;
        }
        answered
    }
}

/// What the items got that were answered.
fn refs<T>(answers: Answers<T>, of: impl Fn(T) -> KeyPackageRef) -> Vec<Option<KeyPackageRef>> {
    answers.into_iter().map(|answer| answer.ok().map(&of)).collect()
}

checks! {
    /// Of every call: one that is said not to be applied has changed nothing; one that was applied, and whose reply was
    /// lost, made again is answered as if it had been made once.
    #[rules("ERR-1", "CLAIM-1", "SPEND-3")]
    async fn a_call_that_failed_did_what_it_says(context: &Context) {
        let pools = context.pools(2).await;
        let mut scenes = (0..).map(|number| Scene::new(&pools[0], number));
        for call in 0..Scene::new(&pools[0], 0).calls().len() {
            for fault in [Fault::None, Fault::NotMade, Fault::LostReply] {
                let scene = scenes.next().expect("there is always another");
                scene.play(call, &pools[1], fault).await;
            }
        }
    }

    /// Every call, its future dropped at any of its awaits, is applied wholly, or not at all, or will be; made again, it is
    /// answered as if it had been made once. Other pools stand as they stood, and all handles can be used.
    #[rules("ERR-2", "ERR-1", "SWEEP-3")]
    async fn a_call_dropped_at_any_await_happens_wholly_or_not_at_all(context: &Context) {
        let pools = context.pools(2).await;
        let mut scenes = (0..).map(|number| Scene::new(&pools[0], number));
        for call in 0..Scene::new(&pools[0], 0).calls().len() {
            for at_await in 0..AWAITS {
                let scene = scenes.next().expect("there is always another");
                if scene.play(call, &pools[1], Fault::Dropped { at_await }).await {
                    break;
                }
            }
        }
    }

    /// A batch over several pools that is dropped at any of its awaits is cut between items: asked again, each is answered
    /// as if it had been asked once.
    #[rules("ERR-2", "ERR-1", "LIN-1")]
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
                assert_eq!((count.spent, count.total()), (4, 4), "{count:?}");
            }
            if cut_short.iter().flatten().all(Option::is_some) {
                break;
            }
        }
    }
}
