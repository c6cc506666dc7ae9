use std::sync::Arc;

use kp_core::Rejection::TooManyReservations;
use kp_core::moving::{ImportRejection, InvalidPoolExport, MovePools, PoolExport};
use kp_core::rules::{Model, State};
use kp_core::server::{LastResort, SaveOutcome, Withdrawal};
use kp_core::{Cause, PoolId, Status};

use super::sequences::{self, CALLS, MOVED_AFTER, Source, compare};
use crate::Context;
use crate::asking::Asking as _;
use crate::at_once::at_once;
use crate::check::checks;
use crate::histories::{Draw, Scale};
use crate::level::{again, seeds};
use crate::must_be::must_be;
use crate::packages::{Altered, Beside, Types, at, key_package_ref, last_resort, one_time, one_times, party, usage};
use crate::pool::{Answer, Pool, answered, works};

/// Two pools of the narrow sequences.
const NARROW: Scale = Scale {
    pools: &["bob/phone", "bob/laptop"],
    ..sequences::NARROW
};

async fn import(store: &dyn MovePools, pool: &PoolId, export: &PoolExport) -> Answer<(), ImportRejection> {
    answered(store.import_pool(pool, export).await)
}

/// What the model holds of a pool.
fn modelled(model: &Model, pool: &PoolId) -> PoolExport {
    let records = model.pool(pool).into_iter().flat_map(|pool| pool.records.clone());
    PoolExport::new(records).expect("the rules contradict nothing")
}

/// A pool with records in many states.
async fn in_many_states(pool: &Pool) {
    let mut packages = one_times(1..=8);
    packages.extend([one_time(9).valid(0, 5), last_resort(10)]);
    pool.stock(packages, at(0)).await;
    pool.stock(vec![last_resort(11)], at(0)).await;
    pool.claimed(&pool.take(1), at(0)).await;
    let spent = pool.lease(&pool.take(2), at(0)).await;
    pool.spent(&spent, &usage("club", "alice"), at(0)).await;
    pool.lease(&pool.take(3), at(0)).await;
    pool.lease(&pool.take(4), at(0)).await;
    pool.withdraw([4, 5], at(0)).await;
}

/// The export of a pool in many states, as another pool that is then deleted.
async fn an_export(pool: &Pool, store: &dyn MovePools) -> PoolExport {
    let other = pool.beside("carol");
    in_many_states(&other).await;
    let export = works(store.export_pool(&other.id).await);
    other.delete().await;
    export
}

