use crate::asking::Asking as _;
use kp_core::Rejection::{AlreadySpent, NoLiveReservation, NotFound, NothingFits, PoolExhausted};
use kp_core::rules::Model;
use kp_core::server::{Answers, LastResort, OnLapse, SaveMode, SaveOutcome, WithdrawOutcome, Withdrawal};
use kp_core::{Cause, Ciphersuite, Rejection};

use crate::Context;
use crate::check::checks;
use crate::histories::Call;
use crate::must_be::must_be;
use crate::packages::{
    Altered, DAY, OTHER_SUITE, at, group, key_package_ref, last_resort, no_usage, one_time, one_times, reserved, spent,
    ttl, usage,
};
use crate::pool::{Pool, each, works};

/// What refused each item of a batch.
fn rejections<T>(answers: Answers<T>) -> Vec<Option<Rejection>> {
    let rejection = |answer: kp_core::Result<T>| answer.err()?.rejection().copied();
    answers.into_iter().map(rejection).collect()
}

checks! {
    /// A batch, over several pools, has an answer for each item, in order: each item is judged after the ones before it, and
    /// one that is refused keeps no other from its answer.
    #[rules("ERR-3", "RES-5", "CLAIM-1", "SPEND-1", "REL-1", "REL-3")]
    #[relies_on(everything)]
    async fn a_batch_has_an_answer_for_each_item(context: &Context) {
        let bob = context.pool().await;
        let carol = bob.beside("carol/laptop");
        bob.stock(one_times(1..=4), at(0)).await;
        carol.stock(one_times([5]), at(0)).await;
        let (store, [one, two, three, four, five]) = (&bob.store, [1, 2, 3, 4, 5].map(key_package_ref));
        let (missing, unknown) = (bob.take(9).only(key_package_ref(9)), bob.token(9, 9));

        // One id serves several pools.
        let unfit = bob.take(2).ciphersuites([OTHER_SUITE]);
        let takes = [missing.clone(), bob.take(1), carol.take(1), carol.take(2), bob.take(1), unfit, bob.take(2)];
        let reserved = store.reserve_key_packages(&takes, OnLapse::Return, at(0)).await;
        let (first, none) = (Ok(one.clone()), Err(PoolExhausted));
        let expected = [Err(NotFound), first.clone(), Ok(five), none, first, Err(NothingFits), Ok(two)];
        must_be!(each(reserved, |reserved| reserved.package.info.key_package_ref), expected);

        let takes = [missing.clone(), bob.take(3), carol.take(2), bob.take(4), bob.take(4), missing];
        let claimed = store.claim_key_packages(&takes, None, at(0)).await;
        let expected = [Err(NotFound), Ok(three), Err(PoolExhausted), Ok(four.clone()), Ok(four), Err(NotFound)];
        must_be!(each(claimed, |package| package.info.key_package_ref), expected);

        let tokens = [unknown.clone(), bob.token(1, 1), bob.token(5, 1), bob.token(1, 9), bob.token(1, 1)];
        let spent = store.spend_key_packages(&tokens, &no_usage(), at(1)).await;
        let expected = [Err(NotFound), Ok(one.clone()), Err(NotFound), Err(AlreadySpent), Ok(one)];
        must_be!(each(spent, |receipt| receipt.key_package_ref), expected);

        let tokens = [unknown, bob.token(2, 2), carol.token(5, 1), bob.token(2, 2), bob.token(1, 1)];
        let released = store.release_key_packages(&tokens, at(1)).await;
        let expected = [Err(NotFound), Ok(()), Ok(()), Err(NoLiveReservation), Err(AlreadySpent)];
        must_be!(each(released, |()| ()), expected);
        must_be!(bob.spend(&bob.token(2, 2), &no_usage(), at(1)).await, Err(NoLiveReservation));
    }

    /// A list of more than 1,000 items, or 64 ciphersuites, is refused as a whole, whatever the call, and settles nothing;
    /// one of as many is not.
    #[rules("COST-1", "ERR-3", "TIME-2")]
    async fn a_list_has_a_thousand_items_at_most(context: &Context) {
        let pool = context.stocked(one_times([1, 2])).await;
        pool.lease(&pool.take(1), at(0)).await;
        let refs: Vec<_> = (1..=1_001).map(key_package_ref).collect();
        let takes: Vec<_> = (1..=1_001).map(|n| pool.take(n).last_resort(LastResort::Never)).collect();
        let tokens: Vec<_> = (1..=1_001).map(|n| pool.token(n, n)).collect();
        let suites = pool.take(2).ciphersuites((0..65).map(Ciphersuite));
        let store = &pool.store;
        let all = Withdrawal::Refs(refs.clone());
        let refused = |rejections: Vec<Option<Rejection>>, items: usize| {
            must_be!(rejections, vec![Some(Rejection::TooManyItems); items]);
        };
        let late = at(60);
        refused(rejections(store.reserve_key_packages(&takes, OnLapse::Return, late).await), 1_001);
        refused(rejections(store.claim_key_packages(&takes, None, late).await), 1_001);
        let beside = [pool.take(3), suites];
        refused(rejections(store.claim_key_packages(&beside, None, late).await), 2);
        refused(rejections(store.reserve_key_packages(&beside, OnLapse::Return, late).await), 2);
        refused(rejections(store.spend_key_packages(&tokens, &no_usage(), late).await), 1_001);
        refused(rejections(store.release_key_packages(&tokens, late).await), 1_001);
        refused(rejections(store.renew_key_packages(&tokens, ttl(60), late).await), 1_001);
        let whole = [
            store.get_statuses(&pool.id, &refs, late).await.err(),
            store.withdraw_key_packages(&pool.id, &all, late).await.err(),
        ];
        refused(whole.iter().map(|error| error.as_ref()?.rejection().copied()).collect(), 2);
        must_be!(pool.status(1, at(59)).await, reserved(60), "nothing was done, nor settled");

        must_be!(works(store.get_statuses(&pool.id, &refs[..1_000], at(0)).await).len(), 1_000);
        let most = (0..64).map(Ciphersuite);
        let takes: Vec<_> = takes[1..].iter().map(|take| take.clone().ciphersuites(most.clone())).collect();
        let takes = &takes[..];
        let handed = store.claim_key_packages(takes, None, at(0)).await;
        must_be!(handed.iter().filter(|answer| answer.is_ok()).count(), 1, "one was left");
    }

    /// What was answered is there when the space is opened again, each step of it: packages, leases, receipts, replays,
    /// withdrawals, and what a refused call has settled.
    #[rules("ERR-5", "SPEND-3", "CLAIM-1")]
    #[relies_on(everything)]
    #[needs(reopens)]
    async fn what_was_answered_outlives_the_handles(context: &Context) {
        let mut packages = one_times(1..=5);
        packages.push(last_resort(6));
        context.pool().await.stock(packages, at(0)).await;

        let pool = context.pool().await;
        must_be!(pool.available(at(0)).await, [1, 2, 3, 4, 5].map(key_package_ref));
        let token = pool.lease(&pool.take(1), at(0)).await;
        drop(pool);

        let pool = context.pool().await;
        must_be!(pool.lease(&pool.take(1), at(1)).await, token);
        let receipt = pool.spend(&token, &usage("club", "alice"), at(2)).await;
        assert!(receipt.is_ok(), "the lease is live, and the spend is answered {receipt:?}");
        drop(pool);

        let pool = context.pool().await;
        must_be!(pool.spend(&token, &usage("club", "alice"), at(3)).await, receipt);
        must_be!(pool.spend(&token, &no_usage(), at(3)).await, Err(AlreadySpent));
        let club = group("club");
        must_be!(pool.claim(&pool.take(2), Some(&club), at(4)).await, Ok(one_time(2)));
        pool.lease(&pool.take(3), at(4)).await;
        must_be!(pool.withdraw([3, 4], at(5)).await, [WithdrawOutcome::Withdrawn; 2]);
        let last = pool.take(7).last_resort(LastResort::Only);
        must_be!(pool.claim(&last, None, at(5)).await, Ok(last_resort(6)));
        let before = pool.picture(1..=6, at(6)).await;
        drop(pool);

        let pool = context.pool().await;
        must_be!(pool.picture(1..=6, at(6)).await, before);
        must_be!(pool.claim(&pool.take(2), Some(&club), at(6)).await, Ok(one_time(2)));
        must_be!(pool.save(one_times([1, 4]), at(6)).await, [SaveOutcome::AlreadySpent; 2]);
        must_be!(pool.spend(&pool.token(9, 9), &no_usage(), at(64)).await, Err(NotFound));
        drop(pool);

        let pool = context.pool().await;
        let stale = pool.spend(&pool.token(3, 3), &no_usage(), at(6)).await;
        must_be!(stale, Err(NoLiveReservation), "the refused call settled this lease for good");
        must_be!(pool.status(3, at(6)).await, spent(64, Cause::Withdrawn));
        pool.stock(one_times([8]), at(65)).await;
        must_be!(pool.available(at(65)).await, [5, 8].map(key_package_ref), "the order goes on");
        pool.delete().await;
        drop(pool);
        must_be!(context.pool().await.counts(at(65)).await.len(), 0, "the pool that was deleted holds nothing");
    }

    /// What a call answered is seen at once, by every later read through the same handle or another, also by one that has
    /// read the same before.
    #[rules("LIN-1", "READ-1")]
    #[relies_on(everything)]
    async fn an_answer_is_seen_at_once_through_every_handle(context: &Context) {
        let pools = context.pools(3).await;
        let (mut model, mut handles) = (Model::default(), pools.iter().cycle());
        for change in changes(&pools[0]).iter().filter(|call| context.offers(call.method())) {
            let changing = handles.next().expect("there is always another");
            let reply = works(change.ask(&*changing.store).await);
            must_be!(reply, change.answered_by(&mut model), "{change:?}");
            for pool in &pools {
                for read in reads(pool).iter().filter(|call| context.offers(call.method())) {
                    let seen = works(read.ask(&*pool.store).await);
                    let expected = read.answered_by(&mut model);
                    must_be!(seen, expected, "{read:?}, after {change:?} through another handle or the same");
                }
            }
        }
    }
}

