use crate::asking::Asking as _;
use kp_core::Rejection::{PoolExhausted, TooManyReservations};
use kp_core::Status;
use kp_core::server::{OnLapse, TakeRequest};

use crate::Context;
use crate::check::checks;
use crate::must_be::must_be;
use crate::packages::{Altered, DAY, at, key_package_ref, last_resort, no_usage, one_time, one_times, party, usage};
use crate::pool::Pool;

/// Alice asks, and may have two.
fn alices(pool: &Pool, n: u64) -> TakeRequest {
    pool.take(n).by(party("alice")).limit(2)
}

checks! {
    /// A reserver at its limit gets no more, by reservation or by claim; others do, and a limit without a reserver is
    /// none.
    #[rules("RES-7")]
    async fn a_reserver_at_its_limit_gets_no_more(context: &Context) {
        let pool = context.stocked(one_times(1..=9)).await;
        pool.lease(&alices(&pool, 1), at(0)).await;
        pool.claimed(&alices(&pool, 2), at(0)).await;
        pool.refuses(&alices(&pool, 3), at(0), TooManyReservations).await;
        must_be!(pool.available(at(0)).await.len(), 7, "nothing was taken");
        pool.lease(&alices(&pool, 3).limit(3), at(0)).await;
        pool.lease(&pool.take(4).by(party("bob")).limit(1), at(0)).await;
        pool.lease(&pool.take(5).limit(0), at(0)).await;
        pool.lease(&pool.take(6).by(party("alice")), at(0)).await;
        pool.refuses(&pool.take(7).by(party("carol")).limit(0), at(0), TooManyReservations).await;
    }

    /// A package counts until the `expires_at` of its reservation, used or not; a released one no longer counts.
    #[rules("RES-7", "SPEND-4")]
    async fn used_packages_count_until_their_lease_would_have_ended(context: &Context) {
        let pool = context.stocked(one_times(1..=9)).await;
        let spent = pool.lease(&alices(&pool, 1), at(0)).await;
        let released = pool.lease(&alices(&pool, 2), at(10)).await;
        pool.spent(&spent, &no_usage(), at(20)).await;
        // A used one counts.
        pool.refuses(&alices(&pool, 3), at(20), TooManyReservations).await;
        pool.released(&released, at(30)).await;
        pool.lease(&alices(&pool, 3), at(30)).await;
        // Until its end.
        pool.refuses(&alices(&pool, 4), at(59), TooManyReservations).await;
        pool.lease(&alices(&pool, 4), at(60)).await;
        pool.refuses(&alices(&pool, 5), at(89), TooManyReservations).await;
        pool.lease(&alices(&pool, 5), at(90)).await;
    }

    /// A claim counts until its window ends; one made on a live reservation until the claim's own window does.
    #[rules("RES-7", "CLAIM-1")]
    async fn claims_count_until_their_window_ends(context: &Context) {
        let pool = context.stocked(one_times(1..=9)).await;
        pool.claimed(&alices(&pool, 1), at(0)).await;
        pool.lease(&alices(&pool, 2), at(0)).await;
        let longer = alices(&pool, 2).lasting(100);
        pool.claimed(&longer, at(10)).await;
        pool.refuses(&alices(&pool, 3), at(59), TooManyReservations).await;
        pool.claimed(&alices(&pool, 3), at(60)).await;
        pool.refuses(&alices(&pool, 4), at(109), TooManyReservations).await;
        pool.claimed(&alices(&pool, 4), at(110)).await;
    }

    /// The window of a claim ends with its package at the latest, and with it the claim counts no more.
    #[rules("RES-4", "CLAIM-1", "RES-7", "SWEEP-2")]
    async fn a_claims_window_ends_with_its_package(context: &Context) {
        let batch = vec![one_time(1).valid(-DAY, 30), one_time(2), one_time(3)];
        let pool = context.stocked(batch).await;
        pool.claimed(&alices(&pool, 1), at(0)).await;
        pool.claimed(&alices(&pool, 2), at(0)).await;
        pool.refuses(&alices(&pool, 3), at(29), TooManyReservations).await;
        must_be!(pool.settle(at(30), 10).await, 1, "the window of the package that ends at 30 has ended");
        pool.claimed(&alices(&pool, 3), at(30)).await;
    }

    /// What has ended no longer counts, also when `now` steps back.
    #[rules("RES-7", "TIME-2", "TIME-3")]
    async fn what_has_ended_counts_no_more(context: &Context) {
        let pool = context.stocked(one_times(1..=9)).await;
        let token = pool.lease(&alices(&pool, 1), at(0)).await;
        pool.spent(&token, &no_usage(), at(0)).await;
        pool.lease(&alices(&pool, 2), at(0)).await;
        pool.settle(at(60), 10).await;
        pool.lease(&alices(&pool, 3), at(1)).await;
        pool.lease(&alices(&pool, 4), at(1)).await;
        pool.refuses(&alices(&pool, 5), at(1), TooManyReservations).await;
    }

    /// A recalled reservation counts while it is live; a package past its `not_after` does not.
    #[rules("RES-7", "RES-4")]
    async fn recalled_leases_count_and_expired_packages_do_not(context: &Context) {
        let batch = vec![one_time(1), one_time(2).valid(-DAY, 30), one_time(3), one_time(4)];
        let pool = context.stocked(batch).await;
        pool.lease_until(&alices(&pool, 1), OnLapse::Retire, at(0)).await;
        pool.withdraw([1], at(0)).await;
        pool.lease(&alices(&pool, 2), at(0)).await;
        pool.refuses(&alices(&pool, 3), at(29), TooManyReservations).await;
        pool.lease(&alices(&pool, 3), at(30)).await;
        pool.refuses(&alices(&pool, 4), at(59), TooManyReservations).await;
        pool.lease(&alices(&pool, 4), at(60)).await;
    }

    /// Who reserved counts, and not who spent; each pool counts for itself; a last resort counts for nobody.
    #[rules("RES-7", "PRIV-1", "RES-6")]
    async fn only_the_reserver_counts_and_only_in_its_pool(context: &Context) {
        let bob = context.pool().await;
        let carol = bob.beside("carol/laptop");
        bob.stock(one_times(1..=3), at(0)).await;
        carol.stock(vec![last_resort(1), one_time(2), one_time(3)], at(0)).await;
        let for_nobody = bob.lease(&bob.take(1), at(0)).await;
        bob.spent(&for_nobody, &usage("group", "alice"), at(0)).await;
        bob.lease(&alices(&bob, 2), at(0)).await;
        bob.lease(&alices(&bob, 3), at(0)).await;
        let none_left = bob.take(9).by(party("dave")).limit(1);
        bob.refuses(&none_left, at(0), PoolExhausted).await;
        carol.lease(&alices(&carol, 2), at(0)).await;
        carol.lease(&carol.take(3).by(party("dave")).limit(1), at(0)).await;
        for n in 4..=6 {
            let last = carol.reserve_ref(&alices(&carol, n), at(0)).await;
            must_be!(last, Ok(key_package_ref(1)), "a last resort is no load on the pool");
        }
        must_be!(carol.status(1, at(0)).await, Some(Status::LastResort { used: true }));
    }
}
