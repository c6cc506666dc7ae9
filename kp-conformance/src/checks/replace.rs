use crate::asking::Asking as _;
use kp_core::Rejection::AlreadySpent;
use kp_core::server::SaveOutcome::{AlreadyStored, Expired, PoolFull, RefConflict, Saved};
use kp_core::server::{SaveMode, SaveOutcome};
use kp_core::{Cause, Status};

use crate::Context;
use crate::check::checks;
use crate::packages::{
    Altered, DAY, END, OTHER_SUITE, at, key_package_ref, last_resort, no_usage, one_time, one_times, reserved, spent,
};

checks! {
    /// The other unspent packages are withdrawn in the same step, also those not yet valid, and remembered.
    #[rules("SAVE-8", "DEL-3")]
    async fn replace_withdraws_the_others(context: &Context) {
        let pool = context.pool().await;
        let mut old = one_times(1..=3);
        old.push(one_time(4).valid(DAY, END));
        pool.stock(old, at(0)).await;
        assert_eq!(pool.replace(one_times([5, 6]), at(10)).await, [Saved, Saved]);
        assert_eq!(pool.statuses(1..=4, at(10)).await, [spent(10, Cause::Withdrawn); 4]);
        assert_eq!(pool.available(at(10)).await, [5, 6].map(key_package_ref));
        assert_eq!(pool.save(one_times([1]), at(11)).await, [SaveOutcome::AlreadySpent]);
        assert_eq!(
            pool.reserve(&pool.take(1).only(key_package_ref(2)), at(11)).await,
            Err(AlreadySpent)
        );
    }

    /// A reserved package is recalled: its id may still spend it, and when it lapses or is released it is spent.
    #[rules("SAVE-8", "DEL-3", "REL-1")]
    async fn replace_recalls_reserved_packages(context: &Context) {
        let pool = context.stocked(one_times(1..=3)).await;
        let spends = pool.lease(&pool.take(1), at(0)).await;
        let releases = pool.lease(&pool.take(2), at(0)).await;
        pool.lease(&pool.take(3), at(0)).await;
        pool.replace(one_times([4]), at(10)).await;
        assert_eq!(
            pool.statuses(1..=3, at(10)).await,
            [reserved(60); 3]
        );
        pool.spent(&spends, &no_usage(), at(10)).await;
        pool.released(&releases, at(10)).await;
        assert_eq!(pool.status(2, at(10)).await, spent(10, Cause::Withdrawn));
        assert_eq!(pool.status(3, at(60)).await, spent(60, Cause::Withdrawn));
        assert_eq!(pool.available(at(60)).await, [4].map(key_package_ref));
    }

    /// Only ciphersuites of which a one-time package was accepted are replaced; a last resort replaces no one-time
    /// package, nor the reverse.
    #[rules("SAVE-8")]
    async fn replace_keeps_to_the_ciphersuites_accepted(context: &Context) {
        let pool = context.stocked(vec![one_time(1), one_time(2).of(OTHER_SUITE), last_resort(3)]).await;
        assert_eq!(
            pool.replace(vec![last_resort(4).of(OTHER_SUITE)], at(10)).await,
            [Saved]
        );
        assert_eq!(pool.available(at(10)).await, [1, 2].map(key_package_ref));
        let batch = vec![one_time(5), one_time(6).of(OTHER_SUITE).valid(-DAY, 10)];
        assert_eq!(pool.replace(batch, at(10)).await, [Saved, Expired]);
        assert_eq!(pool.status(1, at(10)).await, spent(10, Cause::Withdrawn));
        assert_eq!(pool.available(at(10)).await, [2, 5].map(key_package_ref));
        let kept = pool.statuses([3, 4], at(10)).await;
        assert_eq!(kept, [Some(Status::LastResort { used: false }); 2]);
    }

    /// What the pool holds already counts as accepted, and stays; so does whatever else is named in the batch.
    #[rules("SAVE-8", "SAVE-2")]
    async fn replace_spares_what_is_in_the_batch(context: &Context) {
        let pool = context.stocked(one_times(1..=4)).await;
        let batch = vec![one_time(2), one_time(3).with_bytes_of(9)];
        assert_eq!(pool.replace(batch, at(10)).await, [AlreadyStored, RefConflict]);
        assert_eq!(pool.statuses([1, 4], at(10)).await, [spent(10, Cause::Withdrawn); 2]);
        assert_eq!(pool.available(at(10)).await, [2, 3].map(key_package_ref));
    }

    /// When nothing is accepted, nothing is withdrawn.
    #[rules("SAVE-8")]
    async fn a_replace_that_stores_nothing_withdraws_nothing(context: &Context) {
        let pool = context.stocked(one_times(1..=3)).await;
        pool.claimed(&pool.take(1), at(0)).await;
        let before = pool.picture(1..=4, at(10)).await;
        let batch = vec![one_time(1), one_time(2).with_bytes_of(9), one_time(4).valid(-DAY, 10)];
        let expected = [SaveOutcome::AlreadySpent, RefConflict, Expired];
        assert_eq!(pool.replace(batch, at(10)).await, expected);
        let full = pool.request(one_times([4])).mode(SaveMode::Replace).cap_per_ciphersuite(0);
        assert_eq!(pool.save_as(&full, at(10)).await, [PoolFull]);
        assert_eq!(pool.picture(1..=4, at(10)).await, before);
    }

    /// The cap counts as if the others were gone; those that stay count, wherever in the batch they are named.
    #[rules("SAVE-8", "SAVE-6")]
    async fn replace_counts_its_cap_as_if_the_others_were_gone(context: &Context) {
        let pool = context.stocked(one_times(1..=3)).await;
        let replace = |numbers: &[u64]| {
            let batch = pool.request(one_times(numbers.iter().copied()));
            batch.mode(SaveMode::Replace).cap_per_ciphersuite(3)
        };
        let first = pool.save_as(&replace(&[4, 5, 6, 7]), at(10)).await;
        assert_eq!(first, [Saved, Saved, Saved, PoolFull]);
        assert_eq!(pool.available(at(10)).await, [4, 5, 6].map(key_package_ref));
        let second = pool.save_as(&replace(&[8, 9, 10, 4]), at(11)).await;
        assert_eq!(second, [Saved, Saved, PoolFull, AlreadyStored]);
        assert_eq!(pool.available(at(11)).await, [4, 8, 9].map(key_package_ref));
    }
}
