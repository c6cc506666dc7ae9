use kp_core::Rejection::{AlreadySpent, NoLiveReservation, NotFound};
use kp_core::server::OnLapse;

use crate::Context;
use crate::check::checks;
use crate::packages::{at, key_package_ref, no_usage, one_time, one_times, reserved};
use crate::pool::answered;

checks! {
    /// A released package is available again, in its place, also under `Retire`: the holder vouches that it was not
    /// used.
    #[rules("REL-1", "RES-9", "RES-2")]
    async fn a_released_package_is_available_again(context: &Context) {
        let pool = context.stocked(one_times(1..=3)).await;
        let first = pool.lease(&pool.take(1), at(0)).await;
        let (second, _) = pool.lease_until(&pool.take(2), OnLapse::Retire, at(0)).await;
        pool.released(&second, at(59)).await;
        pool.released(&first, at(59)).await;
        assert_eq!(pool.available(at(59)).await, [1, 2, 3].map(key_package_ref));
        assert_eq!(pool.claim(&pool.take(4), None, at(60)).await, Ok(one_time(1)));
    }

    /// Only the holder releases: another id leaves a live reservation alone.
    #[rules("REL-2", "RES-1")]
    async fn a_stranger_cannot_release(context: &Context) {
        let pool = context.stocked(one_times([1])).await;
        let stale = pool.lease(&pool.take(1), at(0)).await;
        let live = pool.lease(&pool.take(2), at(60)).await;
        assert_eq!(pool.release(&stale, at(61)).await, Err(NoLiveReservation));
        assert_eq!(pool.release(&pool.token(1, 3), at(61)).await, Err(NoLiveReservation));
        assert_eq!(pool.status(1, at(61)).await, reserved(120));
        pool.spent(&live, &no_usage(), at(61)).await;
    }

    /// After a spend a release is refused, and after a release a spend is.
    #[rules("REL-3", "SPEND-2")]
    async fn of_release_and_spend_the_first_wins(context: &Context) {
        let pool = context.stocked(one_times([1, 2])).await;
        let spent = pool.lease(&pool.take(1), at(0)).await;
        let released = pool.lease(&pool.take(2), at(0)).await;
        pool.spent(&spent, &no_usage(), at(1)).await;
        assert_eq!(pool.release(&spent, at(1)).await, Err(AlreadySpent));
        pool.released(&released, at(1)).await;
        assert_eq!(
            pool.release(&released, at(1)).await,
            Err(NoLiveReservation),
            "a release is not repeated"
        );
        assert_eq!(pool.spend(&released, &no_usage(), at(1)).await, Err(NoLiveReservation));
        assert_eq!(pool.available(at(1)).await, [key_package_ref(2)]);
    }

    /// A batch of releases has an answer for each, in order.
    #[rules("REL-1", "ERR-3")]
    async fn a_batch_of_releases_has_an_answer_for_each(context: &Context) {
        let bob = context.pool().await;
        let carol = bob.beside("carol/laptop");
        bob.stock(one_times([1]), at(0)).await;
        carol.stock(one_times([1]), at(0)).await;
        let bobs = bob.lease(&bob.take(1), at(0)).await;
        let carols = carol.lease(&carol.take(1), at(0)).await;
        let tokens = [bob.token(9, 9), bobs.clone(), carols, bobs];
        let answers = bob.store.release_key_packages(&tokens, at(1)).await;
        let answers: Vec<_> = answers.into_iter().map(answered).collect();
        assert_eq!(answers, [Err(NotFound), Ok(()), Ok(()), Err(NoLiveReservation)]);
        assert!(bob.store.release_key_packages(&[], at(1)).await.is_empty());
    }
}
