use kp_core::Rejection::{AlreadySpent, Expired, NoLiveReservation, NotFound};
use kp_core::server::OnLapse;
use kp_core::{Cause, Status};

use crate::Context;
use crate::check::checks;
use crate::packages::{Altered, DAY, at, key_package_ref, last_resort, no_usage, one_time, one_times, reserved};
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

    /// A recalled one becomes spent when it is released, with the cause of its recall.
    #[rules("REL-1", "DEL-2", "DEL-3")]
    async fn a_recalled_package_is_spent_when_released(context: &Context) {
        let pool = context.stocked(one_times(1..=3)).await;
        let tokens = [
            pool.lease(&pool.take(1), at(0)).await,
            pool.lease(&pool.take(2), at(0)).await,
            pool.lease(&pool.take(3), at(0)).await,
        ];
        pool.withdraw([1], at(1)).await;
        pool.retire(at(1), at(2)).await;
        pool.withdraw([3], at(3)).await;
        for (token, cause) in tokens.iter().zip([Cause::Withdrawn, Cause::Retired, Cause::Withdrawn]) {
            pool.released(token, at(9)).await;
            let n = 1 + tokens
                .iter()
                .position(|other| other == token)
                .expect("it is one of them") as u64;
            assert_eq!(pool.status(n, at(9)).await, Some(Status::Spent { at: at(9), cause }));
            assert_eq!(pool.release(token, at(9)).await, Err(NoLiveReservation));
        }
        assert_eq!(pool.available(at(9)).await, []);
    }

    /// A release that comes too late is refused, in the order `NotFound`, `Expired`, `AlreadySpent`,
    /// `NoLiveReservation`, and changes nothing.
    #[rules("REL-2")]
    async fn a_late_release_changes_nothing(context: &Context) {
        let pool = context.pool().await;
        let mut batch: Vec<_> = (1..=2).map(|n| one_time(n).valid(-DAY, 100)).collect();
        batch.extend(one_times(3..=7));
        batch.push(last_resort(8));
        pool.stock(batch, at(0)).await;
        for n in 1..=6 {
            pool.lease(&pool.take(n), at(50)).await;
        }
        for n in [2, 3] {
            pool.spent(&pool.token(n, n), &no_usage(), at(50)).await;
        }
        pool.released(&pool.token(4, 4), at(50)).await;
        pool.withdraw([6], at(50)).await;
        let before = pool.picture(1..=8, at(110)).await;
        let expected = [
            (pool.token(9, 1), NotFound),
            (pool.token(1, 1), Expired),
            (pool.token(2, 2), Expired),
            (pool.token(3, 3), AlreadySpent),
            (pool.token(3, 9), AlreadySpent),
            (pool.token(4, 4), NoLiveReservation),
            (pool.token(5, 5), NoLiveReservation),
            (pool.token(6, 6), NoLiveReservation),
            (pool.token(7, 7), NoLiveReservation),
            (pool.token(8, 8), NoLiveReservation),
        ];
        for (token, expected) in expected {
            assert_eq!(pool.release(&token, at(110)).await, Err(expected), "{token:?}");
        }
        assert_eq!(pool.picture(1..=8, at(110)).await, before);
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
