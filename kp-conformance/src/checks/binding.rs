use crate::asking::Asking as _;
use kp_core::Rejection::{AlreadySpent, NothingFits, ReservationConflict};
use kp_core::Status;
use kp_core::server::{LastResort, OnLapse, SaveOutcome};
use kp_core::{Ciphersuite, Rejection};

use crate::Context;
use crate::check::checks;
use crate::must_be::must_be;
use crate::packages::{
    Altered, DAY, OTHER_SUITE, SUITE, at, key_package_ref, no_usage, one_time, one_times, party, reserved,
};

checks! {
    /// The same id again is the same reservation: nothing changes, and nothing else of the request is looked at.
    #[rules("RES-5")]
    async fn the_same_id_is_the_same_reservation(context: &Context) {
        let pool = context.stocked(one_times([1, 2])).await;
        let first = pool.reserve(&pool.take(1), at(0)).await;
        assert!(first.is_ok(), "a package is there to reserve, and the answer is {first:?}");
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
            must_be!(pool.lend(&again, OnLapse::Retire, at(30)).await, first, "{again:?}");
        }
        must_be!(pool.picture([1, 2], at(30)).await, before);
        must_be!(
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
            must_be!(pool.reserve(&other, at(30)).await.err(), conflict, "reserve by the id {n}");
            must_be!(pool.claim(&other, None, at(30)).await.err(), conflict, "claim by the id {n}");
        }
        must_be!(pool.picture(1..=4, at(30)).await, before);
        let released = pool.take(3).ciphersuites([SUITE]);
        let token = pool.lease(&released, at(30)).await;
        pool.released(&token, at(30)).await;
        let anew = pool.take(3).ciphersuites([OTHER_SUITE]);
        must_be!(pool.claim(&anew, None, at(30)).await, Ok(one_time(4).of(OTHER_SUITE)), "an id that is free");
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
            pool.refuses(&other, at(1), ReservationConflict).await;
        }
        let kept = reserved(60);
        must_be!(pool.statuses(1..=2, at(1)).await, [kept; 2]);
    }

    /// The id of a used package is bound until that package is past its `not_after`, as each call's `now` has it. A new
    /// binding ends the old one for good, also when `now` steps back.
    #[rules("RES-5", "TIME-3", "TIME-2")]
    async fn a_new_binding_ends_the_old_one_for_good(context: &Context) {
        let pool = context.stocked(vec![one_time(1).valid(-DAY, 100), one_time(2)]).await;
        let old = pool.lease(&pool.take(1), at(0)).await;
        let receipt = pool.spend(&old, &no_usage(), at(0)).await;
        let unfit = pool.take(1).remaining(u32::MAX);
        for (now, refusal) in [(99, AlreadySpent), (100, NothingFits), (99, AlreadySpent)] {
            // Expiry is not settled.
            pool.refuses(&unfit, at(now), refusal).await;
        }
        let new = pool.lease(&pool.take(1), at(100)).await;
        must_be!(new.key_package_ref, key_package_ref(2));
        let again = pool.lease(&pool.take(1), at(50)).await;
        must_be!(again, new, "the id holds the second package now");
        pool.released(&new, at(50)).await;
        let again = pool.lease(&pool.take(1), at(50)).await;
        must_be!(again, new, "and not the first, whatever the time");
        must_be!(pool.spend(&old, &no_usage(), at(50)).await, receipt, "its receipt stays");
        // Both were used under the id, which is bound to the second.
        pool.spent(&again, &no_usage(), at(50)).await;
        pool.refuses(&pool.take(1), at(50), AlreadySpent).await;
        must_be!(pool.spend(&old, &no_usage(), at(50)).await, receipt, "its receipt stays");
    }

    /// The same where the old package is swept, or saved anew, after the new binding: the new one stays.
    #[rules("RES-5", "CLAIM-1", "SWEEP-1")]
    async fn the_end_of_an_old_binding_leaves_the_new_one(context: &Context) {
        let first = context.pool().await;
        for (n, (claims, sweeps)) in (0..).zip([(true, true), (true, false), (false, true), (false, false)]) {
            let pool = first.beside(&format!("user-{n}"));
            let ends = || one_time(1).valid(-DAY, 100);
            pool.stock(vec![ends(), one_time(2), one_time(3)], at(0)).await;
            pool.claimed(&pool.take(1), at(90)).await;
            let new = pool.taken(claims, &pool.take(1), at(100)).await;
            must_be!(new, Ok(key_package_ref(2)), "the first has expired");
            if sweeps {
                must_be!(pool.cleanup(at(100), 10).await, 1);
            } else {
                must_be!(pool.save_one(one_time(1), at(100)).await, SaveOutcome::Saved);
            }
            must_be!(pool.taken(claims, &pool.take(1), at(101)).await, new, "the id has its package");
        }
    }
}
