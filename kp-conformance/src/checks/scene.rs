//! What a failure is tried with: pools with something for every call to work on, and what must be seen of them afterwards.

use kp_core::rules::Model;
use kp_core::server::{KeyPackageStoreExt, LastResort, OnLapse, SaveMode, Withdrawal};
use kp_core::{Effect, Error, KeyPackage, Result, Timestamp};

use crate::asking::Asking as _;
use crate::histories::{Call, Reply};
use crate::must_be::must_be;
use crate::packages::{Altered, DAY, at, group, key_package_ref, last_resort, one_time, usage};
use crate::pool::{Pool, until_answered};

/// Two pools: bob's, with something for every call to work on, and carol's, which none of them concerns.
///
/// Every scene has a later time than the ones before: a sweep that was dropped in one of those and comes late finds
/// nothing here.
pub(super) struct Scene {
    bob: Pool,
    pub(super) carol: Pool,
    start: i64,
}

impl Scene {
    pub(super) fn new(handle: &Pool, number: i64) -> Self {
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
    pub(super) fn calls(&self) -> Vec<Call> {
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

    /// Plays what comes before.
    pub(super) async fn begin(&self) -> Model {
        let mut model = Model::default();
        for call in self.beginning() {
            self.insist(&call).await;
            call.answered_by(&mut model);
        }
        self.shows(&model, &model).await;
        model
    }

    /// Holds a call that was made after `before` to its answer, or to what its failure says, and ends the scene. Returns
    /// whether it was answered.
    pub(super) async fn judge(&self, call: &Call, answer: Result<Reply>, before: &Model, cut: &Pool) -> bool {
        let mut after = before.clone();
        let first = call.answered_by(&mut after);
        let once = after.clone();
        let again = call.answered_by(&mut after);
        must_be!(once, after, "made again, {call:?} changes nothing");
        let answered = match answer {
            Ok(reply) => {
                assert!(
                    reply == first,
                    "{call:?}\n  answers {reply:?},\n  where the rules want {first:?}, or a failure (RES-6)"
                );
                self.shows(&after, &after).await;
                true
            }
            Err(Error::Backend(failure)) if failure.effect() == Effect::NotApplied => {
                self.shows(before, before).await;
                false
            }
            Err(Error::Backend(_)) => {
                self.shows(before, &after).await;
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
            must_be!(claimed.await, Ok(self.one_time(n)));
        }
        for pool in [&self.bob, &self.carol] {
            self.insist(&Call::Delete(pool.id.clone())).await;
        }
        answered
    }
}
