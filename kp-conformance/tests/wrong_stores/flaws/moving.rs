use kp_core::Timestamp;
use kp_core::moving::{PoolExport, import};
use kp_core::rules::{ModelPool, State};

use crate::flaw::sure;
use crate::wrong_store::wrong_stores;

wrong_stores! {
    /// An export leaves out the windows after a use: claims are no longer repeated, and reservers no longer counted.
    #[breaks("MOVE-1", what_few_calls_ask_for_moves_too)]
    fn windows_stay_behind(flaw: &mut Flaw) {
        flaw.exported = |records| {
            for (record, kept) in records {
                if let State::Used(spent) = &mut record.state {
                    spent.window = None;
                    (kept.bytes, kept.support) = (None, None);
                }
            }
        };
    }

    /// An export forgets which reservation a used package is bound to.
    #[breaks("MOVE-1", after_a_move_every_sequence_is_answered_as_without_it)]
    fn bindings_stay_behind(flaw: &mut Flaw) {
        flaw.exported = |records| {
            for (record, _) in records {
                if let State::Used(spent) = &mut record.state {
                    spent.bound = spent.window.is_some();
                }
            }
        };
    }

    /// An import numbers the packages anew, in the order of their refs.
    #[breaks("MOVE-1", after_a_move_every_sequence_is_answered_as_without_it)]
    fn the_order_stays_behind(flaw: &mut Flaw) {
        flaw.exported = |records| {
            records.sort_by(|(a, _), (b, _)| b.info.key_package_ref.cmp(&a.info.key_package_ref));
            for ((record, _), sequence) in records.iter_mut().zip(0..) {
                record.sequence = sequence;
            }
        };
    }

    /// The fingerprints of init keys do not move.
    #[breaks("MOVE-1", what_few_calls_ask_for_moves_too)]
    fn fingerprints_stay_behind(flaw: &mut Flaw) {
        flaw.exported = |records| records.iter_mut().for_each(|(_, kept)| kept.fingerprint = None);
    }

    /// Spent packages do not move.
    #[breaks("MOVE-1", after_a_move_every_sequence_is_answered_as_without_it)]
    fn what_is_spent_stays_behind(flaw: &mut Flaw) {
        flaw.exported = |records| records.retain(|(record, _)| record.state.keeps_bytes());
    }

    /// An import into a pool that is not empty takes the place of what is there.
    #[breaks("MOVE-2", a_pool_that_is_not_empty_is_refused)]
    fn an_import_overwrites(flaw: &mut Flaw) {
        flaw.imported = |pool, export| {
            *pool = ModelPool::default();
            sure(import(pool, export))
        };
    }

    /// An import takes a pool for empty whose packages have all expired.
    #[breaks("MOVE-2", a_pool_that_is_not_empty_is_refused)]
    fn an_import_overlooks_what_has_expired(flaw: &mut Flaw) {
        flaw.imported = |pool, export| {
            let now = Timestamp::new(1_700_000_100).unwrap_or(Timestamp::MAX);
            let kept = pool.records.iter().any(|(record, _)| !record.is_expired(now));
            if !kept {
                pool.records.clear();
            }
            sure(import(pool, export))
        };
    }

    /// An import stores a part, and says that it stored all.
    #[breaks("MOVE-2", of_imports_at_once_one_is_taken)]
    fn an_import_stores_a_part(flaw: &mut Flaw) {
        flaw.imported = |pool, export| {
            let part = export.records().iter().skip(1).cloned();
            sure(import(pool, &PoolExport::new(part).unwrap_or_default()))
        };
    }

    /// An export tells the time of the move as the time of the save.
    #[breaks("MOVE-3", exports_have_one_form)]
    fn exports_have_a_time_of_their_own(flaw: &mut Flaw) {
        flaw.exported = |records| records.iter_mut().for_each(|(record, _)| record.saved_at = Timestamp::MAX);
    }
}