checks! {
    /// A pool that was exported, deleted and imported answers every later call of a random sequence as if it had stayed:
    /// bindings, leases, windows, marks and the order among them.
    #[rules("MOVE-1", "RES-2", "RES-5", "RES-7", "CLAIM-1", "SAVE-9")]
    #[relies_on(everything)]
    #[needs(moves)]
    async fn after_a_move_every_sequence_is_answered_as_without_it(context: &Context) {
        compare(context, Source::moving(NARROW), seeds("sequences with a move", 12, 400)).await;
    }

    /// What only few calls ask for moves too: the window of a claim, with bytes and reserver; a receipt; a recalled lease; support
    /// and fingerprints; a last resort that was used.
    #[rules("MOVE-1", "CLAIM-1", "RES-7", "SPEND-3", "SAVE-9", "RES-3", "LAST-4", "DEL-3")]
    #[relies_on(everything)]
    #[needs(moves)]
    async fn what_few_calls_ask_for_moves_too(context: &Context) {
        let (pool, store) = (context.pool().await, context.mover().await);
        let types = Types(&[0xF001], &[], &[1]);
        pool.stock(one_times(1..=4), at(0)).await;
        pool.stock_one(one_time(5).with_key(5), at(0)).await;
        pool.stock_one(one_time(6).supporting(types), at(0)).await;
        pool.stock_one(last_resort(7).into(), at(0)).await;
        let alices = |n| pool.take(n).by(party("alice")).limit(1);
        let claimed = pool.claimed(&alices(1), at(0)).await;
        let spent = pool.lease(&pool.take(2), at(0)).await;
        let receipt = pool.spent(&spent, &usage("club", "bob"), at(0)).await;
        let recalled = pool.lease(&pool.take(3), at(0)).await;
        pool.withdraw([3], at(0)).await;
        let last = pool.take(7).last_resort(LastResort::Only);
        pool.claimed(&last, at(0)).await;

        let export = works(store.export_pool(&pool.id).await);
        pool.delete().await;
        must_be!(import(&*store, &pool.id, &export).await, Ok(()));

        must_be!(pool.claimed(&alices(1), at(1)).await, claimed, "the same claim again");
        pool.refuses(&alices(9), at(1), TooManyReservations).await;
        must_be!(pool.spent(&spent, &usage("club", "bob"), at(1)).await, receipt);
        must_be!(pool.admit_one(one_time(8).with_key(5), at(1)).await, SaveOutcome::InitKeyReused);
        must_be!(pool.claim_ref(&pool.take(6).requiring(types), at(1)).await, Ok(key_package_ref(6)));
        must_be!(pool.status(7, at(1)).await, Some(Status::LastResort { used: true }));
        pool.released(&recalled, at(1)).await;
        let withdrawn = Status::Spent { at: at(1), cause: Cause::Withdrawn };
        must_be!(pool.status(3, at(1)).await, Some(withdrawn));
        must_be!(pool.claim_ref(&pool.take(8), at(1)).await, Ok(key_package_ref(4)), "the order stays");
    }

    /// An export is one snapshot: beside saves that replace four packages by four others, it shows four.
    #[rules("MOVE-1", "SAVE-8", "LIN-1")]
    #[relies_on(everything)]
    #[needs(moves)]
    async fn an_export_is_one_snapshot(context: &Context) {
        const BATCHES: u64 = 40;
        let pool = context.pool().await;
        pool.stock(one_times(1..=4), at(0)).await;
        let store = context.mover().await;
        at_once(&[(pool, store)], 2, |(pool, store), task| async move {
            for n in 1..BATCHES {
                if task == 0 {
                    pool.replace(one_times(4 * n + 1..=4 * n + 4), at(0)).await;
                    continue;
                }
                let export = works(store.export_pool(&pool.id).await);
                let free = export.records().iter().filter(|(record, _)| record.state == State::Free);
                must_be!(free.count(), 4, "what one save left");
            }
        })
        .await;
    }

    /// A pool that holds a record is refused, and stays as it is: a free one, a spent one, one past its `not_after`. An empty
    /// export changes nothing; a deleted pool is empty.
    #[rules("MOVE-2", "DEL-1")]
    #[relies_on(everything)]
    #[needs(moves)]
    async fn a_pool_that_is_not_empty_is_refused(context: &Context) {
        let (pool, store) = (context.pool().await, context.mover().await);
        let export = an_export(&pool, &*store).await;
        let empty = works(store.export_pool(&pool.id).await);
        assert!(empty.is_empty(), "a pool never seen holds nothing");
        must_be!(import(&*store, &pool.id, &empty).await, Ok(()));
        must_be!(pool.pools_by(10).await, [], "an empty import makes no pool");
        let held = [
            vec![one_time(20)],
            vec![last_resort(20)],
            vec![one_time(20).valid(0, 1)],
        ];
        for packages in held {
            pool.stock(packages, at(0)).await;
            for withdrawn in [false, true] {
                if withdrawn {
                    pool.withdraw_as(&Withdrawal::All, at(0)).await;
                }
                let before = works(store.export_pool(&pool.id).await);
                let refused = import(&*store, &pool.id, &export).await;
                must_be!(refused, Err(ImportRejection::PoolNotEmpty));
                must_be!(works(store.export_pool(&pool.id).await), before, "nothing changed");
            }
            pool.delete().await;
        }
        must_be!(import(&*store, &pool.id, &export).await, Ok(()), "it is empty now");
        must_be!(works(store.export_pool(&pool.id).await), export);
        must_be!(pool.status(6, at(0)).await, Some(Status::Available));
    }

    /// Of imports of one pool at once, one is taken, whole.
    #[rules("MOVE-2", "LIN-1")]
    #[relies_on(everything)]
    #[needs(moves)]
    async fn of_imports_at_once_one_is_taken(context: &Context) {
        let (pool, store) = (context.pool().await, context.mover().await);
        for _ in 0..10 {
            let many = an_export(&pool, &*store).await;
            pool.stock(one_times(1..=3), at(0)).await;
            let few = works(store.export_pool(&pool.id).await);
            pool.delete().await;
            let handles = [context.mover().await, Arc::clone(&store)];
            let imports = at_once(&handles, 4, |store, n| {
                let (pool, export) = (pool.id.clone(), if n % 2 == 0 { many.clone() } else { few.clone() });
                async move { import(&*store, &pool, &export).await.is_ok().then_some(export) }
            });
            let taken: Vec<_> = imports.await.into_iter().flatten().collect();
            must_be!(taken, [works(store.export_pool(&pool.id).await)], "one was taken, whole");
            pool.delete().await;
        }
    }

    /// After the same calls, every store exports the same bytes. Read again, they are the export; cut off, changed in any byte or
    /// of a newer version, they are refused.
    #[rules("MOVE-3")]
    #[relies_on(everything)]
    #[needs(moves)]
    async fn exports_have_one_form(context: &Context) {
        let store = context.mover().await;
        let pool = context.pool().await;
        for seed in seeds("sequences with exports", 3, 100) {
            let mut draw = Draw::new(seed, NARROW).of(|method| context.offers(method));
            for n in 1..=CALLS {
                let (call, _) = draw.step();
                works(call.ask(&*store).await);
                for name in NARROW.pools.iter().filter(|_| n.is_multiple_of(MOVED_AFTER)) {
                    let pool = PoolId::try_from(*name).expect("a short name is a pool id");
                    let (export, expected) = (works(store.export_pool(&pool).await), modelled(draw.model(), &pool));
                    let differs = export.records().iter().zip(expected.records()).find(|(is, due)| is != due);
                    must_be!(differs, None, "after call {n}; {}", again(seed));
                    must_be!(export, expected, "after call {n}; {}", again(seed));
                }
            }
            for name in NARROW.pools {
                pool.beside(name).delete().await;
            }
        }
        in_many_states(&pool).await;
        let export = works(store.export_pool(&pool.id).await);
        let bytes = export.to_bytes();
        must_be!(PoolExport::from_bytes(&bytes), Ok(export));
        for at in 0..bytes.len() {
            assert!(PoolExport::from_bytes(&bytes[..at]).is_err(), "cut off at {at}");
            let mut changed = bytes.clone();
            changed[at] ^= 0x11;
            assert!(PoolExport::from_bytes(&changed).is_err(), "changed at {at}");
        }
        let mut newer = bytes;
        newer[7] += 1;
        let found = newer[7];
        must_be!(PoolExport::from_bytes(&newer), Err(InvalidPoolExport::NewerForm { found }));
    }
}