/// Every kind of change, one after the other.
fn changes(pool: &Pool) -> Vec<Call> {
    let (id, limit) = (&pool.id, 100);
    let mut packages = one_times(1..=6);
    packages.push(one_time(7).valid(-DAY, 100));
    vec![
        Call::Save(pool.request(packages), at(0)),
        Call::Save(pool.request(vec![last_resort(8)]), at(0)),
        Call::Claim(pool.take(1), None, at(0)),
        Call::Reserve(pool.take(2), OnLapse::Return, at(0)),
        Call::Renew(pool.token(2, 2), ttl(100), at(1)),
        Call::Release(pool.token(2, 2), at(1)),
        Call::Reserve(pool.take(3), OnLapse::Return, at(1)),
        Call::Spend(pool.token(2, 3), no_usage(), at(1)),
        Call::Withdraw(id.clone(), Withdrawal::Refs([3].map(key_package_ref).into()), at(1)),
        Call::Reserve(pool.take(4), OnLapse::Retire, at(1)),
        Call::Settle { limit, now: at(61) },
        Call::Claim(pool.take(5).last_resort(LastResort::Only), None, at(61)),
        Call::CleanUp { limit, now: at(100) },
        Call::Retire {
            saved_before: at(1),
            limit,
            now: at(100),
        },
        Call::Save(pool.request(one_times([9])).mode(SaveMode::Replace), at(100)),
        Call::Save(pool.request(one_times([10])).mode(SaveMode::Replace), at(100)),
        Call::Delete(id.clone()),
    ]
}

/// All that can be seen.
fn reads(pool: &Pool) -> Vec<Call> {
    let (id, limit, now) = (pool.id.clone(), 100, at(50));
    let refs: Vec<_> = (1..=10).map(key_package_ref).collect();
    vec![
        Call::Statuses(id.clone(), refs, now),
        Call::Get(id.clone(), key_package_ref(2), now),
        Call::Count(id.clone(), now),
        Call::Ready(id.clone(), now),
        Call::List { pool: id, limit, now },
        Call::Pools { limit },
    ]
}
