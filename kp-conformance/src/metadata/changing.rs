use kp_core::client::Lifecycle::{Available, Created, Spent};
use kp_core::client::MetadataRejection::{Exists, IllegalStep, NotFound};
use kp_core::client::{KeyPackageMetadata, MetadataChanges, PoolRecord};

use super::ledger::Context;
use super::rows::{record, refs, row, row_in, rows};
use crate::check::checks;
use crate::must_be::must_be;
use crate::packages::{at, key_package_ref};

checks! {
    /// META-1: when a package was first offered is written once: a later offer, an earlier one, and steps leave it as it is.
    /// If a package of the call has no row, none is marked.
    #[rules("META-1", "META-2")]
    async fn a_package_is_first_offered_once(context: &Context) {
        let ledger = context.ledger().await.with(&rows([1, 2, 3])).await;
        let offer = |numbers: &[u64], seconds| MetadataChanges::new().offer(refs(numbers.iter().copied()), at(seconds));
        let before = ledger.list().await;
        must_be!(ledger.apply(&offer(&[1, 9], 4)).await, Err(NotFound));
        must_be!(ledger.list().await, before);
        must_be!(ledger.apply(&offer(&[1, 2], 5)).await, Ok(0));
        must_be!(ledger.apply(&offer(&[3, 1], 9)).await, Ok(0));
        must_be!(ledger.apply(&offer(&[2, 2], -9)).await, Ok(0));
        for to in [Available, Created, Spent] {
            must_be!(ledger.step(2, to, at(7)).await, Ok(()));
        }
        for (n, seconds) in [(1, 5), (2, 5), (3, 9)] {
            must_be!(ledger.row(n).await.offered_at, Some(at(seconds)));
        }
        must_be!(ledger.row(1).await, KeyPackageMetadata { offered_at: Some(at(5)), ..row(1) });
    }

    /// META-2, META-6: changes of every kind are one step: creations, then offers, steps and deletions. If one is refused,
    /// none is made, and the record stays.
    #[rules("META-2", "META-6", "META-1", "META-3")]
    async fn changes_of_every_kind_are_one_step(context: &Context) {
        let ledger = context.ledger().await.with(&[row(1), row(2), row_in(3, Spent)]).await;
        let before = ledger.all().await;
        let all = || {
            let steps = [(key_package_ref(4), Available), (key_package_ref(1), Available)];
            let changes = MetadataChanges::new().create([row(4), row(5)]).offer(refs([4, 1]), at(6)).step(steps, at(7));
            changes.delete(refs([2, 9, 5, 2])).record(record())
        };
        let illegal = IllegalStep { from: Spent, to: Available };
        for (refused, rejection) in [
            (all().create([row(3)]), Exists),
            (all().offer(refs([9]), at(6)), NotFound),
            (all().step([(key_package_ref(9), Spent)], at(7)), NotFound),
            (all().step([(key_package_ref(3), Available)], at(7)), illegal),
            // In this order, whatever comes first in the call.
            (all().step([(key_package_ref(3), Available)], at(7)).offer(refs([9]), at(6)), NotFound),
            (all().offer(refs([9]), at(6)).create([row(4)]), Exists),
        ] {
            must_be!(ledger.apply(&refused).await, Err(rejection));
            must_be!(ledger.all().await, before, "{refused:?}");
        }
        must_be!(ledger.apply(&all()).await, Ok(2), "one that was there, and one that was new");
        let live = |n| KeyPackageMetadata {
            lifecycle: Available,
            offered_at: Some(at(6)),
            uploaded_at: Some(at(7)),
            ..row(n)
        };
        for (n, left) in [(1, Some(live(1))), (2, None), (3, Some(row_in(3, Spent))), (4, Some(live(4))), (5, None)] {
            must_be!(ledger.get(n).await, left);
        }
        must_be!(ledger.record().await, record());
    }

    /// META-6: the record is empty at first, replaced as a whole, and read back as it was written, also what this release
    /// does not know.
    #[rules("META-6")]
    async fn the_record_is_replaced_as_a_whole(context: &Context) {
        let ledger = context.ledger().await.with(&[row(1)]).await;
        must_be!(ledger.record().await, PoolRecord::default());
        let mut waits = PoolRecord::default();
        waits.waits = record().waits;
        for written in [record(), waits, PoolRecord::default(), record()] {
            must_be!(ledger.apply(&MetadataChanges::new().record(written.clone())).await, Ok(0));
            must_be!(ledger.apply(&MetadataChanges::new()).await, Ok(0), "nothing to change");
            must_be!(ledger.step(1, Created, at(1)).await, Ok(()));
            must_be!(ledger.all().await, (vec![row(1)], written));
        }
    }
}
