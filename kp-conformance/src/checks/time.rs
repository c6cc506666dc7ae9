use crate::asking::Asking as _;
use kp_core::Rejection::{AlreadySpent, NoLiveReservation, PoolExhausted};
use kp_core::rules::Model;
use kp_core::server::{OnLapse, SaveMode, Withdrawal};
use kp_core::{Lifetime, Status, Timestamp, Ttl};

use crate::Context;
use crate::check::checks;
use crate::histories::Call;
use crate::must_be::must_be;
use crate::packages::{Altered, DAY, at, key_package_ref, no_usage, one_time, one_times, reserved};
use crate::pool::{Pool, works};

/// Calls at 60 that change a pool, all of them refused or without effect of their own.
fn changing(pool: &Pool) -> Vec<Call> {
    let (id, now, limit) = (pool.id.clone(), at(60), 10);
    let missing = pool.take(9).only(key_package_ref(9));
    let saved_before = Timestamp::MIN;
    vec![
        Call::Save(pool.request(vec![one_time(9).valid(-DAY, 0)]), now),
        Call::Reserve(missing.clone(), OnLapse::Return, now),
        Call::Claim(missing, None, now),
        Call::Spend(pool.token(9, 9), no_usage(), now),
        Call::Spend(pool.token(1, 1), no_usage(), now),
        Call::Release(pool.token(9, 9), now),
        Call::Withdraw(id, Withdrawal::Refs(vec![key_package_ref(9)]), now),
        Call::Retire {
            saved_before,
            limit,
            now,
        },
        Call::Settle { limit, now },
    ]
}

/// Calls that settle nothing of the pool: reads, a clean-up, empty batches, calls on another pool, and calls a second too
/// soon.
fn others(pool: &Pool) -> Vec<Vec<Call>> {
    let (id, now, limit) = (pool.id.clone(), at(60), 10);
    let other = pool.beside("carol/laptop");
    let missing = pool.take(9).only(key_package_ref(9));
    vec![
        vec![
            Call::Get(id.clone(), key_package_ref(1), now),
            Call::Statuses(id.clone(), (1..=3).map(key_package_ref).collect(), now),
            Call::List {
                pool: id.clone(),
                limit,
                now,
            },
            Call::Count(id.clone(), now),
        ],
        vec![Call::CleanUp { limit, now }],
        vec![
            Call::Save(pool.request(Vec::new()), now),
            Call::Save(pool.request(Vec::new()).mode(SaveMode::Replace), now),
            Call::ReserveMany(Vec::new(), OnLapse::Return, now),
            Call::Withdraw(id, Withdrawal::Refs(Vec::new()), now),
        ],
        vec![
            Call::Save(other.request(one_times([1])), now),
            Call::Reserve(other.take(1), OnLapse::Return, now),
            Call::Withdraw(other.id.clone(), Withdrawal::All, at(200)),
            Call::Delete(other.id),
        ],
        vec![
            Call::Reserve(missing, OnLapse::Return, at(59)),
            Call::Settle { limit, now: at(59) },
        ],
    ]
}

/// What leads to a pool with a lease on the first package and a claim of the second, both until 60, and a third package.
fn beginning(pool: &Pool) -> [Call; 3] {
    [
        Call::Save(pool.request(one_times(1..=3)), at(0)),
        Call::Reserve(pool.take(1), OnLapse::Return, at(0)),
        Call::Claim(pool.take(2), None, at(0)),
    ]
}

/// Such a pool, after these calls, all of them answered as by the rules.
async fn ended(context: &Context, name: &str, calls: impl FnOnce(&Pool) -> Vec<Call>) -> Pool {
    let pool = context.pool().await.beside(name);
    let mut model = Model::default();
    for call in beginning(&pool).into_iter().chain(calls(&pool)) {
        let reply = works(call.ask(&*pool.store).await);
        must_be!(reply, call.answered_by(&mut model), "{call:?}");
    }
    pool
}

