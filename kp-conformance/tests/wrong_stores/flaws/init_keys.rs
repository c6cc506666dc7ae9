use kp_core::rules::{ModelPool, PoolRecords, Record};
use kp_core::server::{Admitted, InitKeyFingerprint, SaveMode, SaveOutcome, Withdrawal};

use super::saving::{answering, with};
use crate::flaw::sure;
use crate::wrong_store::wrong_stores;

/// Whether a record of this kind, which is not past its `not_after`, has the fingerprint.
fn has(pool: &ModelPool, fingerprint: &InitKeyFingerprint, which: impl Fn(&Record) -> bool) -> bool {
    let mut records = pool.records.iter();
    records.any(|(record, kept)| kept.fingerprint == Some(*fingerprint) && which(record))
}

wrong_stores! {
    /// An init key may come as often as it likes.
    #[breaks("SAVE-9", an_init_key_is_in_one_package_of_a_pool)]
    fn takes_an_init_key_again(flaw: &mut Flaw) {
        flaw.has_init_key = |_, _, _| false;
    }

    /// The init key of a package that is spent comes back under another ref.
    #[breaks("SAVE-9", an_init_key_is_in_one_package_of_a_pool)]
    fn forgets_the_init_keys_of_spent_packages(flaw: &mut Flaw) {
        flaw.has_init_key = |pool, fingerprint, now| {
            has(pool, fingerprint, |record| record.state.shows_bytes() && !record.is_expired(now))
        };
    }

    /// The fingerprint goes with the bytes.
    #[breaks("SAVE-9", a_replace_frees_no_init_key)]
    fn the_fingerprint_goes_with_the_bytes(flaw: &mut Flaw) {
        flaw.update = |pool, before, after| {
            let keeps = after.state.keeps_bytes();
            sure(pool.update(before, after.state));
            for (record, kept) in &mut pool.records {
                if record.sequence == before.sequence && !keeps {
                    kept.fingerprint = None;
                }
            }
        };
    }

    /// The init key of a last resort does not count.
    #[breaks("SAVE-9", an_init_key_is_in_one_package_of_a_pool)]
    fn last_resorts_have_no_init_key(flaw: &mut Flaw) {
        flaw.has_init_key = |pool, fingerprint, now| {
            has(pool, fingerprint, |record| !record.info.role.is_last_resort() && !record.is_expired(now))
        };
    }

    /// The init key of a package that has expired counts until it is swept.
    #[breaks("SAVE-9", an_init_key_is_remembered_as_long_as_its_package)]
    fn remembers_expired_init_keys(flaw: &mut Flaw) {
        flaw.has_init_key = |pool, fingerprint, _| has(pool, fingerprint, |_| true);
    }

    /// Packages without a fingerprint share one.
    #[breaks("SAVE-9", no_fingerprint_equals_none)]
    fn none_equals_none(flaw: &mut Flaw) {
        flaw.save = |records, save, now| {
            let none = InitKeyFingerprint::from_bytes([0; 8]);
            let items = save.packages().iter().cloned().map(|mut item| {
                item.fingerprint = item.fingerprint.or(Some(none));
                item
            });
            records.save(&with(save, items), now)
        };
    }

    /// A batch is compared with what the pool held before it.
    #[breaks("SAVE-9", the_second_of_one_init_key_in_a_batch_is_refused)]
    fn compares_no_init_keys_within_a_batch(flaw: &mut Flaw) {
        flaw.save = |records, save, now| {
            let before: Vec<_> = records.pool.records.iter().filter_map(|(_, kept)| kept.fingerprint).collect();
            let items = save.packages().iter().cloned().map(|mut item| {
                item.fingerprint = item.fingerprint.filter(|fingerprint| before.contains(fingerprint));
                item
            });
            records.save(&with(save, items), now)
        };
    }

    /// The same package again is said to use its init key again.
    #[breaks("SAVE-7", a_reused_init_key_is_judged_in_its_place)]
    fn the_same_package_reuses_its_init_key(flaw: &mut Flaw) {
        flaw.save = |records, save, now| {
            answering(records, save, now, SaveOutcome::AlreadyStored, SaveOutcome::InitKeyReused)
        };
    }

    /// In a full pool, a reused init key is not noticed.
    #[breaks("SAVE-7", a_reused_init_key_is_judged_in_its_place)]
    fn full_is_judged_before_the_init_key(flaw: &mut Flaw) {
        flaw.save = |records, save, now| {
            let mut outcomes = records.save(save, now);
            for (Admitted { package, .. }, outcome) in save.packages().iter().zip(&mut outcomes) {
                let held = sure(records.pool.count_held(package.info.ciphersuite, now));
                let full = !package.info.role.is_last_resort() && held >= save.cap_per_ciphersuite;
                if full && *outcome == SaveOutcome::InitKeyReused {
                    *outcome = SaveOutcome::PoolFull;
                }
            }
            outcomes
        };
    }

    /// The init key of an item that was refused is remembered.
    #[breaks("SAVE-9", a_refused_item_leaves_no_init_key)]
    fn remembers_the_init_keys_of_refused_items(flaw: &mut Flaw) {
        flaw.save = |records, save, now| {
            let outcomes = records.save(save, now);
            for (item, outcome) in save.packages().iter().zip(&outcomes) {
                if let Some((_, kept)) = records.pool.records.first_mut()
                    && *outcome == SaveOutcome::PoolFull
                {
                    kept.fingerprint = item.fingerprint;
                }
            }
            outcomes
        };
    }

    /// A replace forgets the init keys of what it withdraws, before it judges.
    #[breaks("SAVE-8", a_replace_frees_no_init_key)]
    fn a_replace_frees_init_keys(flaw: &mut Flaw) {
        flaw.save = |records, save, now| {
            if save.mode == SaveMode::Replace {
                for (record, kept) in &mut records.pool.records {
                    if record.state.is_unspent_one_time() {
                        kept.fingerprint = None;
                    }
                }
            }
            records.save(save, now)
        };
    }

    /// What is refused for its init key is accepted all the same: a replace withdraws the others.
    #[breaks("SAVE-8", a_replace_frees_no_init_key)]
    fn a_reused_init_key_withdraws_the_others(flaw: &mut Flaw) {
        flaw.save = |records, save, now| {
            let outcomes = records.save(save, now);
            if save.mode == SaveMode::Replace && outcomes.contains(&SaveOutcome::InitKeyReused) {
                records.withdraw(&Withdrawal::All, now);
            }
            outcomes
        };
    }

    /// A fingerprint that comes later overwrites the one that is there.
    #[breaks("SAVE-5", a_fingerprint_is_added_where_there_is_none)]
    fn overwrites_the_fingerprint(flaw: &mut Flaw) {
        flaw.amend = |pool, record, item| {
            sure(pool.amend(record, item));
            for (other, kept) in &mut pool.records {
                if other.sequence == record.sequence && item.fingerprint.is_some() {
                    kept.fingerprint = item.fingerprint;
                }
            }
        };
    }

    /// Of two records with one fingerprint, the index holds one: when it goes, the other is not found.
    #[breaks("SAVE-9", of_two_packages_of_one_init_key_each_counts)]
    fn one_record_a_fingerprint(flaw: &mut Flaw) {
        flaw.swept = |records, now| {
            let expired = records.pool.records.iter().filter(|(record, _)| record.is_expired(now));
            let gone: Vec<_> = expired.filter_map(|(_, kept)| kept.fingerprint).collect();
            for (_, kept) in &mut records.pool.records {
                kept.fingerprint = kept.fingerprint.filter(|fingerprint| !gone.contains(fingerprint));
            }
        };
    }
}
