use crate::asking::Asking as _;
use kp_core::Ciphersuite;
use kp_core::rules::Limits;
use kp_core::server::SaveOutcome::{AlreadyStored, Expired, PoolFull, Saved};
use kp_core::server::{OnLapse, Save, SaveMode};

use crate::Context;
use crate::check::checks;
use crate::must_be::must_be;
use crate::packages::{Altered, DAY, END, OTHER_SUITE, SUITE, at, last_resort, one_time, one_times};

/// The most last-resort slots of a pool (SAVE-6).
const SLOTS: u16 = 16;

/// The n-th last resort, of a ciphersuite of its own.
fn slot(n: u16) -> kp_core::KeyPackage {
    last_resort(1_000 + u64::from(n)).of(Ciphersuite(0xF000 + n))
}

checks! {
    /// At most `cap_per_ciphersuite` one-time packages are held, of each ciphersuite apart.
    #[rules("SAVE-6", "LAST-2")]
    async fn the_cap_counts_each_ciphersuite_apart_and_no_last_resort(context: &Context) {
        let pool = context.pool().await;
        let batch = vec![
            one_time(1),
            last_resort(2),
            one_time(3).of(OTHER_SUITE),
            one_time(4),
            one_time(5).of(OTHER_SUITE),
            last_resort(6).of(OTHER_SUITE),
        ];
        let capped = pool.request(batch).cap_per_ciphersuite(1);
        let expected = [Saved, Saved, Saved, PoolFull, PoolFull, Saved];
        must_be!(pool.save_as(&capped, at(0)).await, expected);
        let third = Ciphersuite(0x0007);
        let none = pool.request(vec![last_resort(7).of(third), one_time(8).of(third)]).cap_per_ciphersuite(0);
        must_be!(pool.save_as(&none, at(0)).await, [Saved, PoolFull]);
        let beside = pool.request(vec![one_time(9).of(third)]).cap_per_ciphersuite(1);
        must_be!(pool.save_as(&beside, at(0)).await, [Saved]);
    }

    /// Reserved packages and those not yet valid count towards the cap; used, withdrawn, recalled and expired ones do
    /// not.
    #[rules("SAVE-6", "DEL-3", "SAVE-7")]
    async fn the_cap_counts_what_is_free_or_reserved(context: &Context) {
        let batch = vec![one_time(1), one_time(2), one_time(3).valid(-DAY, 100), one_time(4).valid(50, END)];
        let pool = context.stocked(batch).await;
        let full = async |now, refused: &str| {
            let one_more = pool.request(one_times([9])).cap_per_ciphersuite(4);
            must_be!(pool.save_as(&one_more, at(now)).await, [PoolFull], "{refused}");
        };
        full(0, "free ones count, also one that is not yet valid").await;
        pool.lease(&pool.take(1), at(0)).await;
        full(1, "a reserved one counts").await;
        full(60, "a lapsed one counts").await;

        let one_more = async |n, now, counted: &str| {
            let pair = pool.request(one_times([n, n + 1])).cap_per_ciphersuite(4);
            must_be!(pool.save_as(&pair, at(now)).await, [Saved, PoolFull], "{counted}");
        };
        pool.claimed(&pool.take(2), at(60)).await;
        one_more(10, 60, "a used one does not count").await;
        pool.withdraw([2], at(60)).await;
        one_more(20, 60, "a withdrawn one does not count").await;
        pool.lease(&pool.take(3).only(one_time(10).info.key_package_ref), at(60))
            .await;
        pool.withdraw([10], at(60)).await;
        one_more(30, 60, "a recalled one does not count").await;
        one_more(40, 100, "an expired one does not count").await;
        pool.lease_until(&pool.take(4), OnLapse::Retire, at(100)).await;
        full(101, "a reserved one that is retired at its lapse counts, also beside an expired one").await;
    }

    /// A pool has 16 last-resort slots at most: a 17th ciphersuite is refused, another package for one of the 16 is not. A
    /// slot whose package is past its `not_after` is no slot: it makes room, swept or not.
    #[rules("SAVE-6", "LAST-1", "SAVE-7")]
    async fn a_pool_has_sixteen_last_resort_slots(context: &Context) {
        let mut slots: Vec<_> = (1..SLOTS).map(slot).collect();
        slots.push(slot(SLOTS).valid(-DAY, 100));
        let pool = context.stocked(slots).await;
        must_be!(pool.save_one(slot(17), at(0)).await, PoolFull);
        must_be!(pool.save_one(slot(1), at(0)).await, AlreadyStored);
        must_be!(pool.save_one(last_resort(1).of(Ciphersuite(0xF001)), at(0)).await, Saved);
        must_be!(pool.save_one(one_time(2).of(Ciphersuite(0xF011)), at(0)).await, Saved);
        pool.withdraw([1], at(1)).await;
        must_be!(pool.save(vec![slot(17), slot(18)], at(99)).await, [Saved, PoolFull]);
        must_be!(pool.save(vec![slot(18), slot(19)], at(100)).await, [Saved, PoolFull]);
    }

    /// A pool remembers 10,000 one-time packages in any state, and then takes no new one, also under `Replace`, but a last
    /// resort still; what is past its `not_after` does not count. Its room is exact.
    #[rules("SAVE-6", "SAVE-8", "SAVE-7", "SAVE-2", "READ-3")]
    async fn a_pool_remembers_ten_thousand_one_time_packages(context: &Context) {
        let pool = context.stocked((0..10).map(|n| one_time(n).valid(-DAY, 100)).collect()).await;
        assert!(Save::new(pool.id.clone(), one_times(0..1_001)).is_err(), "a save takes 1,000 at most");
        pool.stock(one_times(10..1_000), at(0)).await;
        for batch in 1..10 {
            pool.stock(one_times(batch * 1_000..(batch + 1) * 1_000), at(0)).await;
        }
        pool.claimed(&pool.take(1), at(0)).await;
        pool.withdraw([5_000], at(0)).await;
        must_be!((pool.room(at(99)).await, pool.room(at(100)).await), (0, 10));
        let new = vec![
            one_time(10_000),
            last_resort(20_001),
            one_time(10_002).of(OTHER_SUITE),
            one_time(9_999),
        ];
        must_be!(
            pool.save(new, at(99)).await,
            [PoolFull, Saved, PoolFull, AlreadyStored]
        );
        must_be!(pool.replace(one_times([10_000]), at(99)).await, [PoolFull]);
        must_be!(
            pool.count(SUITE, at(99)).await.available,
            9_998,
            "nothing accepted, nothing withdrawn"
        );
        must_be!(pool.save_one(last_resort(20_002), at(99)).await, Saved, "the last resort is replaced");
        let late = pool.save(one_times(10_000..=10_010), at(100)).await;
        must_be!(late[..10], [Saved; 10], "the ten that ended make room");
        must_be!(late[10], PoolFull);
        let other = pool.beside("carol/laptop");
        must_be!(
            other.save_one(one_time(1), at(100)).await,
            Saved,
            "each pool has its own bound"
        );
        must_be!(other.save_one(one_time(2).valid(-DAY, 100), at(100)).await, Expired);
    }

    /// Last-resort packages have a memory of their own: in a pool that remembers 4 of each role, four that went keep a
    /// fifth out, and no one-time package.
    #[rules("SAVE-6", "LAST-1", "READ-3")]
    #[needs(limits)]
    async fn last_resorts_have_a_memory_of_their_own(context: &Context) {
        let pool = context.with_limits(Limits::default().max_records(4)).pool().await;
        pool.stock(vec![one_time(1), last_resort(11), last_resort(12).valid(-DAY, 100)], at(0)).await;
        must_be!(pool.room(at(0)).await, 3, "a last resort takes none of it");
        pool.stock(vec![last_resort(13), last_resort(14)], at(0)).await;
        let counts = pool.count(SUITE, at(0)).await;
        must_be!((counts.spent, counts.spent_last_resorts), (3, 3));
        let new = vec![last_resort(15), one_time(2), one_time(3), last_resort(14), one_time(4), one_time(5)];
        must_be!(pool.save(new, at(99)).await, [PoolFull, Saved, Saved, AlreadyStored, Saved, PoolFull]);
        must_be!(pool.save_one(last_resort(15), at(100)).await, Saved, "what has expired does not count");
        must_be!(pool.save_one(last_resort(16), at(100)).await, PoolFull);
    }

    /// A batch that crosses the bound of what a pool remembers is stored up to the bound, by either mode.
    #[rules("SAVE-6", "SAVE-7", "SAVE-8")]
    #[needs(limits)]
    async fn a_batch_that_crosses_the_bound_is_stored_up_to_it(context: &Context) {
        let first = context.with_limits(Limits::default().max_records(6)).pool().await;
        for (name, mode) in [("bob", SaveMode::Append), ("carol", SaveMode::Replace)] {
            let pool = first.beside(name);
            pool.stock(one_times([1, 2, 3, 4]), at(0)).await;
            let batch = vec![one_time(4), one_time(5), one_time(6), one_time(7), last_resort(8)];
            let outcomes = pool.save_as(&pool.request(batch).mode(mode), at(1)).await;
            must_be!(outcomes, [AlreadyStored, Saved, Saved, PoolFull, Saved], "{mode:?}");
            must_be!(pool.room(at(1)).await, 0, "{mode:?}");
        }
    }
}
