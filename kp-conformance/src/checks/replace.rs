use kp_core::server::SaveOutcome::{AlreadyStored, Expired, PoolFull, RefConflict, Saved};
use kp_core::server::{SaveMode, SaveOutcome};
use kp_core::{Cause, Status};

use crate::Context;
use crate::check::checks;
use crate::must_be::must_be;
use crate::packages::{Altered, DAY, OTHER_SUITE, at, key_package_ref, last_resort, one_time, one_times, spent};

checks! {
    /// Only ciphersuites of which a one-time package was accepted are replaced; a last resort replaces no one-time
    /// package, nor the reverse.
    #[rules("SAVE-8")]
    async fn replace_keeps_to_the_ciphersuites_accepted(context: &Context) {
        let pool = context.stocked(vec![one_time(1), one_time(2).of(OTHER_SUITE), last_resort(3)]).await;
        for outcome in [Saved, AlreadyStored] {
            let batch = vec![last_resort(4).of(OTHER_SUITE)];
            must_be!(pool.replace(batch, at(10)).await, [outcome]);
            must_be!(pool.available(at(10)).await, [1, 2].map(key_package_ref));
        }
        let batch = vec![one_time(5), one_time(6).of(OTHER_SUITE).valid(-DAY, 10)];
        must_be!(pool.replace(batch, at(10)).await, [Saved, Expired]);
        must_be!(pool.status(1, at(10)).await, spent(10, Cause::Withdrawn));
        must_be!(pool.available(at(10)).await, [2, 5].map(key_package_ref));
        let kept = pool.statuses([3, 4], at(10)).await;
        must_be!(kept, [Some(Status::LastResort { used: false }); 2]);
    }

    /// What the pool holds already counts as accepted, and stays; so does whatever else is named in the batch.
    #[rules("SAVE-8", "SAVE-2")]
    async fn replace_spares_what_is_in_the_batch(context: &Context) {
        let pool = context.stocked(one_times(1..=4)).await;
        let batch = vec![one_time(2), one_time(3).with_bytes_of(9)];
        must_be!(pool.replace(batch, at(10)).await, [AlreadyStored, RefConflict]);
        must_be!(pool.statuses([1, 4], at(10)).await, [spent(10, Cause::Withdrawn); 2]);
        must_be!(pool.available(at(10)).await, [2, 3].map(key_package_ref));
    }

    /// When nothing is accepted, nothing is withdrawn.
    #[rules("SAVE-8")]
    async fn a_replace_that_stores_nothing_withdraws_nothing(context: &Context) {
        let pool = context.stocked(one_times(1..=3)).await;
        pool.claimed(&pool.take(1), at(0)).await;
        let before = pool.picture(1..=4, at(10)).await;
        let batch = vec![one_time(1), one_time(2).with_bytes_of(9), one_time(4).valid(-DAY, 10)];
        let expected = [SaveOutcome::AlreadySpent, RefConflict, Expired];
        must_be!(pool.replace(batch, at(10)).await, expected);
        must_be!(pool.replace(Vec::new(), at(10)).await, []);
        let full = pool.request(one_times([4])).mode(SaveMode::Replace).cap_per_ciphersuite(0);
        must_be!(pool.save_as(&full, at(10)).await, [PoolFull]);
        must_be!(pool.picture(1..=4, at(10)).await, before);
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
        must_be!(first, [Saved, Saved, Saved, PoolFull]);
        must_be!(pool.available(at(10)).await, [4, 5, 6].map(key_package_ref));
        let second = pool.save_as(&replace(&[8, 9, 10, 4]), at(11)).await;
        must_be!(second, [Saved, Saved, PoolFull, AlreadyStored]);
        must_be!(pool.available(at(11)).await, [4, 8, 9].map(key_package_ref));
    }

    /// A package of the batch that is recalled takes no room from the others.
    #[rules("SAVE-8", "SAVE-6", "SAVE-3")]
    async fn a_recalled_package_in_the_batch_takes_no_room(context: &Context) {
        let pool = context.stocked(one_times([1])).await;
        pool.lease(&pool.take(1), at(0)).await;
        pool.withdraw([1], at(0)).await;
        let batch = pool.request(one_times([1, 2])).mode(SaveMode::Replace).cap_per_ciphersuite(1);
        must_be!(pool.save_as(&batch, at(10)).await, [SaveOutcome::AlreadySpent, Saved]);
    }
}
