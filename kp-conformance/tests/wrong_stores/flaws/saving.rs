use kp_core::rules::{PoolRecords, State};
use kp_core::server::{Admitted, OnLapse, Save, SaveMode, SaveOutcome};
use kp_core::{Role, Timestamp};

use crate::flaw::{Call, Records, Torn, sure};
use crate::wrong_store::wrong_stores;

/// The same request with other packages.
pub(super) fn with(save: &Save, packages: impl Iterator<Item = Admitted>) -> Save {
    let changed = Save::new(save.pool.clone(), packages).unwrap_or_else(|_| save.clone());
    changed.mode(save.mode).cap_per_ciphersuite(save.cap_per_ciphersuite)
}

/// Saves, and answers one outcome as another.
pub(super) fn answering(
    records: &mut Records<'_>,
    save: &Save,
    now: Timestamp,
    is: SaveOutcome,
    says: SaveOutcome,
) -> Vec<SaveOutcome> {
    let mut outcomes = records.save(save, now);
    outcomes
        .iter_mut()
        .filter(|outcome| **outcome == is)
        .for_each(|outcome| *outcome = says);
    outcomes
}

/// Forgets the records of these packages, where they are in such a state, before they are saved.
fn forgetting(records: &mut Records<'_>, save: &Save, now: Timestamp, which: fn(&State) -> bool) -> Vec<SaveOutcome> {
    records.forget(|record| {
        let again = save
            .packages()
            .iter()
            .any(|item| item.package.info.key_package_ref == record.info.key_package_ref);
        again && which(&record.state)
    });
    records.save(save, now)
}

