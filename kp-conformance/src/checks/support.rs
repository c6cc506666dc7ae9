use kp_core::Rejection::NothingFits;
use kp_core::Status;
use kp_core::server::LastResort;
use kp_core::server::SaveMode;
use kp_core::server::SaveOutcome::{AlreadySpent, AlreadyStored, InitKeyReused, NotYetValid, PoolFull};

use crate::Context;
use crate::asking::Asking as _;
use crate::check::checks;
use crate::must_be::must_be;
use crate::packages::{
    Altered, Beside, END, OTHER_SUITE, Types, at, key_package_ref, last_resort, no_usage, one_time, one_times,
};

const LITTLE: Types = Types(&[0xF001], &[], &[1]);
const MORE: Types = Types(&[0xF001, 0xF002], &[], &[1]);

checks! {
    /// Support stays with its package while the package is reserved, and when it returns: released or lapsed.
    #[rules("RES-3", "REL-1", "RES-9")]
    async fn support_stays_with_a_package_that_returns(context: &Context) {
        let pool = context.pool().await;
        for n in 1..=2 {
            pool.stock_one(one_time(n).supporting(MORE), at(0)).await;
        }
        let released = pool.lease(&pool.take(1), at(0)).await;
        pool.lease(&pool.take(2), at(0)).await;
        pool.renewed(&released, 100, at(0)).await;
        pool.released(&released, at(1)).await;
        must_be!(pool.reserve_ref(&pool.take(3).requiring(MORE), at(1)).await, Ok(key_package_ref(1)));
        must_be!(pool.claim_ref(&pool.take(4).requiring(MORE), at(60)).await, Ok(key_package_ref(2)));
    }

    /// A record without support gains that of the same package saved again, free, reserved or in its slot, which stays used;
    /// a record that has support keeps its own. Support is no fact: it makes no conflict.
    #[rules("SAVE-5", "RES-3", "LAST-4")]
    async fn support_is_added_where_there_is_none(context: &Context) {
        let pool = context.stocked(vec![one_time(1), one_time(2), last_resort(3)]).await;
        pool.stock_one(one_time(4).supporting(LITTLE), at(0)).await;
        let last = pool.take(9).last_resort(LastResort::Only);
        pool.claimed(&last, at(0)).await;
        let lease = pool.lease(&pool.take(1), at(0)).await;
        pool.refuses(&pool.take(9).requiring(MORE), at(0), NothingFits).await;
        let again = vec![
            one_time(1).supporting(MORE),
            one_time(2).supporting(MORE),
            last_resort(3).supporting(MORE),
            one_time(4).supporting(MORE).with_key(4),
        ];
        must_be!(pool.admit(again, at(0)).await, [AlreadyStored; 4]);
        must_be!(pool.save(one_times([1, 2]), at(0)).await, [AlreadyStored; 2], "without support, nothing changes");
        let little = vec![one_time(1).supporting(LITTLE), one_time(2).supporting(LITTLE)];
        must_be!(pool.admit(little, at(0)).await, [AlreadyStored; 2]);
        must_be!(pool.status(3, at(0)).await, Some(Status::LastResort { used: true }));
        pool.released(&lease, at(0)).await;
        for n in [1, 2, 3] {
            must_be!(pool.claim_ref(&pool.take(n).requiring(MORE), at(0)).await, Ok(key_package_ref(n)));
        }
        let more = pool.take(5).requiring(MORE).last_resort(LastResort::Never);
        pool.refuses(&more, at(0), NothingFits).await;
        must_be!(pool.claim_ref(&pool.take(4).requiring(LITTLE), at(0)).await, Ok(key_package_ref(4)));
    }

    /// With `Amend`, a save adds what records lack and stores nothing new, in whatever role and however much room there is: a
    /// pool that was deleted stays deleted.
    #[rules("SAVE-5", "SAVE-7", "DEL-1")]
    async fn an_amending_save_stores_nothing_new(context: &Context) {
        let pool = context.stocked(vec![one_time(1), one_time(2), last_resort(3)]).await;
        pool.claimed(&pool.take(2).only(key_package_ref(2)), at(0)).await;
        let items = || {
            vec![
                one_time(1).supporting(MORE).with_key(1),
                one_time(2).supporting(MORE).with_key(2),
                last_resort(3).supporting(MORE).with_key(3),
                one_time(4).with_key(1),
                last_resort(5).of(OTHER_SUITE).valid(1, END).with_key(5),
                last_resort(5).of(OTHER_SUITE).with_key(5),
                one_time(6).with_key(6),
            ]
        };
        let amend = |items| pool.admitting(items).mode(SaveMode::Amend);
        let outcomes = pool.save_as(&amend(items()), at(0)).await;
        let new = [InitKeyReused, NotYetValid, PoolFull, PoolFull];
        must_be!(outcomes, [&[AlreadyStored, AlreadySpent, AlreadyStored], &new[..]].concat());
        must_be!(pool.statuses([4, 5, 6], at(0)).await, [None; 3]);
        let token = pool.lease(&pool.take(9).requiring(MORE), at(0)).await;
        pool.spent(&token, &no_usage(), at(0)).await;
        must_be!(pool.claim_ref(&pool.take(8).requiring(MORE), at(0)).await, Ok(key_package_ref(3)));
        pool.delete().await;
        let outcomes = pool.save_as(&amend(items()), at(0)).await;
        must_be!(outcomes, [PoolFull, PoolFull, PoolFull, PoolFull, NotYetValid, PoolFull, PoolFull]);
        must_be!(pool.pools_by(10).await, []);
    }
}
