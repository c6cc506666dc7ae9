use crate::asking::Asking as _;
use kp_core::Cause;
use kp_core::Rejection::{AlreadySpent, Expired, PoolExhausted, ReservationConflict};
use kp_core::server::{LastResort, Spend};

use crate::Context;
use crate::check::checks;
use crate::must_be::must_be;
use crate::packages::{
    Altered, DAY, OTHER_SUITE, SUITE, at, group, key_package_ref, no_usage, one_time, one_times, party, spent, usage,
};

checks! {
    /// The same spend again gets the same receipt: later, after the lease would have ended, and past `not_after`. Any other
    /// is refused, and the package never returns.
    #[rules("SPEND-3", "SPEND-1", "SPEND-2")]
    async fn the_same_spend_gets_the_same_receipt(context: &Context) {
        let pool = context.stocked((1..=4).map(|n| one_time(n).valid(-DAY, 100)).collect()).await;
        let group_only = Spend::new().group(group("club"));
        let party_only = Spend::new().by(party("alice"));
        let usages = [usage("club", "alice"), group_only, party_only, no_usage()];
        for (n, usage) in (1..).zip(&usages) {
            let token = pool.lease(&pool.take(n), at(0)).await;
            let receipt = pool.spend(&token, usage, at(3)).await;
            assert!(receipt.is_ok(), "the lease is live, and the spend is answered {receipt:?}");
            for now in [3, 4, 60, 99, 100, 5_000, 2] {
                must_be!(pool.spend(&token, usage, at(now)).await, receipt, "at {now}");
            }
            for other in usages.iter().filter(|other| *other != usage) {
                must_be!(pool.spend(&token, other, at(99)).await, Err(AlreadySpent));
                must_be!(pool.spend(&token, other, at(100)).await, Err(Expired));
            }
        }
    }

    /// The same claim before its `expires_at` returns the same package, bytes included, and changes nothing.
    #[rules("CLAIM-1", "RES-5")]
    async fn the_same_claim_returns_the_same_package(context: &Context) {
        let pool = context.stocked(one_times([1, 2])).await;
        let take = pool.take(1).by(party("alice"));
        let club = group("club");
        must_be!(pool.claim(&take, Some(&club), at(0)).await, Ok(one_time(1)));
        let before = pool.picture([1, 2], at(59)).await;
        let longer = take.clone().lasting(600);
        for again in [
            take.clone(),
            longer,
            take.clone().ciphersuites([SUITE, OTHER_SUITE]),
            take.clone().limit(0),
            take.clone().last_resort(LastResort::Only),
            take.clone().only(key_package_ref(1)),
        ] {
            must_be!(
                pool.claim(&again, Some(&club), at(59)).await,
                Ok(one_time(1)),
                "{again:?}"
            );
        }
        must_be!(pool.picture([1, 2], at(59)).await, before);
        must_be!(
            pool.claim(&take, Some(&club), at(60)).await,
            Err(AlreadySpent),
            "a retry extends nothing"
        );
    }

    /// With another party, another group, or none instead of one, it is not the same claim.
    #[rules("CLAIM-1", "PRIV-1")]
    async fn another_party_or_group_gets_no_replay(context: &Context) {
        let pool = context.stocked(one_times(1..=4)).await;
        let nobodys = pool.take(1);
        let alices = pool.take(2).by(party("alice"));
        let (club, other) = (group("club"), group("other"));
        pool.claimed(&nobodys, at(0)).await;
        pool.claim(&alices, Some(&club), at(0))
            .await
            .expect("a package is there");
        let mallorys = pool.take(2).by(party("mallory"));
        for (take, group) in [
            (nobodys.clone().by(party("alice")), None),
            (nobodys, Some(&club)),
            (pool.take(2), Some(&club)),
            (mallorys, Some(&club)),
            (alices.clone(), None),
            (alices.clone(), Some(&other)),
        ] {
            must_be!(
                pool.claim(&take, group, at(1)).await,
                Err(AlreadySpent),
                "{take:?} {group:?}"
            );
        }
        let named = alices.only(key_package_ref(3));
        must_be!(pool.claim(&named, Some(&club), at(1)).await, Err(ReservationConflict));
        must_be!(pool.available(at(1)).await, [3, 4].map(key_package_ref));
    }

    /// An id that is live from a reservation is spent by its claim, whose window is of its own `now` and ttl. The window ends
    /// with the package at the latest; then the id is a new request.
    #[rules("CLAIM-1", "RES-5", "RES-4")]
    async fn a_claim_spends_the_reservation_of_its_id(context: &Context) {
        let short = one_time(2).valid(-DAY, 130);
        let pool = context.stocked(vec![one_time(1), short.clone()]).await;
        let take = pool.take(1).by(party("alice"));
        let token = pool.lease(&take, at(0)).await;
        pool.refuses(&pool.take(1).by(party("bob")), at(50), ReservationConflict).await;
        must_be!(pool.claim(&take.clone().limit(0), None, at(50)).await, Ok(one_time(1)));
        must_be!(pool.status(1, at(50)).await, spent(50, Cause::Used));
        must_be!(pool.claim(&take, None, at(109)).await, Ok(one_time(1)), "its window is its own");
        pool.refuses(&take, at(110), AlreadySpent).await;
        must_be!(pool.release(&token, at(110)).await, Err(AlreadySpent));
        for now in [110, 129] {
            must_be!(pool.claim(&pool.take(2), None, at(now)).await, Ok(short.clone()));
        }
        pool.refuses(&pool.take(2), at(130), PoolExhausted).await;
    }
}