wrong_stores! {
    /// Each item of a batch is stored in a step of its own.
    #[breaks("SAVE-1", a_batch_becomes_visible_at_once)]
    fn stores_item_by_item(flaw: &mut Flaw) {
        flaw.torn = Some(Torn::ItemByItem);
    }

    /// One refused item refuses the batch.
    #[breaks("SAVE-1", good_items_are_stored_beside_refused_ones)]
    fn one_refused_item_refuses_all(flaw: &mut Flaw) {
        flaw.save = |records, save, now| {
            let before = records.pool.clone();
            let outcomes = records.save(save, now);
            if !outcomes.iter().all(|outcome| outcome.is_held()) {
                *records.pool = before;
            }
            outcomes
        };
    }

    /// The same package again is said to be stored anew.
    #[breaks("SAVE-2", replace_spares_what_is_in_the_batch)]
    fn says_saved_again(flaw: &mut Flaw) {
        flaw.save = |records, save, now| answering(records, save, now, SaveOutcome::AlreadyStored, SaveOutcome::Saved);
    }

    /// A credential that begins like that of the pool's first package is taken for it.
    #[breaks("SAVE-5", each_package_has_its_own_credential)]
    fn compares_the_beginning_of_credentials(flaw: &mut Flaw) {
        flaw.insert = |pool, mut record, item| {
            let first = pool.records.first().map(|(record, _)| record.info.credential);
            if let Some(first) = first.filter(|first| first.0[..16] == record.info.credential.0[..16]) {
                record.info.credential = first;
            }
            sure(pool.insert(&record, item));
        };
    }

    /// A pool that has room for one more takes a whole batch.
    #[breaks("SAVE-6", a_batch_that_crosses_the_bound_is_stored_up_to_it)]
    fn a_batch_crosses_the_bound(flaw: &mut Flaw) {
        flaw.save = |records, save, now| {
            if sure(records.pool.count_remembered(now)) < records.limits.max_records {
                records.limits = records.limits.max_records(u32::MAX);
            }
            records.save(save, now)
        };
    }

    /// A replace counts what is recalled and named in the batch towards the cap.
    #[breaks("SAVE-8", a_recalled_package_in_the_batch_takes_no_room)]
    fn a_recalled_package_takes_room(flaw: &mut Flaw) {
        flaw.save = |records, save, now| {
            let recalled = |item: &Admitted| {
                let record = records.pool.records.iter().find(|(record, _)| record.info.key_package_ref == item.package.info.key_package_ref);
                record.is_some_and(|(record, _)| matches!(&record.state, State::Reserved(lease) if lease.recalled.is_some()))
            };
            let taken = save.packages().iter().filter(|item| recalled(item)).count();
            let cap = save.cap_per_ciphersuite.saturating_sub(u32::try_from(taken).unwrap_or(u32::MAX));
            records.save(&save.clone().cap_per_ciphersuite(cap), now)
        };
    }

    /// Of saves of one package at once, the last wins, and all are told that it was stored.
    #[breaks("SAVE-2", the_same_package_saved_at_once_is_stored_once)]
    fn looks_and_stores_in_two_steps(flaw: &mut Flaw) {
        flaw.torn = Some(Torn::Apart(Call::Save));
    }

    /// A used package is forgotten, and can be saved again.
    #[breaks("SAVE-3", a_spent_package_cannot_come_back)]
    fn forgets_used_packages(flaw: &mut Flaw) {
        flaw.save = |records, save, now| forgetting(records, save, now, |state| matches!(state, State::Used(_)));
    }

    /// A package that its owner withdrew comes back with a late upload.
    #[breaks("SAVE-3", a_spent_package_cannot_come_back)]
    fn lets_a_withdrawn_package_come_back(flaw: &mut Flaw) {
        flaw.save =
            |records, save, now| forgetting(records, save, now, |state| matches!(state, State::Withdrawn { .. }));
    }

    /// A last resort that was replaced comes back with a late upload.
    #[breaks("SAVE-3", a_last_resort_that_went_cannot_come_back)]
    fn lets_a_replaced_last_resort_come_back(flaw: &mut Flaw) {
        flaw.save =
            |records, save, now| forgetting(records, save, now, |state| matches!(state, State::Replaced { .. }));
    }

    /// A package is taken in the very second of its end.
    #[breaks("SAVE-4", an_expired_package_is_refused)]
    fn takes_a_package_at_its_end(flaw: &mut Flaw) {
        flaw.save = |records, save, now| records.save(save, now.minus(1));
    }

    /// A one-time package of the future is refused.
    #[breaks("SAVE-4", a_package_of_the_future_waits_for_its_time)]
    fn refuses_the_future(flaw: &mut Flaw) {
        flaw.save = |records, save, now| {
            let valid = |item: &Admitted| !item.package.info.lifetime.is_ahead(now);
            let mut stored = records.save(&with(save, save.packages().iter().filter(|item| valid(item)).cloned()), now).into_iter();
            let outcome = |item| if valid(item) { stored.next() } else { Some(SaveOutcome::NotYetValid) };
            save.packages().iter().filter_map(outcome).collect()
        };
    }

    /// Another package of the same ref is taken for the same one.
    #[breaks("SAVE-5", the_same_ref_with_anything_else_is_a_conflict)]
    fn compares_refs_alone(flaw: &mut Flaw) {
        flaw.save = |records, save, now| {
            answering(records, save, now, SaveOutcome::RefConflict, SaveOutcome::AlreadyStored)
        };
    }

    /// The package stored is overwritten by another of its ref.
    #[breaks("SAVE-5", the_same_ref_with_anything_else_is_a_conflict)]
    fn overwrites(flaw: &mut Flaw) {
        flaw.save = |records, save, now| forgetting(records, save, now, |state| *state == State::Free);
    }

    /// Reserved packages that are retired at their lapse do not count towards the cap.
    #[breaks("SAVE-6", the_cap_counts_what_is_free_or_reserved)]
    fn the_cap_leaves_out_what_is_retired_at_its_lapse(flaw: &mut Flaw) {
        flaw.count_held = |pool, suite, now| {
            let retires = pool.records.iter().filter(|(record, _)| match &record.state {
                State::Reserved(lease) => lease.on_lapse == OnLapse::Retire && lease.recalled.is_none(),
                _ => false,
            });
            let retires = retires.filter(|(record, _)| record.info.ciphersuite == suite && !record.is_expired(now));
            let retires = u32::try_from(retires.count()).unwrap_or(u32::MAX);
            sure(pool.count_held(suite, now)) - retires
        };
    }

    /// Reserved packages do not count towards the cap.
    #[breaks("SAVE-6", the_cap_counts_what_is_free_or_reserved)]
    fn the_cap_counts_only_what_is_free(flaw: &mut Flaw) {
        flaw.count_held = |pool, suite, now| {
            let free = pool.records.iter().filter(|(record, _)| {
                record.info.ciphersuite == suite && record.state == State::Free && !record.is_expired(now)
            });
            u32::try_from(free.count()).unwrap_or(u32::MAX)
        };
    }

    /// The cap is checked in one step, and the packages are stored in another.
    #[breaks("SAVE-6", concurrent_saves_fill_the_cap_exactly)]
    fn checks_the_cap_outside_of_the_step(flaw: &mut Flaw) {
        flaw.torn = Some(Torn::Apart(Call::Save));
    }

    /// The cap counts last-resort packages.
    #[breaks("SAVE-6", the_cap_counts_each_ciphersuite_apart_and_no_last_resort)]
    fn the_cap_counts_last_resort(flaw: &mut Flaw) {
        flaw.count_held = |pool, suite, now| {
            let slot = sure(pool.slots()).into_iter().filter(|slot| slot.info.ciphersuite == suite).count();
            sure(pool.count_held(suite, now)) + u32::try_from(slot).unwrap_or(u32::MAX)
        };
    }

    /// A memory full of one-time packages keeps an owner from replacing its last resort.
    #[breaks("SAVE-6", a_pool_remembers_ten_thousand_one_time_packages)]
    fn both_roles_share_one_memory(flaw: &mut Flaw) {
        flaw.count_remembered_of = |pool, _, now| sure(pool.count_remembered(now));
    }

    /// Last-resort packages that went are remembered without a bound.
    #[breaks("SAVE-6", last_resorts_have_a_memory_of_their_own)]
    fn last_resorts_are_remembered_without_a_bound(flaw: &mut Flaw) {
        flaw.count_remembered_of = |pool, role, now| match role {
            Role::OneTime => sure(pool.count_remembered_of(role, now)),
            Role::LastResort => 0,
        };
    }

    /// In a full pool, a package that is there already is said not to fit.
    #[breaks("SAVE-7", of_outcomes_that_apply_the_first_is_given)]
    fn full_is_judged_first(flaw: &mut Flaw) {
        flaw.save = |records, save, now| {
            let mut outcomes = records.save(save, now);
            for (Admitted { package, .. }, outcome) in save.packages().iter().zip(&mut outcomes) {
                let held = sure(records.pool.count_held(package.info.ciphersuite, now));
                if !package.info.role.is_last_resort() && *outcome == SaveOutcome::AlreadyStored && held >= save.cap_per_ciphersuite {
                    *outcome = SaveOutcome::PoolFull;
                }
            }
            outcomes
        };
    }

    /// A spent package that has expired is said to be spent.
    #[breaks("SAVE-7", of_outcomes_that_apply_the_first_is_given)]
    fn spent_is_judged_before_expired(flaw: &mut Flaw) {
        flaw.save = |records, save, now| {
            let mut outcomes = records.save(save, now);
            for (Admitted { package, .. }, outcome) in save.packages().iter().zip(&mut outcomes) {
                let known = records.find(&package.info.key_package_ref);
                if *outcome == SaveOutcome::Expired && known.is_some_and(|record| matches!(record.state, State::Used(_))) {
                    *outcome = SaveOutcome::AlreadySpent;
                }
            }
            outcomes
        };
    }

    /// A replace only adds.
    #[breaks("SAVE-8", replace_keeps_to_the_ciphersuites_accepted)]
    fn replace_appends(flaw: &mut Flaw) {
        flaw.save = |records, save, now| records.save(&save.clone().mode(SaveMode::Append), now);
    }

    /// A replace takes reserved packages away from those who hold them.
    #[breaks("SAVE-8", a_withdrawal_recalls_a_live_reservation)]
    fn replace_ends_leases(flaw: &mut Flaw) {
        flaw.save = |records, save, now| {
            let outcomes = records.save(save, now);
            if save.mode == SaveMode::Replace {
                records.alter(|record| {
                    if matches!(&record.state, State::Reserved(hold) if hold.recalled.is_some()) {
                        record.state = State::Withdrawn { at: now };
                    }
                });
            }
            outcomes
        };
    }

    /// A new last resort is stored beside the old one.
    #[breaks("LAST-1", a_pool_has_sixteen_last_resort_slots)]
    fn the_slot_holds_two(flaw: &mut Flaw) {
        flaw.update = |pool, before, after| {
            if !matches!(after.state, State::Replaced { .. }) {
                sure(pool.update(before, after.state));
            }
        };
    }

    /// The last resort that was replaced is forgotten.
    #[breaks("LAST-1", a_last_resort_that_went_cannot_come_back)]
    fn forgets_the_replaced_last_resort(flaw: &mut Flaw) {
        flaw.update = |pool, before, after| match after.state {
            State::Replaced { .. } => sure(pool.forget(before)),
            _ => sure(pool.update(before, after.state)),
        };
    }

    /// A package saved in the other role takes it.
    #[breaks("LAST-3", the_same_ref_with_anything_else_is_a_conflict)]
    fn a_package_changes_its_role(flaw: &mut Flaw) {
        flaw.save = |records, save, now| {
            let packages = save.packages().iter().cloned().map(|mut item| {
                if let Some(known) = records.find(&item.package.info.key_package_ref) {
                    item.package.info.role = known.info.role;
                }
                item
            });
            let save = with(save, packages.collect::<Vec<_>>().into_iter());
            records.save(&save, now)
        };
    }

    /// Saving the same last resort again makes it unused.
    #[breaks("LAST-4", the_last_resort_is_handed_out_when_nothing_is_left)]
    fn saving_again_makes_it_unused(flaw: &mut Flaw) {
        flaw.save = |records, save, now| {
            records.alter(|record| {
                let again = save.packages().iter().any(|item| item.package.info == record.info);
                if again && record.state == (State::Slot { used: true }) {
                    record.state = State::Slot { used: false };
                }
            });
            records.save(save, now)
        };
    }

    /// Nobody is told that the last resort was handed out.
    #[breaks("LAST-4", the_last_resort_is_handed_out_when_nothing_is_left)]
    fn use_is_not_marked(flaw: &mut Flaw) {
        flaw.update = |pool, before, after| {
            if after.state != (State::Slot { used: true }) {
                sure(pool.update(before, after.state));
            }
        };
    }
}
