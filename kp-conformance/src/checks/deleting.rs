use crate::asking::Asking as _;
use kp_core::Rejection::{NotFound, PoolExhausted};
use kp_core::server::SaveOutcome::{AlreadyStored, Saved};
use kp_core::server::WithdrawOutcome::{self, Withdrawn};
use kp_core::server::Withdrawal;
use kp_core::{Cause, Status};

use crate::Context;
use crate::check::checks;
use crate::must_be::must_be;
use crate::packages::{
    Altered, DAY, END, OTHER_SUITE, SUITE, at, key_package_ref, last_resort, no_usage, one_time, one_times, party,
    reserved, spent,
};

checks! {
    /// `delete_pool` removes everything at once, memory of spent refs included, and nothing of other pools.
    #[rules("DEL-1")]
    async fn a_deleted_pool_is_gone_with_its_memory(context: &Context) {
        let bob = context.pool().await;
        let carol = bob.beside("carol/laptop");
        bob.stock(vec![one_time(1), one_time(2), one_time(3), last_resort(4)], at(0))
            .await;
        carol.stock(one_times(1..=3), at(0)).await;
        let alices = bob.take(1).by(party("alice")).limit(1);
        let token = bob.lease(&alices, at(0)).await;
        bob.claimed(&bob.take(2), at(0)).await;
        bob.withdraw([3], at(0)).await;
        let carols = carol.picture(1..=3, at(1)).await;
        bob.delete().await;
        let nothing = bob.beside("nobody").picture(1..=4, at(1)).await;
        must_be!(bob.picture(1..=4, at(1)).await, nothing);
        must_be!(bob.spend(&token, &no_usage(), at(1)).await, Err(NotFound));
        must_be!(bob.release(&token, at(1)).await, Err(NotFound));
        // No replay, no last resort.
        bob.refuses(&bob.take(2), at(1), PoolExhausted).await;
        must_be!(bob.settle(at(60), 10).await, 0);
        must_be!(bob.cleanup(at(DAY), 10).await, 0);
        must_be!(carol.picture(1..=3, at(1)).await, carols);
        must_be!(bob.save(one_times(1..=3), at(1)).await, [Saved; 3]);
        assert!(bob.reserve(&alices, at(1)).await.is_ok(), "no reserver is remembered");
    }

    /// What was first saved before `saved_before` is retired, and what was saved then or later stays.
    #[rules("DEL-2", "READ-3", "REL-1")]
    async fn what_was_saved_before_the_backup_is_retired(context: &Context) {
        let pool = context.pool().await;
        let batch = vec![one_time(1), one_time(2).valid(DAY, END), one_time(3).valid(-DAY, 50)];
        pool.stock(batch, at(9)).await;
        pool.stock(one_times([4]), at(10)).await;
        pool.stock(vec![one_time(5), last_resort(6)], at(11)).await;
        let again = pool.save_one(one_time(1), at(20)).await;
        must_be!(again, AlreadyStored, "first saved at 9 still");
        pool.claimed(&pool.take(5).only(key_package_ref(5)), at(30)).await;
        must_be!(pool.retire(at(10), at(50)).await, 2);
        must_be!(pool.statuses([1, 2], at(50)).await, [spent(50, Cause::Retired); 2]);
        let others = [Some(Status::Expired), Some(Status::Available), spent(30, Cause::Used)];
        must_be!(pool.statuses(3..=5, at(50)).await, others);
        must_be!(pool.status(6, at(50)).await, Some(Status::LastResort { used: false }));
        must_be!(pool.retire(at(10), at(51)).await, 0);
        must_be!(pool.statuses([1, 2], at(51)).await, [spent(50, Cause::Retired); 2]);

        let leased = pool.lease(&pool.take(4).only(key_package_ref(4)), at(52)).await;
        must_be!(pool.retire(at(11), at(53)).await, 1);
        let counts = pool.count(SUITE, at(53)).await;
        must_be!((counts.reserved, counts.recalled), (1, 1));
        pool.released(&leased, at(54)).await;
        must_be!(pool.status(4, at(54)).await, spent(54, Cause::Retired));
    }

    /// The owner withdraws: each ref is answered, in order, as often as it is named, and again.
    #[rules("DEL-3", "READ-4")]
    async fn an_owner_withdraws_packages(context: &Context) {
        let pool = context.stocked(vec![one_time(1), one_time(2), last_resort(3)]).await;
        pool.claimed(&pool.take(1), at(3)).await;
        let expected = [WithdrawOutcome::NotFound, Withdrawn, WithdrawOutcome::AlreadySpent, Withdrawn, Withdrawn];
        for now in [10, 11] {
            must_be!(pool.withdraw([9, 2, 1, 3, 2], at(now)).await, expected);
            must_be!(pool.statuses([2, 3], at(now)).await, [spent(10, Cause::Withdrawn); 2]);
        }
    }

    /// A live reservation is recalled when its package is withdrawn or replaced: it holds for its id, and when it ends the
    /// package is spent.
    #[rules("DEL-3", "SAVE-8", "REL-1", "READ-4")]
    async fn a_withdrawal_recalls_a_live_reservation(context: &Context) {
        for replaced in [false, true] {
            let pool = context.pool().await.beside(if replaced { "bob" } else { "carol" });
            pool.stock(one_times(1..=3), at(0)).await;
            let spends = pool.lease(&pool.take(1), at(0)).await;
            let releases = pool.lease(&pool.take(2), at(0)).await;
            pool.lease(&pool.take(3), at(0)).await;
            if replaced {
                must_be!(pool.replace(vec![one_time(4).valid(DAY, END)], at(1)).await, [Saved]);
            } else {
                must_be!(pool.withdraw([1, 2, 3], at(1)).await, [Withdrawn; 3]);
            }
            must_be!(pool.statuses(1..=3, at(1)).await, [reserved(60); 3]);
            must_be!(pool.withdraw([1], at(2)).await, [Withdrawn], "again");
            assert!(pool.get(1, at(2)).await.expect("it is reserved").bytes.is_some());
            pool.spent(&spends, &no_usage(), at(3)).await;
            must_be!(pool.withdraw([1], at(3)).await, [WithdrawOutcome::AlreadySpent], "too late");
            pool.released(&releases, at(3)).await;
            let withdrawn = [3, 60].map(|end| spent(end, Cause::Withdrawn));
            must_be!(pool.statuses(2..=3, at(60)).await, withdrawn);
            must_be!(pool.available(at(60)).await, []);
        }
    }

    /// With `All`: the unspent ones in the pool's order, recalled ones too, then last resorts by ciphersuite.
    #[rules("DEL-3", "RES-2")]
    async fn all_are_withdrawn_in_the_pools_order(context: &Context) {
        let batch = vec![
            last_resort(1).of(OTHER_SUITE),
            one_time(2),
            one_time(3).of(OTHER_SUITE),
            last_resort(4),
            one_time(5),
            one_time(6).valid(DAY, END),
            one_time(7),
            one_time(8).valid(-DAY, 50),
        ];
        let pool = context.stocked(batch).await;
        pool.lease(&pool.take(2).ciphersuites([OTHER_SUITE]), at(10)).await;
        pool.lease(&pool.take(1).only(key_package_ref(5)), at(10)).await;
        pool.withdraw([5], at(10)).await;
        pool.claimed(&pool.take(3).only(key_package_ref(7)), at(10)).await;
        let withdrawn = pool.withdraw_as(&Withdrawal::All, at(50)).await;
        let expected = [2, 3, 5, 6, 4, 1].map(|n| (key_package_ref(n), Withdrawn));
        must_be!(withdrawn, expected);
        let recalled = pool.withdraw_as(&Withdrawal::All, at(51)).await;
        let expected = [3, 5].map(|n| (key_package_ref(n), Withdrawn));
        must_be!(recalled, expected, "what is leased is unspent still");
        must_be!(pool.withdraw_as(&Withdrawal::All, at(70)).await, []);
        pool.refuses(&pool.take(9), at(70), PoolExhausted).await;
        must_be!(pool.beside("nobody").withdraw_as(&Withdrawal::All, at(70)).await, []);
        must_be!(pool.withdraw_as(&Withdrawal::Refs(Vec::new()), at(70)).await, []);
    }

    /// With `All`: a last resort past its `not_after` is passed over, and those of later ciphersuites are withdrawn.
    #[rules("DEL-3", "LAST-1")]
    async fn an_expired_last_resort_keeps_no_other_from_being_withdrawn(context: &Context) {
        let batch = vec![last_resort(1).valid(-DAY, 50), last_resort(2).of(OTHER_SUITE), one_time(3)];
        let pool = context.stocked(batch).await;
        let withdrawn = pool.withdraw_as(&Withdrawal::All, at(50)).await;
        must_be!(withdrawn, [3, 2].map(|n| (key_package_ref(n), Withdrawn)));
        must_be!(pool.status(2, at(51)).await, spent(50, Cause::Withdrawn));
    }
}