checks! {
    /// Times at their bounds are kept to the second.
    #[rules("TIME-1", "RES-4")]
    async fn times_at_their_bounds_are_exact(context: &Context) {
        assert!(Timestamp::try_from(-1).is_err() && Timestamp::try_from(1 << 53).is_err());
        assert!(Ttl::try_from(0).is_err() && Ttl::try_from(1 << 31).is_err());
        assert!(Lifetime::new(at(1), at(1)).is_err());
        let pool = context.pool().await;
        let max = Timestamp::MAX;
        let mut whole = one_time(1);
        whole.info.lifetime = Lifetime::new(Timestamp::MIN, max).expect("it begins before it ends");
        pool.stock(vec![whole.clone()], Timestamp::MIN).await;
        let longest = pool.take(1).lasting((1 << 31) - 1);
        let (first, until) = pool.lease_until(&longest, OnLapse::Return, Timestamp::MIN).await;
        must_be!(until.get(), (1 << 31) - 1);
        pool.released(&first, until.minus(1)).await;
        let second = pool.take(2).lasting(1);
        let (_, until) = pool.lease_until(&second, OnLapse::Return, max.minus(3)).await;
        must_be!(until, max.minus(2));
        pool.refuses(&pool.take(3), max.minus(3), PoolExhausted).await;
        let (token, until) = pool.lease_until(&pool.take(3), OnLapse::Return, max.minus(2)).await;
        must_be!(until, max);
        let receipt = pool.spent(&token, &no_usage(), max.minus(1)).await;
        must_be!(receipt.spent_at, max.minus(1));
        let stored = pool.get(1, max.minus(1)).await.expect("it is remembered");
        must_be!(stored.info, whole.info);
        must_be!(pool.status(1, max).await, Some(Status::Expired));
        must_be!(pool.cleanup(max.minus(1), 10).await, 0);
        must_be!(pool.cleanup(max, 10).await, 1);
    }

    /// A changing call settles its pool first, also when it is then refused: what has ended stays ended.
    #[rules("TIME-2", "TIME-3")]
    async fn a_changing_call_settles_its_pool_also_when_refused(context: &Context) {
        for n in 0..changing(&context.pool().await).len() {
            let pool = ended(context, &format!("user-{n}"), |pool| vec![changing(pool).swap_remove(n)]).await;
            let call = &changing(&pool)[n];
            pool.refuses(&pool.take(2), at(59), AlreadySpent).await;
            must_be!(
                pool.status(1, at(59)).await,
                Some(Status::Available),
                "{call:?} ends the lease"
            );
            let late = pool.spend(&pool.token(1, 1), &no_usage(), at(59)).await;
            must_be!(late, Err(NoLiveReservation), "{call:?} ends the lease");
        }
    }

    /// What changes nothing of a pool settles nothing of it: where the clock is behind, the lease goes on.
    #[rules("TIME-2", "READ-1", "SAVE-2")]
    async fn what_is_no_call_on_the_pool_settles_nothing(context: &Context) {
        for n in 0..others(&context.pool().await).len() {
            let pool = ended(context, &format!("user-{n}"), |pool| others(pool).swap_remove(n)).await;
            let calls = &others(&pool)[n];
            must_be!(pool.store.claim_key_packages(&[], None, at(60)).await.len(), 0, "no answers for an empty batch");
            must_be!(pool.store.spend_key_packages(&[], &no_usage(), at(60)).await.len(), 0, "no answers for an empty batch");
            must_be!(pool.store.release_key_packages(&[], at(60)).await.len(), 0, "no answers for an empty batch");
            must_be!(
                pool.claim(&pool.take(2), None, at(59)).await,
                Ok(one_time(2)),
                "{calls:?} end no window"
            );
            let receipt = pool.spend(&pool.token(1, 1), &no_usage(), at(59)).await;
            assert!(receipt.is_ok(), "{calls:?} end no lease");
        }
    }

    /// Each item of a call on many pools settles the pool it names.
    #[rules("TIME-2")]
    async fn each_item_settles_the_pool_it_names(context: &Context) {
        let bob = ended(context, "bob", |_| Vec::new()).await;
        let carol = ended(context, "carol", |_| Vec::new()).await;
        let dave = ended(context, "dave", |_| Vec::new()).await;
        let tokens = [bob.token(9, 9), carol.token(9, 9)];
        let _ = bob.store.spend_key_packages(&tokens, &no_usage(), at(60)).await;
        for pool in [&bob, &carol] {
            must_be!(pool.status(1, at(59)).await, Some(Status::Available));
        }
        must_be!(dave.status(1, at(59)).await, reserved(60));
    }

    /// At most one id holds a package, whatever `now` is passed.
    #[rules("TIME-3", "RES-1", "SPEND-2", "REL-2")]
    async fn one_id_holds_a_package_whatever_the_time(context: &Context) {
        let pool = context.stocked(one_times([1])).await;
        let first = pool.lease(&pool.take(1), at(0)).await;
        let second = pool.lease(&pool.take(2), at(60)).await;
        for now in [30, 0, -60, 61] {
            pool.refuses(&pool.take(1), at(now), PoolExhausted).await;
            must_be!(
                pool.spend(&first, &no_usage(), at(now)).await,
                Err(NoLiveReservation),
                "at {now}"
            );
            must_be!(pool.release(&first, at(now)).await, Err(NoLiveReservation), "at {now}");
        }
        let receipt = pool.spent(&second, &no_usage(), at(30)).await;
        must_be!(receipt.spent_at, at(30));
    }

    /// A reservation made where the clock is behind ends by that clock.
    #[rules("TIME-3", "RES-4")]
    async fn a_lease_counts_from_the_now_of_its_call(context: &Context) {
        let pool = context.pool().await;
        pool.stock(one_times([1, 2]), at(100)).await;
        let (_, until) = pool.lease_until(&pool.take(1), OnLapse::Return, at(20)).await;
        must_be!(until, at(80));
        must_be!(
            pool.reserve_ref(&pool.take(2), at(100)).await,
            Ok(key_package_ref(1)),
            "lapsed by this clock"
        );
        must_be!(
            pool.spend(&pool.token(1, 1), &no_usage(), at(20)).await,
            Err(NoLiveReservation)
        );
    }
}
