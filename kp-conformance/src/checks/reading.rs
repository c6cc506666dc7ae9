use crate::asking::Asking as _;
use std::sync::Arc;

use kp_core::Slot;
use kp_core::server::{Cursor, LastResort, OnLapse, ReadyKeyPackage, Withdrawal};
use kp_core::{Cause, Error, PoolId, Rejection, Status};

use crate::Context;
use crate::at_once::at_once;
use crate::check::checks;
use crate::level::by_level;
use crate::must_be::must_be;
use crate::packages::{
    Altered, DAY, END, OTHER_SUITE, SUITE, at, key_package_ref, last_resort, no_usage, one_time, one_times, reserved,
    spent,
};
use crate::pool::{Pool, works};

/// A pool with something of every kind: what is what, the checks of counts and statuses say.
async fn colourful(context: &Context) -> Pool {
    let pool = context.pool().await;
    let mut batch = one_times(1..=6);
    batch.extend([one_time(7).valid(200, END), one_time(8).valid(-DAY, 100)]);
    batch.extend([last_resort(9), one_time(10).of(OTHER_SUITE)]);
    pool.stock(batch, at(0)).await;
    pool.lease(&pool.take(1), at(0)).await;
    pool.lease_until(&pool.take(2), OnLapse::Retire, at(0)).await;
    let spent = pool.lease(&pool.take(3), at(0)).await;
    pool.spent(&spent, &no_usage(), at(1)).await;
    pool.withdraw([4], at(2)).await;
    let longer = pool.take(5).lasting(500);
    pool.lease(&longer, at(2)).await;
    pool
}

