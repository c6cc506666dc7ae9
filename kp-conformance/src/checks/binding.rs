use crate::asking::Asking as _;
use kp_core::Rejection::{AlreadySpent, PoolExhausted, ReservationConflict};
use kp_core::server::{LastResort, OnLapse};
use kp_core::{Ciphersuite, Rejection, Status};

use crate::Context;
use crate::check::checks;
use crate::packages::{
    Altered, DAY, OTHER_SUITE, SUITE, at, key_package_ref, last_resort, no_usage, one_time, one_times, party, reserved,
};

checks! {
    /// The same id again is the same reservation: nothing changes, and nothing else of the request is looked at.
    #[rules("RES-5")]
    async fn the_same_id_is_the_same_reservation(context: &Context) {
        let pool = context.stocked(one_times([1, 2])).await;
        let first = pool.reserve(&pool.take(1), at(0)).await;
        assert!(first.is_ok());
        let before = pool.picture([1, 2], at(30)).await;
        let longer = pool.take(1).lasting(600);
        for again in [
            pool.take(1),
            longer,
            pool.take(1).ciphersuites([OTHER_SUITE, SUITE]),
            pool.take(1).remaining(u32::MAX),
            pool.take(1).limit(0),
            pool.take(1).last_resort(LastResort::Only),
            pool.take(1).only(key_package_ref(1)),
        ] {
            assert_eq!(pool.lend(&again, OnLapse::Retire, at(30)).await, first, "{again:?}");
        }
        assert_eq!(pool.picture([1, 2], at(30)).await, before);
        assert_eq!(
            pool.status(1, at(60)).await,
            Some(Status::Available),
            "it still returns at its lapse"
        );
    }

    /// With a bound id, ciphersuites that leave its package out are another request, also when it is used: a caller never
    /// gets a package that it cannot use.
    #[rules("RES-5", "CLAIM-1")]
    async fn a_bound_id_with_other_ciphersuites_is_a_conflict(context: &Context) {
        let pool = context.stocked(one_times([1, 2, 3])).await;
        pool.stock(vec![one_time(4).of(OTHER_SUITE)], at(0)).await;
        pool.lease(&pool.take(1), at(0)).await;
        pool.claimed(&pool.take(2), at(0)).await;
        let before = pool.picture(1..=4, at(30)).await;
        let conflict = Some(Rejection::ReservationConflict);
        for n in [1, 2] {
            let other = pool.take(n).ciphersuites([OTHER_SUITE, Ciphersuite(9)]);
            assert_eq!(pool.reserve(&other, at(30)).await.err(), conflict, "reserve by the id {n}");
            assert_eq!(pool.claim(&other, None, at(30)).await.err(), conflict, "claim by the id {n}");
        }
        assert_eq!(pool.picture(1..=4, at(30)).await, before);
        let released = pool.take(3).ciphersuites([SUITE]);
        let token = pool.lease(&released, at(30)).await;
        pool.released(&token, at(30)).await;
        let anew = pool.take(3).ciphersuites([OTHER_SUITE]);
        assert_eq!(pool.claim(&anew, None, at(30)).await, Ok(one_time(4).of(OTHER_SUITE)), "an id that is free");
    }

    /// With a live id, another package named, or another reserver, is another request.
    #[rules("RES-5", "PRIV-1")]
    async fn the_id_of_another_request_is_a_conflict(context: &Context) {
        let pool = context.stocked(one_times(1..=4)).await;
        let alices = pool.take(1).by(party("alice"));
        let nobodys = pool.take(2);
        pool.lease(&alices, at(0)).await;
        pool.lease(&nobodys, at(0)).await;
        for other in [
            alices.clone().only(key_package_ref(3)),
            alices.clone().only(key_package_ref(99)),
            alices.clone().by(party("mallory")),
            pool.take(1),
            nobodys.clone().by(party("alice")),
            nobodys.only(key_package_ref(1)),
        ] {
            assert_eq!(pool.reserve(&other, at(1)).await, Err(ReservationConflict), "{other:?}");
            assert_eq!(
                pool.claim(&other, None, at(1)).await,
                Err(ReservationConflict),
                "{other:?}"
            );
        }
        let kept = reserved(60);
        assert_eq!(pool.statuses(1..=2, at(1)).await, [kept; 2]);
    }

    /// A released or lapsed id is a new request, of whoever asks.
    #[rules("RES-5", "REL-1")]
    async fn a_released_or_lapsed_id_is_a_new_request(context: &Context) {
        let pool = context.stocked(one_times([1, 2])).await;
        let alices = pool.take(1).by(party("alice"));
        let token = pool.lease(&alices, at(0)).await;
        pool.released(&token, at(1)).await;
        let second = pool.take(1).only(key_package_ref(2));
        assert_eq!(pool.reserve_ref(&second, at(2)).await, Ok(key_package_ref(2)));
        assert_eq!(
            pool.reserve_ref(&alices, at(62)).await,
            Ok(key_package_ref(1)),
            "lapsed: the oldest again"
        );
        let late = pool.spend(&pool.token(2, 1), &no_usage(), at(62)).await;
        assert_eq!(late, Err(Rejection::NoLiveReservation));
    }

    /// The id of a used package is bound until that package is past its `not_after`, as each call's `now` has it.
    #[rules("RES-5", "TIME-3", "TIME-2")]
    async fn an_id_is_free_again_when_its_package_has_expired(context: &Context) {
        let pool = context.stocked(vec![one_time(1).valid(-DAY, 100)]).await;
        let token = pool.lease(&pool.take(1), at(0)).await;
        pool.spent(&token, &no_usage(), at(0)).await;
        assert_eq!(pool.reserve(&pool.take(1), at(99)).await, Err(AlreadySpent));
        assert_eq!(
            pool.reserve(&pool.take(1), at(100)).await,
            Err(PoolExhausted),
            "a new request"
        );
        assert_eq!(
            pool.reserve(&pool.take(1), at(99)).await,
            Err(AlreadySpent),
            "expiry is not settled"
        );
    }

    /// A new binding of an id ends its old one for good, also when `now` steps back.
    #[rules("RES-5", "TIME-3")]
    async fn a_new_binding_ends_the_old_one_for_good(context: &Context) {
        let pool = context.stocked(vec![one_time(1).valid(-DAY, 100), one_time(2)]).await;
        let old = pool.lease(&pool.take(1), at(0)).await;
        let receipt = pool.spend(&old, &no_usage(), at(0)).await;
        let new = pool.lease(&pool.take(1), at(100)).await;
        assert_eq!(new.key_package_ref, key_package_ref(2));
        assert_eq!(
            pool.lease(&pool.take(1), at(50)).await,
            new,
            "the id holds the second package now"
        );
        pool.released(&new, at(50)).await;
        assert_eq!(
            pool.lease(&pool.take(1), at(50)).await,
            new,
            "and not the first, whatever the time"
        );
        assert_eq!(
            pool.spend(&old, &no_usage(), at(50)).await,
            receipt,
            "its receipt stays"
        );
    }

    /// A request that is refused binds nothing.
    #[rules("RES-5", "RES-6")]
    async fn a_refused_request_binds_nothing(context: &Context) {
        let pool = context.pool().await;
        let alices = pool.take(1).by(party("alice"));
        assert_eq!(pool.reserve(&alices, at(0)).await, Err(PoolExhausted));
        pool.stock(one_times([1]), at(0)).await;
        let missing = pool.take(1).only(key_package_ref(9));
        assert_eq!(pool.reserve(&missing, at(0)).await, Err(Rejection::NotFound));
        assert_eq!(
            pool.reserve_ref(&pool.take(1).by(party("bob")), at(0)).await,
            Ok(key_package_ref(1))
        );
    }

    /// An id is of its pool: the same id in another pool is another request.
    #[rules("RES-5")]
    async fn one_id_serves_several_pools(context: &Context) {
        let bob = context.pool().await;
        let carol = bob.beside("carol/laptop");
        bob.stock(one_times([1]), at(0)).await;
        carol.stock(one_times([2]), at(0)).await;
        let bobs = bob.lease(&bob.take(1).by(party("alice")), at(0)).await;
        let carols = carol.lease(&carol.take(1), at(0)).await;
        assert_eq!(carols.key_package_ref, key_package_ref(2));
        bob.spent(&bobs, &no_usage(), at(1)).await;
        assert_eq!(carol.status(2, at(1)).await, reserved(60));
        assert_eq!(carol.lease(&carol.take(1), at(1)).await, carols);
    }

    /// A last resort binds no id: the same id later is a new request, and may get a one-time package.
    #[rules("RES-6", "RES-5")]
    async fn a_last_resort_binds_no_id(context: &Context) {
        let pool = context.stocked(vec![last_resort(1)]).await;
        for take in [pool.take(1), pool.take(1).by(party("alice"))] {
            let reserved = pool.reserve(&take, at(0)).await.expect("there is a last resort");
            assert_eq!((reserved.package, reserved.lease), (last_resort(1), None));
            assert_eq!(pool.claim(&take, None, at(0)).await, Ok(last_resort(1)));
        }
        pool.stock(one_times([2]), at(0)).await;
        assert_eq!(pool.reserve_ref(&pool.take(1), at(1)).await, Ok(key_package_ref(2)));
        let nothing = pool.spend(&pool.token(1, 1), &no_usage(), at(1)).await;
        assert_eq!(nothing, Err(Rejection::NoLiveReservation));
        assert_eq!(
            pool.release(&pool.token(1, 1), at(1)).await,
            Err(Rejection::NoLiveReservation)
        );
    }
}
