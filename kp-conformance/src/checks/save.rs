use crate::asking::Asking as _;
use kp_core::Rejection::{NoLiveReservation, NothingFits, PoolExhausted};
use kp_core::server::SaveOutcome::{AlreadySpent, AlreadyStored, Expired, NotYetValid, PoolFull, RefConflict, Saved};
use kp_core::server::{LastResort, Withdrawal};
use kp_core::{Ciphersuite, CredentialHash, Status};

use crate::Context;
use crate::check::checks;
use crate::must_be::must_be;
use crate::packages::{
    Altered, DAY, END, OTHER_SUITE, SUITE, at, key_package_ref, last_resort, no_usage, one_time, one_times,
};

checks! {
    /// Items that are refused do not keep the others out; the outcomes stand in the order of the items.
    #[rules("SAVE-1", "SAVE-7")]
    async fn good_items_are_stored_beside_refused_ones(context: &Context) {
        let pool = context.stocked(one_times([1])).await;
        let batch = vec![
            one_time(2),
            one_time(3).valid(-DAY, 0),
            one_time(1),
            one_time(1).with_bytes_of(9),
            last_resort(4).valid(1, END),
            one_time(5),
        ];
        let outcomes = pool.save(batch, at(0)).await;
        must_be!(
            outcomes,
            [Saved, Expired, AlreadyStored, RefConflict, NotYetValid, Saved]
        );
        must_be!(pool.available(at(0)).await, [1, 2, 5].map(key_package_ref));
        must_be!(pool.counts(at(0)).await.len(), 1);
        must_be!(pool.count(SUITE, at(0)).await.total(), 3);
    }

    /// A ref that was used, claimed, retired, withdrawn, or withdrawn while reserved, is remembered until its `not_after`,
    /// and never handed out again.
    #[rules("SAVE-3", "SPEND-1", "DEL-2", "DEL-3")]
    async fn a_spent_package_cannot_come_back(context: &Context) {
        let pool = context.stocked(one_times(1..=4)).await;
        pool.stock(one_times([5]), at(9)).await;
        let token = pool.lease(&pool.take(1), at(10)).await;
        pool.spent(&token, &no_usage(), at(10)).await;
        pool.claimed(&pool.take(2), at(10)).await;
        pool.lease(&pool.take(3), at(10)).await;
        pool.withdraw([3], at(10)).await;
        must_be!(pool.retire(at(9), at(10)).await, 1, "the fourth; the third is recalled already");
        pool.withdraw([5], at(10)).await;
        for now in [10, 69, 70, END - 1] {
            must_be!(pool.save(one_times(1..=5), at(now)).await, [AlreadySpent; 5], "at {now}");
            must_be!(pool.available(at(now)).await, []);
        }
        pool.refuses(&pool.take(6), at(70), PoolExhausted).await;
        must_be!(pool.save(one_times(1..=5), at(END)).await, [Expired; 5]);
    }

    /// A last resort that was replaced or withdrawn is remembered as spent, also when it comes again with other bytes.
    #[rules("SAVE-3", "LAST-1")]
    async fn a_last_resort_that_went_cannot_come_back(context: &Context) {
        let pool = context.stocked(vec![last_resort(1)]).await;
        pool.stock(vec![last_resort(2)], at(1)).await;
        pool.withdraw_as(&Withdrawal::All, at(2)).await;
        pool.stock(vec![last_resort(3)], at(3)).await;
        let late = vec![last_resort(1), last_resort(2), last_resort(1).with_bytes_of(9)];
        must_be!(pool.save(late, at(4)).await, [AlreadySpent; 3]);
        let given = pool.reserve_ref(&pool.take(1), at(4)).await;
        must_be!(given, Ok(key_package_ref(3)));
    }

    /// A package is refused from its `not_after` on, and not a second sooner.
    #[rules("SAVE-4", "TIME-1")]
    async fn an_expired_package_is_refused(context: &Context) {
        let pool = context.pool().await;
        let batch = vec![
            one_time(1).valid(-DAY, 0),
            one_time(2).valid(-DAY, -1),
            one_time(3).valid(-DAY, 1),
            last_resort(4).valid(-DAY, 0),
            last_resort(5).valid(-DAY, 1),
        ];
        must_be!(pool.save(batch, at(0)).await, [Expired, Expired, Saved, Expired, Saved]);
        must_be!(pool.statuses([1, 2, 4], at(0)).await, [None; 3]);
        // Past its end a ref starts anew, and is judged like any other.
        let anew = vec![last_resort(5).valid(2, END), one_time(3).valid(2, END)];
        must_be!(pool.save(anew, at(1)).await, [NotYetValid, Saved]);
    }

    /// A one-time package that is not yet valid is stored, and handed out from its `not_before` on.
    #[rules("SAVE-4", "RES-3", "TIME-1")]
    async fn a_package_of_the_future_waits_for_its_time(context: &Context) {
        let pool = context.stocked(vec![one_time(1).valid(100, END)]).await;
        must_be!(pool.status(1, at(99)).await, Some(Status::NotYetValid));
        must_be!(pool.count(SUITE, at(99)).await.not_yet_valid, 1);
        must_be!(pool.available(at(99)).await, []);
        pool.refuses(&pool.take(1), at(99), PoolExhausted).await;
        pool.refuses(&pool.take(2), at(99), PoolExhausted).await;
        must_be!(pool.status(1, at(100)).await, Some(Status::Available));
        must_be!(pool.reserve_ref(&pool.take(3), at(100)).await, Ok(key_package_ref(1)));
    }

    /// The same ref with other bytes or any other fact is a conflict, and what is stored stays.
    #[rules("SAVE-5", "LAST-3")]
    async fn the_same_ref_with_anything_else_is_a_conflict(context: &Context) {
        let pool = context.stocked(vec![one_time(1), last_resort(2)]).await;
        let before = pool.picture([1, 2], at(1)).await;
        let mut stranger = one_time(1);
        stranger.info.credential = CredentialHash([8; 32]);
        let others = vec![
            one_time(1).with_bytes_of(9),
            one_time(1).of(OTHER_SUITE),
            one_time(1).valid(-DAY + 1, END),
            one_time(1).valid(-DAY, END + 1),
            last_resort(1),
            stranger,
            last_resort(2).with_bytes_of(9),
            last_resort(2).of(OTHER_SUITE),
            one_time(2),
        ];
        must_be!(pool.save(others, at(1)).await, [RefConflict; 9]);
        must_be!(pool.picture([1, 2], at(1)).await, before);
        let given = pool.reserve(&pool.take(1), at(1)).await.expect("the package is there");
        must_be!(given.package, one_time(1));
    }

    /// Of the outcomes that apply the first is given: `Expired`, `AlreadySpent`, `RefConflict`, `AlreadyStored`,
    /// `NotYetValid`, `PoolFull`. A lower cap removes nothing.
    #[rules("SAVE-7", "SAVE-6", "LAST-2")]
    async fn of_outcomes_that_apply_the_first_is_given(context: &Context) {
        let pool = context.stocked(vec![one_time(1), one_time(2), last_resort(3).valid(0, END)]).await;
        pool.claimed(&pool.take(1), at(1)).await;
        let ended = one_time(1).valid(-DAY, 1);
        let batch = vec![ended, one_time(1).with_bytes_of(9), last_resort(1), one_time(2).valid(-DAY, 1)];
        must_be!(pool.save(batch, at(1)).await, [Expired, AlreadySpent, AlreadySpent, Expired]);
        let again = vec![last_resort(2).valid(10, END), last_resort(3).valid(0, END)];
        must_be!(pool.save(again, at(-1)).await, [RefConflict, AlreadyStored]);
        let full = pool.request(one_times([4, 2])).cap_per_ciphersuite(0);
        must_be!(pool.save_as(&full, at(1)).await, [PoolFull, AlreadyStored]);
        let slots = (100..115).map(|n| last_resort(n).of(Ciphersuite(n as u16)));
        pool.stock(slots.collect(), at(1)).await;
        let other = last_resort(200).of(OTHER_SUITE);
        must_be!(pool.save(vec![other.clone().valid(2, END), other], at(1)).await, [NotYetValid, PoolFull]);
        must_be!(pool.available(at(1)).await, [key_package_ref(2)]);
    }

    /// Each item is judged after the ones before it: the same package twice in one batch is stored once.
    #[rules("SAVE-7", "SAVE-2", "LAST-1")]
    async fn each_item_sees_the_ones_before(context: &Context) {
        let pool = context.pool().await;
        let batch = vec![
            one_time(1),
            one_time(1).with_bytes_of(9),
            last_resort(1),
            one_time(1),
            last_resort(2),
            last_resort(3),
            last_resort(2),
            one_time(3),
        ];
        let known = [RefConflict, RefConflict, AlreadyStored];
        let expected = [&[Saved], &known[..], &[Saved, Saved, AlreadySpent, RefConflict]].concat();
        must_be!(pool.save(batch, at(0)).await, expected);
        must_be!(pool.count(SUITE, at(0)).await.total(), 3);
    }

    /// A record past its own `not_after` counts as absent: the same ref starts anew, at the end of the queue, in
    /// whatever state it was and in whatever role it comes.
    #[rules("SAVE-7", "RES-2", "SPEND-3")]
    async fn a_ref_past_its_end_starts_anew(context: &Context) {
        let pool = context.pool().await;
        let short = (1..=3).map(|n| one_time(n).valid(-DAY, 100)).collect();
        pool.stock(short, at(0)).await;
        pool.stock(one_times([4]), at(0)).await;
        pool.claimed(&pool.take(1), at(0)).await;
        pool.withdraw([2], at(0)).await;
        let anew = vec![
            one_time(1).with_bytes_of(9),
            last_resort(2),
            one_time(3).of(OTHER_SUITE),
        ];
        must_be!(
            pool.save(anew.clone(), at(99)).await,
            [AlreadySpent, AlreadySpent, RefConflict]
        );
        pool.spent(&pool.token(1, 1), &no_usage(), at(100)).await;
        must_be!(pool.save(anew, at(100)).await, [Saved; 3]);
        let late = pool.spend(&pool.token(1, 1), &no_usage(), at(100)).await;
        must_be!(late, Err(NoLiveReservation), "its receipt went with its record");
        must_be!(pool.available(at(100)).await, [4, 1, 3].map(key_package_ref));
        must_be!(pool.status(2, at(100)).await, Some(Status::LastResort { used: false }));
        let first = pool.get(1, at(100)).await.expect("it was saved");
        must_be!(first.bytes, Some(one_time(9).bytes));
    }

    /// A refused item leaves no trace: it may come again when nothing speaks against it any more, and a last resort serves
    /// from its `not_before` on.
    #[rules("SAVE-7", "LAST-2")]
    async fn a_refused_item_leaves_no_trace(context: &Context) {
        let pool = context.stocked(one_times([1])).await;
        let before = pool.picture(1..=4, at(0)).await;
        let full = pool.request(vec![one_time(2)]).cap_per_ciphersuite(1);
        must_be!(pool.save_as(&full, at(0)).await, [PoolFull]);
        must_be!(pool.save_one(last_resort(3).valid(1, END), at(0)).await, NotYetValid);
        must_be!(pool.save_one(one_time(4).valid(-DAY, 0), at(0)).await, Expired);
        must_be!(pool.picture(1..=4, at(0)).await, before);
        must_be!(pool.save_one(one_time(2).with_bytes_of(9), at(0)).await, Saved);
        must_be!(pool.save_one(last_resort(3).valid(1, END), at(1)).await, Saved);
        let last = pool.take(1).last_resort(LastResort::Only);
        pool.refuses(&last, at(0), NothingFits).await;
        must_be!(pool.reserve_ref(&last, at(1)).await, Ok(key_package_ref(3)));
    }
}
