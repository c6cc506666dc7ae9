use kp_core::Rejection::{AlreadySpent, NothingFits, PoolExhausted, ReservationConflict, Unsuitable};
use kp_core::Status;
use kp_core::server::LastResort;

use crate::Context;
use crate::asking::Asking as _;
use crate::check::checks;
use crate::must_be::must_be;
use crate::packages::{
    Altered, Beside, OTHER_SUITE, SUITE, Types, at, group, key_package_ref, last_resort, one_time, party,
};

/// An extension, a proposal and a credential, and all three.
const EXTENSION: Types = Types(&[0xF001], &[], &[]);
const PROPOSAL: Types = Types(&[], &[0xF001], &[]);
const CREDENTIAL: Types = Types(&[], &[], &[0xF001]);
const ALL: Types = Types(&[0xF001], &[0xF001], &[0xF001]);

checks! {
    /// Only packages are handed out that support all that is required, of each kind by itself. Where nothing is required,
    /// every package does. Order and repeats mean nothing.
    #[rules("RES-3", "RES-2", "RES-6")]
    async fn only_what_meets_the_requirements_is_handed_out(context: &Context) {
        let pool = context.stocked(vec![one_time(1)]).await;
        let two = Types(&[0xF001, 0xF002], &[], &[]);
        for (n, types) in (2..).zip([EXTENSION, PROPOSAL, CREDENTIAL, two, ALL]) {
            pool.stock_one(one_time(n).supporting(types), at(0)).await;
        }
        let new = pool.take(99);
        let both = Types(&[0xF001], &[0xF001], &[]);
        let unknown = Types(&[0xF001, 0xF003], &[], &[]);
        let twisted = Types(&[0xF002, 0xF001, 0xF002], &[], &[]);
        pool.refuses(&new.clone().requiring(unknown), at(0), NothingFits).await;
        for (n, types) in [(6, both), (5, twisted), (4, CREDENTIAL), (3, PROPOSAL), (2, EXTENSION)] {
            let taken = pool.taken(n % 2 == 0, &pool.take(n).requiring(types), at(0)).await;
            must_be!(taken, Ok(key_package_ref(n)), "{types:?}");
        }
        for types in [EXTENSION, PROPOSAL, CREDENTIAL] {
            pool.refuses(&new.clone().requiring(types), at(0), NothingFits).await;
        }
        must_be!(pool.claim_ref(&new.clone().requiring(Types(&[], &[], &[])), at(0)).await, Ok(key_package_ref(1)));
        pool.refuses(&pool.take(98).requiring(EXTENSION), at(0), PoolExhausted).await;
    }

    /// What every client supports (RFC 9420 §7.2) is met by every package, also by one without support; the next numbers are
    /// not, and no type of credential is.
    #[rules("RES-3")]
    async fn defaults_are_met_by_every_package(context: &Context) {
        let pool = context.stocked(vec![one_time(1)]).await;
        pool.stock_one(one_time(2).supporting(EXTENSION), at(0)).await;
        for types in [
            Types(&[0], &[], &[]),
            Types(&[6], &[], &[]),
            Types(&[], &[0], &[]),
            Types(&[], &[8], &[]),
            Types(&[], &[], &[1]),
            Types(&[0x0A0A], &[], &[]),
        ] {
            pool.refuses(&pool.take(9).requiring(types), at(0), NothingFits).await;
        }
        let defaults = Types(&[1, 2, 3, 4, 5], &[1, 2, 3, 4, 5, 6, 7], &[]);
        for n in 1..=2 {
            let taken = pool.taken(n == 2, &pool.take(n).requiring(defaults), at(0)).await;
            must_be!(taken, Ok(key_package_ref(n)));
        }
    }

    /// A named package that does not meet the requirements is `Unsuitable`, whatever else there is.
    #[rules("RES-3")]
    async fn a_named_package_must_meet_the_requirements(context: &Context) {
        let pool = context.stocked(vec![one_time(1)]).await;
        pool.stock_one(one_time(2).supporting(EXTENSION), at(0)).await;
        pool.stock_one(one_time(3).supporting(ALL), at(0)).await;
        for (n, types) in [(1, EXTENSION), (2, PROPOSAL), (2, ALL)] {
            let named = pool.take(9).only(key_package_ref(n)).requiring(types);
            pool.refuses(&named, at(0), Unsuitable).await;
        }
        for n in [3, 2] {
            let named = pool.take(n).only(key_package_ref(n)).requiring(EXTENSION);
            must_be!(pool.taken(n == 2, &named, at(0)).await, Ok(key_package_ref(n)));
        }
    }

    /// A last resort is handed out only where it meets the requirements: the oldest that does.
    #[rules("RES-6", "RES-3", "LAST-4")]
    async fn a_last_resort_must_meet_the_requirements(context: &Context) {
        let pool = context.stocked(vec![one_time(1), last_resort(2)]).await;
        pool.stock_one(last_resort(3).of(OTHER_SUITE).supporting(EXTENSION), at(0)).await;
        let take = |n, types| pool.take(n).requiring(types);
        pool.refuses(&take(9, PROPOSAL), at(0), NothingFits).await;
        pool.refuses(&take(9, EXTENSION).ciphersuites([SUITE]), at(0), NothingFits).await;
        let only = take(9, PROPOSAL).last_resort(LastResort::Only);
        pool.refuses(&only, at(0), NothingFits).await;
        must_be!(pool.statuses([2, 3], at(0)).await, [Some(Status::LastResort { used: false }); 2]);
        for claims in [false, true] {
            let given = pool.taken(claims, &take(9, EXTENSION), at(0)).await;
            must_be!(given, Ok(key_package_ref(3)));
        }
        must_be!(pool.status(2, at(0)).await, Some(Status::LastResort { used: false }), "not that one");
        pool.claimed(&pool.take(1), at(0)).await;
        pool.refuses(&take(9, PROPOSAL), at(0), PoolExhausted).await;
    }

    /// With a bound id, requirements that its package does not meet are another request: while it is reserved, recalled or
    /// not, and for the same claim in its window. Otherwise a used package is `AlreadySpent`, whatever is required.
    #[rules("RES-5", "CLAIM-1", "RES-10")]
    async fn a_bound_id_with_requirements_its_package_does_not_meet_is_a_conflict(context: &Context) {
        let pool = context.pool().await;
        for n in 1..=3 {
            pool.stock_one(one_time(n).supporting(EXTENSION), at(0)).await;
        }
        pool.stock_one(one_time(4).supporting(ALL), at(0)).await;
        let alice = |n: u64| pool.take(n).by(party("alice"));
        let (lease, recalled) = (alice(1), alice(2));
        let first = pool.reserve(&lease, at(0)).await;
        let second = pool.reserve(&recalled, at(0)).await;
        pool.withdraw([2], at(0)).await;
        let club = group("club");
        let claimed = pool.claim(&alice(3), Some(&club), at(0)).await;
        must_be!(claimed, Ok(one_time(3)));
        let before = pool.picture(1..=4, at(1)).await;
        for take in [&lease, &recalled] {
            pool.refuses(&take.clone().requiring(PROPOSAL), at(1), ReservationConflict).await;
        }
        let more = alice(3).requiring(ALL);
        must_be!(pool.claim(&more, Some(&club), at(1)).await, Err(ReservationConflict));
        must_be!(pool.reserve(&more, at(1)).await, Err(AlreadySpent));
        let strangers = [(pool.take(3).requiring(ALL), Some(&club)), (more.clone(), None)];
        for (take, group) in strangers {
            must_be!(pool.claim(&take, group, at(1)).await, Err(AlreadySpent), "another party or group");
        }
        // What the package meets is the same request.
        must_be!(pool.reserve(&lease.requiring(EXTENSION), at(1)).await, first);
        must_be!(pool.reserve(&recalled.requiring(EXTENSION), at(1)).await, second);
        must_be!(pool.claim(&alice(3).requiring(EXTENSION), Some(&club), at(1)).await, claimed);
        must_be!(pool.picture(1..=4, at(1)).await, before);
        must_be!(pool.claim(&more, Some(&club), at(60)).await, Err(AlreadySpent), "its window is over");
    }

    /// However many packages do not meet the requirements, the ones that do are found, each in its place; and what was asked
    /// for in vain is found once it comes.
    #[rules("RES-3", "RES-2", "RES-8", "COST-1")]
    async fn many_that_do_not_meet_the_requirements_hide_nothing(context: &Context) {
        let pool = context.pool().await;
        let types = |n: u64| match n {
            75 | 151 => ALL,
            n if n % 2 == 0 => EXTENSION,
            _ => PROPOSAL,
        };
        let items = (1..=160).map(|n| one_time(n).supporting(types(n)).with_key(n)).collect();
        pool.admit(items, at(0)).await;
        let both = Types(&[0xF001], &[0xF001], &[]);
        let unknown = Types(&[0xF002], &[], &[]);
        for n in [75, 151] {
            pool.refuses(&pool.take(500).requiring(unknown), at(0), NothingFits).await;
            must_be!(pool.taken(n == 75, &pool.take(n).requiring(both), at(0)).await, Ok(key_package_ref(n)));
        }
        for n in 1..=4 {
            pool.refuses(&pool.take(500).requiring(both), at(0), NothingFits).await;
            let other = if n % 2 == 0 { EXTENSION } else { PROPOSAL };
            must_be!(pool.claim_ref(&pool.take(n).requiring(other), at(0)).await, Ok(key_package_ref(n)));
        }
        // One that meets them returns, one comes, and one gains its support.
        must_be!(pool.reserve_ref(&pool.take(500).requiring(both), at(60)).await, Ok(key_package_ref(151)));
        pool.refuses(&pool.take(501).requiring(both), at(60), NothingFits).await;
        pool.stock(vec![one_time(200)], at(60)).await;
        pool.stock_one(one_time(201).supporting(ALL), at(60)).await;
        must_be!(pool.claim_ref(&pool.take(501).requiring(both), at(60)).await, Ok(key_package_ref(201)));
        pool.refuses(&pool.take(502).requiring(both), at(60), NothingFits).await;
        pool.admit_one(one_time(200).supporting(ALL), at(60)).await;
        must_be!(pool.claim_ref(&pool.take(502).requiring(both), at(60)).await, Ok(key_package_ref(200)));
        must_be!(pool.claim_ref(&pool.take(503), at(60)).await, Ok(key_package_ref(5)), "nothing is required");
    }
}
