use kp_core::Rejection::{NoLiveReservation, NotFound, TooManyReservations};
use kp_core::server::OnLapse;
use kp_core::{Cause, Status};

use crate::Context;
use crate::asking::Asking as _;
use crate::check::checks;
use crate::must_be::must_be;
use crate::packages::{Altered, DAY, at, no_usage, one_time, one_times, party, reserved, spent, ttl};
use crate::pool::answered;

checks! {
    /// A renewed lease holds until its new end, as if it had been made so: nothing ends it before, its id gets the same
    /// answer with the new end, and may spend the package.
    #[rules("REN-1", "RES-5")]
    async fn a_renewed_lease_holds_until_its_new_end(context: &Context) {
        let pool = context.stocked(one_times([1, 2])).await;
        let token = pool.lease(&pool.take(1), at(0)).await;
        must_be!(pool.renewed(&token, 60, at(50)).await, at(110));
        must_be!(pool.settle(at(60), 10).await, 0, "it does not end when it would have ended");
        must_be!(pool.lease_until(&pool.take(1), OnLapse::Return, at(70)).await, (token.clone(), at(110)));
        must_be!(pool.renewed(&token, 60, at(100)).await, at(160), "as often as wanted");
        must_be!(pool.status(1, at(159)).await, reserved(160));
        must_be!(pool.status(1, at(160)).await, Some(Status::Available));
        pool.spent(&token, &no_usage(), at(159)).await;
    }

    /// At its new end the lease lapses, and as it was to: the package returns, or is retired.
    #[rules("REN-1", "RES-9", "SWEEP-2")]
    async fn a_renewed_lease_lapses_at_its_new_end(context: &Context) {
        let pool = context.stocked(one_times([1, 2])).await;
        let returns = pool.lease(&pool.take(1), at(0)).await;
        let (retires, _) = pool.lease_until(&pool.take(2), OnLapse::Retire, at(0)).await;
        pool.renewed(&returns, 60, at(30)).await;
        pool.renewed(&retires, 60, at(30)).await;
        must_be!(pool.settle(at(89), 10).await, 0);
        must_be!(pool.settle(at(90), 10).await, 2);
        must_be!(pool.status(1, at(90)).await, Some(Status::Available));
        must_be!(pool.status(2, at(90)).await, spent(90, Cause::Retired));
        must_be!(pool.renew(&returns, 60, at(90)).await, Err(NoLiveReservation));
    }

    /// A renewal makes no lease shorter, and none outlast its package.
    #[rules("REN-1", "RES-4")]
    async fn a_lease_is_never_made_shorter_nor_outlasts_its_package(context: &Context) {
        let pool = context.stocked(vec![one_time(1).valid(-DAY, 100)]).await;
        let token = pool.lease(&pool.take(1), at(0)).await;
        must_be!(pool.renewed(&token, 9, at(50)).await, at(60));
        must_be!(pool.status(1, at(59)).await, reserved(60));
        must_be!(pool.renewed(&token, 1_000, at(59)).await, at(100));
        must_be!(pool.status(1, at(99)).await, reserved(100));
    }

    /// The lease of a recalled package keeps its end, so that a withdrawal takes effect.
    #[rules("REN-1", "DEL-3")]
    async fn the_lease_of_a_recalled_package_keeps_its_end(context: &Context) {
        let pool = context.stocked(one_times([1])).await;
        let token = pool.lease(&pool.take(1), at(0)).await;
        pool.withdraw([1], at(10)).await;
        must_be!(pool.renewed(&token, 600, at(20)).await, at(60));
        must_be!(pool.status(1, at(60)).await, spent(60, Cause::Withdrawn));
    }

    /// A renewed lease counts for the limit of its reserver until its new end; no limit keeps it from being renewed.
    #[rules("REN-1", "RES-7")]
    async fn a_renewed_lease_counts_until_its_new_end(context: &Context) {
        let pool = context.stocked(one_times(1..=3)).await;
        let take = pool.take(1).by(party("alice")).limit(1);
        let token = pool.lease(&take, at(0)).await;
        pool.renewed(&token, 60, at(50)).await;
        let another = pool.take(2).by(party("alice")).limit(1);
        must_be!(pool.reserve(&another, at(109)).await, Err(TooManyReservations));
        pool.lease(&another, at(110)).await;
    }

    /// Only the id of the live lease renews it.
    #[rules("REN-2", "RES-1")]
    async fn a_stranger_cannot_renew(context: &Context) {
        let pool = context.stocked(one_times([1])).await;
        let stale = pool.lease(&pool.take(1), at(0)).await;
        let live = pool.lease(&pool.take(2), at(60)).await;
        must_be!(pool.renew(&stale, 600, at(61)).await, Err(NoLiveReservation));
        must_be!(pool.renew(&pool.token(1, 3), 600, at(61)).await, Err(NoLiveReservation));
        must_be!(pool.status(1, at(61)).await, reserved(120));
        pool.released(&live, at(61)).await;
        must_be!(pool.renew(&live, 600, at(61)).await, Err(NoLiveReservation));
    }

    /// A batch of renewals has an answer for each, in order, and to the same token twice.
    #[rules("REN-1", "ERR-3")]
    async fn a_batch_of_renewals_has_an_answer_for_each(context: &Context) {
        let bob = context.pool().await;
        let carol = bob.beside("carol/laptop");
        bob.stock(one_times([1]), at(0)).await;
        carol.stock(one_times([1]), at(0)).await;
        let bobs = bob.lease(&bob.take(1), at(0)).await;
        let carols = carol.lease(&carol.take(1), at(0)).await;
        let tokens = [bob.token(9, 9), bobs.clone(), carols, bobs];
        let answers = bob.store.renew_key_packages(&tokens, ttl(60), at(1)).await;
        let ends = answers.into_iter().map(|answer| answered(answer).map(|lease| lease.expires_at));
        must_be!(ends.collect::<Vec<_>>(), [Err(NotFound), Ok(at(61)), Ok(at(61)), Ok(at(61))]);
        must_be!(bob.store.renew_key_packages(&[], ttl(60), at(1)).await.len(), 0, "no answers for no tokens");
    }
}
