use crate::asking::Asking as _;
use kp_core::Rejection::{AlreadySpent, NoLiveReservation, NotFound, NothingFits, PoolExhausted};
use kp_core::server::{Answers, LastResort, OnLapse, SaveOutcome, WithdrawOutcome, Withdrawal};
use kp_core::{Cause, Ciphersuite, KeyPackageRef, Rejection, Status};

use crate::Context;
use crate::check::checks;
use crate::packages::{
    OTHER_SUITE, SUITE, at, group, id, key_package_ref, last_resort, no_usage, one_time, one_times, reserved, spent,
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
        assert_eq!(each(reserved, |reserved| reserved.package.info.key_package_ref), expected);

        let takes = [missing.clone(), bob.take(3), carol.take(2), bob.take(4), bob.take(4), missing];
        let claimed = store.claim_key_packages(&takes, None, at(0)).await;
        let expected = [Err(NotFound), Ok(three), Err(PoolExhausted), Ok(four.clone()), Ok(four), Err(NotFound)];
        assert_eq!(each(claimed, |package| package.info.key_package_ref), expected);

        let tokens = [unknown.clone(), bob.token(1, 1), bob.token(5, 1), bob.token(1, 9), bob.token(1, 1)];
        let spent = store.spend_key_packages(&tokens, &no_usage(), at(1)).await;
        let expected = [Err(NotFound), Ok(one.clone()), Err(NotFound), Err(AlreadySpent), Ok(one)];
        assert_eq!(each(spent, |receipt| receipt.key_package_ref), expected);

        let tokens = [unknown, bob.token(2, 2), carol.token(5, 1), bob.token(2, 2), bob.token(1, 1)];
        let released = store.release_key_packages(&tokens, at(1)).await;
        let expected = [Err(NotFound), Ok(()), Ok(()), Err(NoLiveReservation), Err(AlreadySpent)];
        assert_eq!(each(released, |()| ()), expected);
        assert_eq!(bob.spend(&bob.token(2, 2), &no_usage(), at(1)).await, Err(NoLiveReservation));
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
            assert_eq!(rejections, vec![Some(Rejection::TooManyItems); items]);
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
        assert_eq!(pool.status(1, at(59)).await, reserved(60), "nothing was done, nor settled");

        assert_eq!(works(store.get_statuses(&pool.id, &refs[..1_000], at(0)).await).len(), 1_000);
        let most = (0..64).map(Ciphersuite);
        let takes: Vec<_> = takes[1..].iter().map(|take| take.clone().ciphersuites(most.clone())).collect();
        let takes = &takes[..];
        let handed = store.claim_key_packages(takes, None, at(0)).await;
        assert_eq!(handed.iter().filter(|answer| answer.is_ok()).count(), 1, "one was left");
    }

    /// What was answered is there when the space is opened again, each step of it: packages, leases, receipts, replays,
    /// withdrawals, and what a refused call has settled.
    #[rules("ERR-5", "SPEND-3", "CLAIM-1")]
    #[needs(reopens)]
    async fn what_was_answered_outlives_the_handles(context: &Context) {
        let mut packages = one_times(1..=5);
        packages.push(last_resort(6));
        context.pool().await.stock(packages, at(0)).await;

        let pool = context.pool().await;
        assert_eq!(pool.available(at(0)).await, [1, 2, 3, 4, 5].map(key_package_ref));
        let token = pool.lease(&pool.take(1), at(0)).await;
        drop(pool);

        let pool = context.pool().await;
        assert_eq!(pool.lease(&pool.take(1), at(1)).await, token);
        let receipt = pool.spend(&token, &usage("club", "alice"), at(2)).await;
        assert!(receipt.is_ok());
        drop(pool);

        let pool = context.pool().await;
        assert_eq!(pool.spend(&token, &usage("club", "alice"), at(3)).await, receipt);
        assert_eq!(pool.spend(&token, &no_usage(), at(3)).await, Err(AlreadySpent));
        let club = group("club");
        assert_eq!(pool.claim(&pool.take(2), Some(&club), at(4)).await, Ok(one_time(2)));
        pool.lease(&pool.take(3), at(4)).await;
        assert_eq!(pool.withdraw([3, 4], at(5)).await, [WithdrawOutcome::Withdrawn; 2]);
        let last = pool.take(7).last_resort(LastResort::Only);
        assert_eq!(pool.claim(&last, None, at(5)).await, Ok(last_resort(6)));
        let before = pool.picture(1..=6, at(6)).await;
        drop(pool);

        let pool = context.pool().await;
        assert_eq!(pool.picture(1..=6, at(6)).await, before);
        assert_eq!(pool.claim(&pool.take(2), Some(&club), at(6)).await, Ok(one_time(2)));
        assert_eq!(pool.save(one_times([1, 4]), at(6)).await, [SaveOutcome::AlreadySpent; 2]);
        assert_eq!(pool.spend(&pool.token(9, 9), &no_usage(), at(64)).await, Err(NotFound));
        drop(pool);

        let pool = context.pool().await;
        let stale = pool.spend(&pool.token(3, 3), &no_usage(), at(6)).await;
        assert_eq!(stale, Err(NoLiveReservation), "the refused call settled this lease for good");
        assert_eq!(pool.status(3, at(6)).await, spent(64, Cause::Withdrawn));
        pool.stock(one_times([8]), at(65)).await;
        assert_eq!(pool.available(at(65)).await, [5, 8].map(key_package_ref), "the order goes on");
        pool.delete().await;
        drop(pool);
        assert!(context.pool().await.counts(at(65)).await.is_empty());
    }

    /// What a call answered is seen at once, by every later call through the same handle or another.
    #[rules("LIN-1", "READ-1")]
    async fn an_answer_is_seen_at_once_through_every_handle(context: &Context) {
        let pools = context.pools(3).await;
        let turn = |n: u64| &pools[n as usize % pools.len()];
        for n in 1..=12 {
            let package = one_time(n);
            turn(n).stock(vec![package.clone()], at(0)).await;
            seen(turn(n + 1), n, Some(Status::Available)).await;
            let token = turn(n + 1).lease(&turn(n).take(n), at(0)).await;
            assert_eq!(token.id(), id(n));
            seen(turn(n + 2), n, reserved(60)).await;
            assert_eq!(turn(n + 2).release(&token, at(1)).await, Ok(()));
            seen(turn(n), n, Some(Status::Available)).await;
            assert_eq!(turn(n).claim(&turn(n).take(100 + n), None, at(1)).await, Ok(package));
            seen(turn(n + 1), n, spent(1, Cause::Used)).await;
            assert_eq!(turn(n + 1).available(at(1)).await, Vec::<KeyPackageRef>::new());
            assert_eq!(u64::from(turn(n + 2).count(SUITE, at(1)).await.spent), n);
        }
        turn(0).delete().await;
        assert!(turn(1).counts(at(1)).await.is_empty());
    }
}

/// The package is seen so by each of the reads.
async fn seen(pool: &Pool, n: u64, status: Option<Status>) {
    assert_eq!(pool.status(n, at(1)).await, status);
    assert_eq!(pool.get(n, at(1)).await.map(|stored| stored.status), status);
}
