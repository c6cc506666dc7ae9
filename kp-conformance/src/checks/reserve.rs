use crate::asking::Asking as _;
use kp_core::Rejection::{NothingFits, PoolExhausted, TooManyReservations, Unsuitable};
use kp_core::Status;
use kp_core::server::{LastResort, OnLapse};

use crate::Context;
use crate::check::checks;
use crate::must_be::must_be;
use crate::packages::{
    Altered, DAY, END, OTHER_SUITE, SUITE, at, key_package_ref, last_resort, one_time, one_times, party, reserved,
};

checks! {
    /// The order is that of saving, within a batch and between batches, not that of refs, lifetimes, ciphersuites or
    /// clocks.
    #[rules("RES-2")]
    async fn the_oldest_saved_is_handed_out_first(context: &Context) {
        let batch = vec![one_time(1).valid(-10, END), one_time(2).of(OTHER_SUITE), one_time(3)];
        let pool = context.stocked(batch).await;
        pool.stock(vec![one_time(4).valid(-DAY, 500), one_time(5)], at(-50))
            .await;
        pool.stock(one_times(6..=9), at(7)).await;
        must_be!(
            pool.available(at(7)).await,
            (1..=9).map(key_package_ref).collect::<Vec<_>>()
        );
        for n in 1..=9 {
            let taken = pool.taken(n % 2 == 0, &pool.take(n), at(7)).await;
            must_be!(taken, Ok(key_package_ref(n)), "request {n} of 9 that ask for any package");
        }
    }

    /// However many packages have expired, what lies among them and behind them has its place: also when it returns, and
    /// when `now` steps back.
    #[rules("RES-2", "TIME-3", "COST-1")]
    async fn many_that_have_expired_hide_nothing(context: &Context) {
        let pool = context.pool().await;
        let mut batch = one_times(1..=153);
        for (n, package) in (1..=150).zip(&mut batch).filter(|(n, _)| *n != 75) {
            *package = package.clone().valid(-DAY, if n % 2 == 1 { 100 } else { 200 });
        }
        pool.stock(batch, at(0)).await;
        let among = pool.take(1).only(key_package_ref(75)).lasting(1_000);
        let among = pool.lease(&among, at(0)).await;
        // Only what is behind them is left, for one call as for the next.
        for n in [151, 152] {
            must_be!(pool.reserve_ref(&pool.take(n), at(200)).await, Ok(key_package_ref(n)));
        }
        // What is among them returns: it is released, and lapses.
        pool.released(&among, at(201)).await;
        must_be!(pool.reserve_ref(&pool.take(2), at(201)).await, Ok(key_package_ref(75)));
        must_be!(pool.reserve_ref(&pool.take(3), at(202)).await, Ok(key_package_ref(153)));
        must_be!(pool.claim_ref(&pool.take(4), at(261)).await, Ok(key_package_ref(75)));
        must_be!(pool.claim_ref(&pool.take(5), at(261)).await, Ok(key_package_ref(151)));
        // Where the clock is behind, some of them have not expired.
        must_be!(pool.reserve_ref(&pool.take(6), at(199)).await, Ok(key_package_ref(2)));
        must_be!(pool.reserve_ref(&pool.take(7), at(99)).await, Ok(key_package_ref(1)));
        // By then, those leases have lapsed too: of one that is behind them, and of two that have expired.
        for n in [152, 153] {
            must_be!(pool.claim_ref(&pool.take(n + 100), at(300)).await, Ok(key_package_ref(n)));
        }
        pool.refuses(&pool.take(8), at(300), PoolExhausted).await;
        must_be!(pool.reserve_ref(&pool.take(9), at(99)).await, Ok(key_package_ref(1)));
    }

    /// A package that was released, that lapsed, or whose time has come only now, keeps its place: a released one also under
    /// `Retire`, as the holder vouches that it was not used. Its id is a new request, of whoever asks.
    #[rules("RES-2", "REL-1", "RES-9", "RES-5")]
    async fn a_package_that_returns_keeps_its_place(context: &Context) {
        let mut batch = one_times(1..=5);
        batch[2] = one_time(3).valid(100, END);
        let pool = context.stocked(batch).await;
        pool.lease(&pool.take(1).only(key_package_ref(1)), at(0)).await;
        let (released, _) = pool.lease_until(&pool.take(2), OnLapse::Retire, at(0)).await;
        pool.released(&released, at(1)).await;
        must_be!(pool.available(at(1)).await, [2, 4, 5].map(key_package_ref));
        must_be!(pool.available(at(60)).await, [1, 2, 4, 5].map(key_package_ref));
        for n in 1..=5 {
            let anew = pool.take(n).by(party("bob"));
            must_be!(pool.reserve_ref(&anew, at(100)).await, Ok(key_package_ref(n)));
        }
    }

    /// Only packages of an accepted ciphersuite, with at least as much of their lifetime left as asked, to the second. No
    /// ciphersuite given means any, and an order means nothing.
    #[rules("RES-3", "RES-6")]
    async fn only_what_fits_is_handed_out(context: &Context) {
        let short = [(1, 100), (2, 200)].map(|(n, end)| one_time(n).valid(-DAY, end));
        let pool = context.stocked([&short[..], &[one_time(3).of(OTHER_SUITE)]].concat()).await;
        let other = pool.take(3).ciphersuites([OTHER_SUITE]);
        must_be!(pool.reserve_ref(&other, at(0)).await, Ok(key_package_ref(3)));
        let long = pool.take(2).remaining(101);
        must_be!(pool.reserve_ref(&long, at(0)).await, Ok(key_package_ref(2)));
        let new = pool.take(1);
        pool.refuses(&new.clone().ciphersuites([OTHER_SUITE]), at(0), NothingFits).await;
        for seconds in [101, u32::MAX] {
            pool.refuses(&new.clone().remaining(seconds), at(0), NothingFits).await;
        }
        let fits = new.ciphersuites([OTHER_SUITE, SUITE]).remaining(100);
        must_be!(pool.reserve_ref(&fits, at(0)).await, Ok(key_package_ref(1)));
    }

    /// A named package that is free and not as asked is `Unsuitable`, and one that is as asked is handed out, whatever
    /// is older.
    #[rules("RES-3", "RES-6")]
    async fn a_named_package_must_be_as_asked(context: &Context) {
        let batch = vec![one_time(1), one_time(2), one_time(3).valid(10, END), last_resort(4)];
        let pool = context.stocked(batch).await;
        let second = pool.take(1).only(key_package_ref(2));
        let left = u32::try_from(END).expect("it is small");
        for unfit in [
            second.clone().ciphersuites([OTHER_SUITE]),
            second.clone().remaining(left + 1),
            second.clone().last_resort(LastResort::Only),
            pool.take(1).only(key_package_ref(3)),
            pool.take(1).only(key_package_ref(4)),
            pool.take(1).only(key_package_ref(4)).last_resort(LastResort::Only),
        ] {
            pool.refuses(&unfit, at(0), Unsuitable).await;
        }
        must_be!(pool.status(4, at(0)).await, Some(Status::LastResort { used: false }));
        let fits = second
            .ciphersuites([OTHER_SUITE, SUITE])
            .remaining(left)
            .last_resort(LastResort::Never);
        must_be!(pool.reserve_ref(&fits, at(0)).await, Ok(key_package_ref(2)));
    }

    /// A lease ends `ttl` later, and at the package's `not_after` at the latest.
    #[rules("RES-4", "TIME-1")]
    async fn a_lease_ends_with_its_package_at_the_latest(context: &Context) {
        let batch = vec![one_time(1), one_time(2), one_time(3), one_time(4).valid(-DAY, 50)];
        let pool = context.stocked(batch).await;
        let most = u32::try_from(i32::MAX).expect("it is positive");
        for (n, seconds, expected) in [(1, 1, 1), (2, 60, 60), (3, most, END), (4, 60, 50)] {
            let take = pool.take(n).lasting(seconds);
            let (_, expires_at) = pool.lease_until(&take, OnLapse::Return, at(0)).await;
            must_be!(expires_at, at(expected));
            must_be!(pool.status(n, at(0)).await, reserved(expected));
        }
        must_be!(pool.status(1, at(1)).await, Some(Status::Available));
        must_be!(pool.status(4, at(50)).await, Some(Status::Expired));
    }

    /// The binding of the id comes first, then the limit, then the package.
    #[rules("RES-10", "RES-5", "RES-7")]
    async fn a_request_is_judged_in_order(context: &Context) {
        let pool = context.stocked(vec![one_time(1), last_resort(2)]).await;
        let take = pool.take(1).by(party("alice"));
        let first = pool.reserve(&take, at(0)).await;
        must_be!(
            pool.reserve(&take.clone().limit(0), at(1)).await,
            first,
            "bound: the limit is not looked at"
        );
        let full = |m| pool.take(m).by(party("alice")).limit(1);
        let last = full(2).last_resort(LastResort::Only);
        for refused in [
            full(2).only(key_package_ref(1)),
            full(2).only(key_package_ref(9)),
            full(2),
            last,
        ] {
            pool.refuses(&refused, at(1), TooManyReservations).await;
        }
        must_be!(pool.status(2, at(1)).await, Some(Status::LastResort { used: false }));
        let empty = pool.beside("nobody");
        let none_allowed = empty.take(1).by(party("alice")).limit(0);
        empty.refuses(&none_allowed, at(1), TooManyReservations).await;
    }
}
