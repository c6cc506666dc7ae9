use crate::asking::Asking as _;
use kp_core::server::SaveMode;
use kp_core::server::SaveOutcome::{
    AlreadySpent, AlreadyStored, Expired, InitKeyReused, NotYetValid, PoolFull, RefConflict, Saved,
};

use crate::Context;
use crate::check::checks;
use crate::must_be::must_be;
use crate::packages::{
    Altered, Beside, DAY, END, OTHER_SUITE, at, key_package_ref, last_resort, no_usage, one_time, one_times,
};

checks! {
    /// An init key that a package of the pool has, or had, does not come again under another ref: in whatever state that
    /// package is, and in whatever role and ciphersuite the other comes.
    #[rules("SAVE-9", "SAVE-3")]
    async fn an_init_key_is_in_one_package_of_a_pool(context: &Context) {
        let pool = context.pool().await;
        let mut items: Vec<_> = (1..=7).map(|n| one_time(n).with_key(n)).collect();
        items.push(one_time(8).valid(50, END).with_key(8));
        items.push(last_resort(9).with_key(9));
        items.push(last_resort(10).of(OTHER_SUITE).with_key(10));
        must_be!(pool.admit(items, at(0)).await, [Saved; 10]);
        // 1 stays available, 2 is reserved, 3 reserved and withdrawn, 4 spent, 5 claimed, 6 withdrawn, 7 retired, 8 not yet
        // valid, 9 in its slot, 10 replaced.
        let named = |n: u64| pool.take(n).only(key_package_ref(n));
        pool.lease(&named(2), at(0)).await;
        pool.lease(&named(3), at(0)).await;
        let spent = pool.lease(&named(4), at(0)).await;
        pool.spent(&spent, &no_usage(), at(0)).await;
        pool.claimed(&named(5), at(0)).await;
        pool.withdraw([3, 6], at(0)).await;
        let retired = pool.beside("old");
        retired.stock_one(one_time(7).with_key(7), at(0)).await;
        retired.retire(at(1), at(0)).await;
        pool.stock_one(last_resort(11).of(OTHER_SUITE).with_key(11), at(0)).await;
        for now in [0, 1_000, END - 1] {
            for n in 1..=11 {
                let others = vec![
                    one_time(100 + n).with_key(n),
                    one_time(100 + n).of(OTHER_SUITE).valid(-DAY, END + DAY).with_key(n),
                    last_resort(100 + n).with_key(n),
                ];
                must_be!(pool.admit(others, at(now)).await, [InitKeyReused; 3], "the key of {n}, at {now}");
            }
        }
        must_be!(retired.admit_one(one_time(107).with_key(7), at(9)).await, InitKeyReused, "of a retired one");
        must_be!(pool.statuses(101..=111, at(0)).await, [None; 11]);
    }

    /// The same init key in another pool is no business of this one.
    #[rules("SAVE-9", "SAVE-5")]
    async fn each_pool_has_its_own_init_keys(context: &Context) {
        let pool = context.pool().await;
        pool.stock_one(one_time(1).with_key(1), at(0)).await;
        for other in ["bob/tablet", "alice/phone"] {
            pool.beside(other).stock_one(one_time(2).with_key(1), at(0)).await;
        }
    }

    /// Packages without a fingerprint have no init key in common, with each other or with any that has one.
    #[rules("SAVE-9")]
    async fn no_fingerprint_equals_none(context: &Context) {
        let pool = context.stocked(one_times([1, 2])).await;
        pool.stock_one(one_time(3).with_key(3), at(0)).await;
        pool.stock(one_times([4, 5]), at(1)).await;
        pool.stock_one(one_time(6).with_key(6), at(1)).await;
    }

    /// An init key is remembered until its package is past its own `not_after`, as the save's `now` has it, is swept, or
    /// goes with its pool.
    #[rules("SAVE-9", "TIME-1", "DEL-1")]
    async fn an_init_key_is_remembered_as_long_as_its_package(context: &Context) {
        let pool = context.pool().await;
        for n in 1..=3 {
            pool.stock_one(one_time(n).valid(-DAY, 100).with_key(n), at(0)).await;
        }
        pool.claimed(&pool.take(1), at(0)).await;
        must_be!(pool.admit_one(one_time(11).with_key(1), at(99)).await, InitKeyReused, "its last second");
        must_be!(pool.admit_one(one_time(11).with_key(1), at(100)).await, Saved, "expired, and not swept");
        must_be!(pool.cleanup(at(100), 10).await, 3);
        must_be!(pool.admit_one(one_time(12).with_key(2), at(50)).await, Saved, "swept");
        let again = one_time(1).valid(-DAY, 100).with_key(31);
        must_be!(pool.admit_one(again, at(50)).await, Saved);
        must_be!(pool.admit_one(one_time(1).with_key(32), at(100)).await, Saved, "the ref starts anew");
        must_be!(pool.admit_one(one_time(13).with_key(31), at(50)).await, Saved, "with another key");
        must_be!(pool.admit_one(one_time(14).with_key(32), at(50)).await, InitKeyReused);
        pool.delete().await;
        must_be!(pool.admit_one(one_time(15).with_key(32), at(50)).await, Saved, "the pool is gone");
    }

    /// `InitKeyReused` comes after what is said of the ref, and before `NotYetValid` and `PoolFull`.
    #[rules("SAVE-7", "SAVE-9")]
    async fn a_reused_init_key_is_judged_in_its_place(context: &Context) {
        let pool = context.pool().await;
        let items = vec![one_time(1).with_key(1), one_time(2).with_key(2)];
        must_be!(pool.admit(items, at(0)).await, [Saved; 2]);
        pool.claimed(&pool.take(1), at(0)).await;
        let batch = vec![
            one_time(3).valid(-DAY, 0).with_key(1),
            one_time(1).with_key(2),
            one_time(2).of(OTHER_SUITE).with_key(1),
            one_time(2).with_key(1),
            last_resort(4).valid(1, END).with_key(1),
            last_resort(4).valid(1, END).with_key(4),
            one_time(5).with_key(2),
            one_time(5).with_key(5),
        ];
        let full = pool.admitting(batch).cap_per_ciphersuite(1);
        must_be!(
            pool.save_as(&full, at(0)).await,
            [
                Expired,
                AlreadySpent,
                RefConflict,
                AlreadyStored,
                InitKeyReused,
                NotYetValid,
                InitKeyReused,
                PoolFull
            ]
        );
    }

    /// Within a batch, the second package of an init key is refused. The same package twice is no second use of its key.
    #[rules("SAVE-9", "SAVE-2", "SAVE-7")]
    async fn the_second_of_one_init_key_in_a_batch_is_refused(context: &Context) {
        let pool = context.pool().await;
        let batch = vec![
            one_time(1).with_key(1),
            one_time(2).with_key(1),
            one_time(1).with_key(1),
            last_resort(3).with_key(1),
            one_time(4).with_key(4),
        ];
        let expected = [Saved, InitKeyReused, AlreadyStored, InitKeyReused, Saved];
        must_be!(pool.admit(batch, at(0)).await, expected);
        must_be!(pool.available(at(0)).await, [1, 4].map(key_package_ref));
    }

    /// A refused item leaves no fingerprint: its init key may come under another ref.
    #[rules("SAVE-9", "SAVE-7")]
    async fn a_refused_item_leaves_no_init_key(context: &Context) {
        let pool = context.pool().await;
        pool.stock_one(one_time(1).with_key(1), at(0)).await;
        let refused = vec![
            one_time(2).valid(-DAY, 0).with_key(2),
            last_resort(3).valid(1, END).with_key(3),
            one_time(4).with_key(4),
            one_time(1).with_bytes_of(9).with_key(5),
        ];
        let full = pool.admitting(refused).cap_per_ciphersuite(1);
        must_be!(pool.save_as(&full, at(0)).await, [Expired, NotYetValid, PoolFull, RefConflict]);
        let anew = (2..=5).map(|n| one_time(10 + n).with_key(n)).collect();
        must_be!(pool.admit(anew, at(0)).await, [Saved; 4]);
    }

    /// A replace does not free the init keys of what it would withdraw, and what it refuses for its init key is not accepted:
    /// alone, it withdraws nothing.
    #[rules("SAVE-8", "SAVE-9")]
    async fn a_replace_frees_no_init_key(context: &Context) {
        let pool = context.pool().await;
        pool.stock_one(one_time(1).with_key(1), at(0)).await;
        let replace = |items| pool.admitting(items).mode(SaveMode::Replace);
        let same_key = replace(vec![one_time(2).with_key(1)]);
        must_be!(pool.save_as(&same_key, at(0)).await, [InitKeyReused]);
        must_be!(pool.available(at(0)).await, [key_package_ref(1)], "nothing was accepted");
        let both = replace(vec![one_time(2).with_key(1), one_time(3).with_key(3)]);
        must_be!(pool.save_as(&both, at(0)).await, [InitKeyReused, Saved]);
        must_be!(pool.available(at(0)).await, [key_package_ref(3)]);
        let later = replace(vec![one_time(2).with_key(1)]);
        must_be!(pool.save_as(&later, at(0)).await, [InitKeyReused], "it was withdrawn, and is remembered");
    }

    /// A record without a fingerprint gains that of the same package saved again, and keeps the one it has.
    #[rules("SAVE-5", "SAVE-9", "SAVE-2")]
    async fn a_fingerprint_is_added_where_there_is_none(context: &Context) {
        let pool = context.stocked(vec![one_time(1), one_time(2), last_resort(3)]).await;
        pool.lease(&pool.take(2), at(0)).await;
        must_be!(pool.admit_one(one_time(11).with_key(11), at(0)).await, Saved);
        let again = || vec![one_time(1).with_key(1), one_time(2).with_key(2), last_resort(3).with_key(3)];
        must_be!(pool.admit(again(), at(0)).await, [AlreadyStored; 3]);
        for n in 1..=3 {
            must_be!(pool.admit_one(one_time(20 + n).with_key(n), at(0)).await, InitKeyReused, "the key of {n}");
        }
        must_be!(pool.admit_one(one_time(1).with_key(99), at(0)).await, AlreadyStored);
        must_be!(pool.save(one_times([1]), at(0)).await, [AlreadyStored]);
        must_be!(pool.admit_one(one_time(24).with_key(99), at(0)).await, Saved, "it was not taken over");
        must_be!(pool.admit_one(one_time(25).with_key(1), at(0)).await, InitKeyReused, "it stayed");
    }

    /// Two records may have one fingerprint: when one goes, the other still has it.
    #[rules("SAVE-9", "TIME-3", "SWEEP-1")]
    async fn of_two_packages_of_one_init_key_each_counts(context: &Context) {
        let pool = context.pool().await;
        // Where the clock steps back: the first has expired when the second comes.
        pool.stock_one(one_time(1).valid(-DAY, 100).with_key(1), at(0)).await;
        pool.stock_one(one_time(2).valid(-DAY, 200).with_key(1), at(100)).await;
        // Where a record gains what another has: the second goes first.
        pool.stock(vec![one_time(3).valid(-DAY, 200), one_time(4).valid(-DAY, 100)], at(0)).await;
        let gained = vec![one_time(3).valid(-DAY, 200).with_key(3), one_time(4).valid(-DAY, 100).with_key(3)];
        must_be!(pool.admit(gained, at(0)).await, [AlreadyStored; 2]);
        // Of the same end.
        pool.stock(vec![one_time(5).valid(-DAY, 200), one_time(6).valid(-DAY, 200)], at(0)).await;
        let gained = vec![one_time(5).valid(-DAY, 200).with_key(5), one_time(6).valid(-DAY, 200).with_key(5)];
        must_be!(pool.admit(gained, at(0)).await, [AlreadyStored; 2]);
        must_be!(pool.cleanup(at(100), 10).await, 2);
        for (n, now) in [(1, 99), (3, 99), (5, 99), (1, 199), (3, 199), (5, 199)] {
            must_be!(pool.admit_one(one_time(10 + n).with_key(n), at(now)).await, InitKeyReused, "{n} at {now}");
        }
        must_be!(pool.cleanup(at(200), 1).await, 1);
        must_be!(pool.cleanup(at(200), 10).await, 3);
        for n in [1, 3, 5] {
            must_be!(pool.admit_one(one_time(20 + n).with_key(n), at(99)).await, Saved, "both are gone");
        }
    }
}