checks! {
    /// `list_available` shows what reserve could hand out now, in its order, with all its facts.
    #[rules("READ-2", "RES-2", "RES-3")]
    async fn the_list_is_what_reserve_could_hand_out(context: &Context) {
        let pool = colourful(context).await;
        let listed = pool.available_by(100, at(99)).await;
        let expected = [
            one_time(1),
            one_time(6),
            one_time(8).valid(-DAY, 100),
            one_time(10).of(OTHER_SUITE),
        ];
        must_be!(listed, expected.map(|package| package.info));
        for (n, info) in (20..).zip(listed) {
            let take = pool.take(n).last_resort(LastResort::Never);
            must_be!(pool.reserve_ref(&take, at(99)).await, Ok(info.key_package_ref));
        }
        let take = pool.take(30).last_resort(LastResort::Never);
        pool.refuses(&take, at(99), Rejection::PoolExhausted).await;
        must_be!(pool.available(at(99)).await, []);
    }

    /// `list_ready` shows what `list_available` shows, in its order, and then the slots; each with its facts and the time when
    /// it was first saved.
    #[rules("READ-1", "READ-2", "LAST-1", "LAST-2")]
    async fn what_is_ready_is_what_is_available_and_the_slots(context: &Context) {
        let pool = colourful(context).await;
        pool.stock(vec![last_resort(21).of(OTHER_SUITE), one_time(22)], at(3)).await;
        pool.save(vec![one_time(6), last_resort(9)], at(4)).await;
        for now in [5, 60, 99, 100, 200, END, 5] {
            let ready = works(pool.store.list_ready(&pool.id, at(now)).await);
            let (slots, one_time): (Vec<_>, Vec<_>) =
                ready.iter().cloned().partition(|ready| ready.info.role.is_last_resort());
            must_be!([one_time.clone(), slots.clone()].concat(), ready, "the slots come last");
            let infos: Vec<_> = one_time.into_iter().map(|ready| ready.info).collect();
            must_be!(infos, pool.available_by(100, at(now)).await, "at {now}");
            let expected = [(last_resort(9), 0), (last_resort(21).of(OTHER_SUITE), 3)];
            let expected = expected.map(|(package, saved)| ReadyKeyPackage::new(package.info, at(saved)));
            must_be!(slots, if now < END { expected.to_vec() } else { Vec::new() }, "at {now}");
            for ready in ready.iter().filter(|ready| !ready.info.role.is_last_resort()) {
                let late = ready.info.key_package_ref == key_package_ref(22);
                must_be!(ready.saved_at, at(if late { 3 } else { 0 }), "when it was first saved");
            }
        }
        pool.stock(vec![last_resort(23)], at(6)).await;
        let ready = works(pool.store.list_ready(&pool.id, at(6)).await);
        let slots = ready.iter().filter(|ready| ready.info.role.is_last_resort());
        let slots: Vec<_> = slots.map(|ready| ready.info.key_package_ref.clone()).collect();
        must_be!(slots, [key_package_ref(21), key_package_ref(23)], "the replaced one is gone");
        must_be!(works(pool.store.list_ready(&pool.beside("nobody").id, at(0)).await), []);
    }

    /// In pages of any size each package is shown once, in order, also one whose lease has lapsed and is not settled; a limit of
    /// 0 counts as 1. The last page says that it is the last, also when it is full.
    #[rules("READ-2", "READ-1", "COST-1")]
    async fn pages_show_each_package_once(context: &Context) {
        let pool = context.stocked(one_times(1..=25)).await;
        let whole = pool.available_by(1_000, at(0)).await;
        must_be!(whole.len(), 25);
        if !pool.only_claims {
            for n in [1, 8, 25] {
                pool.lease(&pool.take(n).only(key_package_ref(n)), at(0)).await;
            }
        }
        for limit in [0, 1, 2, 7, 24, 25, 26] {
            must_be!(pool.available_by(limit, at(60)).await, whole, "in pages of {limit}");
        }
        for (limit, is_last) in [(24, false), (25, true), (26, true)] {
            let page = works(pool.store.list_available(&pool.id, None, limit, at(60)).await);
            must_be!(page.next.is_none(), is_last, "a page of {limit} is the last of 25 packages: {page:?}");
        }
        must_be!(pool.beside("nobody").available_by(10, at(0)).await, []);
    }

    /// What is available throughout is shown exactly once, though others come and go between the pages.
    #[rules("READ-2")]
    async fn pages_stand_still_while_others_come_and_go(context: &Context) {
        let pool = context.stocked(one_times(1..=10)).await;
        let first = works(pool.store.list_available(&pool.id, None, 4, at(0)).await);
        let gone = pool.claim(&pool.take(1), None, at(0)).await.expect("the first");
        pool.withdraw([4, 6], at(0)).await;
        pool.stock(one_times(11..=12), at(0)).await;
        let mut shown = first.items;
        let mut after = first.next;
        while let Some(cursor) = after {
            let page = works(pool.store.list_available(&pool.id, Some(&cursor), 4, at(0)).await);
            assert_ne!(page.next, Some(cursor), "the next page goes on where this one ends");
            shown.extend(page.items);
            assert!(shown.len() <= 12, "there are twelve at most, and the pages show {}", shown.len());
            after = page.next;
        }
        let shown: Vec<_> = shown.into_iter().map(|info| info.key_package_ref).collect();
        must_be!(shown[0], gone.info.key_package_ref, "it was there at the first page");
        let throughout = [2, 3, 5, 7, 8, 9, 10].map(key_package_ref);
        let seen: Vec<_> = shown
            .iter()
            .filter(|named| throughout.contains(named))
            .cloned()
            .collect();
        must_be!(seen, throughout);
    }

    /// Each record is counted once, by the first of expired, spent, last resort, reserved, not yet valid and available.
    #[rules("READ-3")]
    async fn counts_add_up(context: &Context) {
        let pool = colourful(context).await;
        let counted = async |now| {
            let counts = pool.counts(at(now)).await;
            must_be!(counts.keys().copied().collect::<Vec<_>>(), [SUITE, OTHER_SUITE]);
            [SUITE, OTHER_SUITE].map(|suite| {
                let count = counts[&suite];
                let ended = [count.expired, count.spent, count.spent_last_resorts];
                let leased = [count.reserved, count.recalled];
                (ended, count.last_resort, leased, [count.not_yet_valid, count.available])
            })
        };
        let other = ([0, 0, 0], Slot::Empty, [0, 0], [0, 1]);
        must_be!(counted(5).await, [([0, 2, 0], Slot::Unused, [3, 0], [1, 2]), other]);
        // Two leases have lapsed, and one package has expired.
        must_be!(counted(100).await, [([1, 3, 0], Slot::Unused, [1, 0], [1, 2]), other]);
        pool.claimed(&pool.take(20).last_resort(LastResort::Only), at(100)).await;
        must_be!(counted(200).await, [([1, 3, 0], Slot::Used, [1, 0], [0, 3]), other]);
        pool.withdraw([5, 9], at(200)).await;
        must_be!(counted(200).await, [([1, 4, 1], Slot::Empty, [1, 1], [0, 3]), other]);
        must_be!(pool.room(at(200)).await, 10_000 - 8, "one has expired, one is a last resort");
        let at_end: u32 = pool.counts(at(END)).await.values().map(|counts| counts.expired).sum();
        must_be!(at_end, 10, "expired comes first");
        let nobodys = pool.beside("nobody").counts(at(0)).await;
        assert!(nobodys.is_empty(), "a pool that holds nothing has no entries");
    }

    /// `get_statuses` says what became of each ref, in order, and nothing of those never seen.
    #[rules("READ-4")]
    async fn statuses_say_what_became_of_each_ref(context: &Context) {
        let pool = colourful(context).await;
        let statuses = pool.statuses([11, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1], at(100)).await;
        let expected = [
            None,
            Some(Status::Available),
            spent(60, Cause::Retired),
            spent(1, Cause::Used),
            spent(2, Cause::Withdrawn),
            reserved(502),
            Some(Status::Available),
            Some(Status::NotYetValid),
            Some(Status::Expired),
            Some(Status::LastResort { used: false }),
            Some(Status::Available),
        ];
        must_be!(statuses, expected);
        must_be!(pool.statuses([], at(100)).await, []);
        must_be!(pool.beside("nobody").statuses([1], at(100)).await, [None]);
    }

    /// `list_pools` shows every pool that holds anything, also one with nothing but spent packages, once each.
    #[rules("READ-5", "DEL-1", "COST-1")]
    async fn every_pool_that_holds_anything_is_listed_once(context: &Context) {
        let first = context.pool().await;
        let names: Vec<String> = (0..13).map(|n| format!("user-{n}/phone")).collect();
        for name in &names {
            first.beside(name).stock(one_times([1]), at(0)).await;
        }
        let spent = first.beside(&names[3]);
        spent.withdraw_as(&Withdrawal::All, at(1)).await;
        for gone in [&names[5], &names[5], "nobody"] {
            first.beside(gone).delete().await;
        }
        let mut expected: Vec<_> = names.iter().map(|name| first.beside(name).id).collect();
        expected.remove(5);
        expected.sort();
        for limit in [0, 1, 5, 12, 13, 100] {
            must_be!(first.pools_by(limit).await, expected, "in pages of {limit}");
        }
        for (limit, is_last) in [(11, false), (12, true), (13, true)] {
            let page = works(first.store.list_pools(None, limit).await);
            must_be!(page.next.is_none(), is_last, "a page of {limit} is the last of 12 pools: {page:?}");
        }
        must_be!(first.cleanup(at(END), 100).await, 12);
        must_be!(first.pools_by(5).await, [], "swept empty");
        must_be!(spent.counts(at(END)).await.len(), 0, "a pool that was swept empty has no entries");
    }

    /// Ids are any bytes, compared bytewise: of one byte and of the longest, with NUL bytes, and not UTF-8. The same ref in
    /// another pool is another package.
    #[rules("READ-5", "SAVE-5", "PRIV-1")]
    async fn ids_are_any_bytes(context: &Context) {
        let pool = context.pool().await;
        let ids: [&[u8]; 8] = [
            b"a",
            b"A",
            b"a\0",
            b"\0",
            b"\0\0",
            b"\xFF\xFE",
            b"a b:{c}%*'\"\n",
            &[0xAB; 255],
        ];
        let refs: [&[u8]; 5] = [b"\0", b"r", b"r\0", b"\xC3\x28", &[0xCD; 64]];
        let mut expected: Vec<PoolId> = Vec::new();
        for (pools, bytes) in (0..).zip(ids) {
            let pool = Pool {
                id: bytes.try_into().expect("1 to 255 bytes"),
                ..pool.clone()
            };
            let packages: Vec<_> = (1..)
                .zip(refs)
                .map(|(n, bytes)| {
                    let mut package = one_time(n).with_bytes_of(10 * pools + n);
                    package.info.key_package_ref = bytes.try_into().expect("1 to 64 bytes");
                    package
                })
                .collect();
            pool.stock(packages.clone(), at(0)).await;
            for (n, package) in (1..).zip(packages) {
                must_be!(pool.claim(&pool.take(n), None, at(0)).await, Ok(package));
            }
            expected.push(pool.id);
        }
        expected.sort();
        must_be!(pool.pools_by(3).await, expected);
    }

    /// A cursor that the call did not give is refused, and is no failure.
    #[rules("READ-2", "READ-5", "DEL-2", "ERR-3")]
    async fn a_foreign_cursor_is_refused(context: &Context) {
        let pool = context.stocked(one_times([1, 2])).await;
        let invalid = |error: Option<Error>, cursor: &Cursor| {
            let rejection = error.as_ref().and_then(|error| error.rejection()).copied();
            must_be!(rejection, Some(Rejection::InvalidCursor), "{cursor:?}: {error:?}");
        };
        let of_pools = Cursor::after_pool(pool.id.clone());
        let list = pool.store.list_available(&pool.id, Some(&of_pools), 1, at(0)).await;
        invalid(list.err(), &of_pools);
        let of_packages = Cursor::after_sequence(0);
        invalid(pool.store.list_pools(Some(&of_packages), 1).await.err(), &of_packages);
        let retired = pool.store.retire_unspent(at(0), at(0), Some(&of_packages), 1).await;
        invalid(retired.err(), &of_packages);
    }

    /// Of two packages whose credential hashes differ in one bit, each is read back with its own.
    #[rules("SAVE-5", "READ-4", "READ-2")]
    async fn each_package_has_its_own_credential(context: &Context) {
        let with = |n, last: u8| {
            let mut package = one_time(n);
            package.info.credential.0[31] = last;
            package
        };
        let packages = [with(1, 7), with(2, 6), with(3, 7)];
        let pool = context.stocked(packages.to_vec()).await;
        let expected = packages.clone().map(|package| package.info);
        must_be!(pool.available_by(10, at(0)).await, expected);
        for (n, package) in (1..).zip(packages) {
            let stored = pool.get(n, at(0)).await.map(|stored| stored.info);
            must_be!(stored.as_ref(), Some(&package.info));
            must_be!(pool.claim(&pool.take(n), None, at(0)).await, Ok(package));
        }
    }

    /// Statuses are those of one moment: of a pool that another handle deletes and fills again, all are there, or none.
    #[rules("LIN-1", "READ-4", "DEL-1")]
    async fn statuses_are_those_of_one_moment(context: &Context) {
        const ALL: u64 = 500;
        let pools = context.stocked_pools(2, one_times(0..ALL)).await;
        let changes = Arc::new(());
        at_once(&pools, 2, |pool, task| {
            let others = Arc::downgrade(&changes);
            let ours = (task == 0).then(|| Arc::clone(&changes));
            async move {
                if ours.is_some() {
                    for _ in 0..by_level(5, 50) {
                        pool.delete().await;
                        // Twice: who reads in turns with this is to find the pool empty too.
                        tokio::task::yield_now().await;
                        tokio::task::yield_now().await;
                        pool.stock(one_times(0..ALL), at(0)).await;
                        tokio::task::yield_now().await;
                    }
                    return;
                }
                // Who reads goes on as long as the other changes (one more is the check's own).
                while others.strong_count() > 1 {
                    let there = pool.statuses(0..ALL, at(0)).await.into_iter().flatten().count() as u64;
                    assert!(there == 0 || there == ALL, "{there} of {ALL} packages are there: a read of two moments");
                    tokio::task::yield_now().await;
                }
            }
        })
        .await;
    }

    /// However many pools there are, each is listed once, also on one page.
    #[rules("READ-5", "COST-1")]
    async fn thousands_of_pools_are_listed(context: &Context) {
        const ALL: u64 = 2_100;
        let pools = context.pools(4).await;
        at_once(&pools, 8, |pool, task| async move {
            for n in (task..ALL).step_by(8) {
                pool.beside(&format!("user-{n:04}")).stock(one_times([1]), at(0)).await;
            }
        })
        .await;
        let expected: Vec<_> = (0..ALL).map(|n| pools[0].beside(&format!("user-{n:04}")).id).collect();
        for limit in [5_000, 1_000] {
            let listed = pools[0].pools_by(limit).await;
            must_be!(listed.len(), expected.len(), "in pages of {limit}");
            assert!(listed == expected, "each once, in pages of {limit}");
        }
    }
}
