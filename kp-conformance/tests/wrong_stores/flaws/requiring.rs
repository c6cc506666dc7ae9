use kp_core::Rejection;
use kp_core::key_package::{CredentialType, ExtensionType, ProposalType};
use kp_core::rules::{Kept, ModelPool, PoolRecords, Record, State, fits};
use kp_core::server::{LastResort, Requirements, SaveMode, SaveOutcome, Support, TakeOptions, TakeRequest};
use kp_core::{KeyPackageBytes, Timestamp};

use super::saving::answering;
use crate::flaw::sure;
use crate::wrong_store::wrong_stores;

/// The same request, with other requirements.
fn requiring(take: &TakeRequest, requirements: Requirements) -> TakeRequest {
    take.clone().options(take.options.clone().requirements(requirements))
}

/// The oldest free package that fits, and meets the requirements by this judgement.
fn oldest(
    pool: &ModelPool,
    options: &TakeOptions,
    now: Timestamp,
    meets: impl Fn(&Kept) -> bool,
) -> Option<(Record, KeyPackageBytes)> {
    let fits = |record: &Record| record.state == State::Free && fits(&record.info, options, now);
    let mut fitting = pool.records.iter().filter(|(record, kept)| fits(record) && meets(kept));
    fitting.find_map(|(record, kept)| Some((record.clone(), kept.bytes.clone()?)))
}

/// The numbers that are supported, in three kinds or as one.
fn as_one_kind(support: &Support) -> Option<Support> {
    let extensions = support.extensions().map(|kind| kind.0);
    let numbers = extensions.chain(support.proposals().map(|kind| kind.0));
    let numbers: Vec<_> = numbers.chain(support.credentials().map(|kind| kind.0)).collect();
    let numbers = || numbers.iter().copied();
    Support::new(
        numbers().map(ExtensionType),
        numbers().map(ProposalType),
        numbers().map(CredentialType),
    )
}

wrong_stores! {
    /// Whatever is required, the oldest is handed out.
    #[breaks("RES-3", only_what_meets_the_requirements_is_handed_out)]
    fn requirements_are_not_looked_at(flaw: &mut Flaw) {
        flaw.reserve = |records, take, lapse, now| records.reserve(&requiring(take, Requirements::new()), lapse, now);
    }

    /// A claim does not look at requirements.
    #[breaks("RES-3", a_named_package_must_meet_the_requirements)]
    fn a_claim_requires_nothing(flaw: &mut Flaw) {
        flaw.claim = |records, take, group, now| records.claim(&requiring(take, Requirements::new()), group, now);
    }

    /// A number that is supported as one kind of type is supported as all.
    #[breaks("RES-3", only_what_meets_the_requirements_is_handed_out)]
    fn the_kinds_are_one(flaw: &mut Flaw) {
        flaw.oldest = |pool, options, now| {
            oldest(pool, options, now, |kept| {
                let support = kept.support.as_ref().and_then(as_one_kind);
                options.requirements.are_met_by(support.as_ref())
            })
        };
    }

    /// A package without support meets every requirement.
    #[breaks("RES-3", only_what_meets_the_requirements_is_handed_out)]
    fn without_support_meets_all(flaw: &mut Flaw) {
        flaw.oldest = |pool, options, now| {
            oldest(pool, options, now, |kept| {
                kept.support.is_none() || options.requirements.are_met_by(kept.support.as_ref())
            })
        };
    }

    /// A package without support meets nothing, not even nothing.
    #[breaks("RES-3", defaults_are_met_by_every_package)]
    fn defaults_take_support(flaw: &mut Flaw) {
        flaw.oldest = |pool, options, now| {
            oldest(pool, options, now, |kept| {
                kept.support.is_some() && options.requirements.are_met_by(kept.support.as_ref())
            })
        };
    }

    /// A package that is named need not meet the requirements.
    #[breaks("RES-3", a_named_package_must_meet_the_requirements)]
    fn a_named_package_meets_all(flaw: &mut Flaw) {
        flaw.reserve = |records, take, lapse, now| {
            let named = take.options.only.is_some();
            let take = if named { requiring(take, Requirements::new()) } else { take.clone() };
            records.reserve(&take, lapse, now)
        };
    }

    /// A last resort need not meet the requirements.
    #[breaks("RES-6", a_last_resort_must_meet_the_requirements)]
    fn a_last_resort_meets_all(flaw: &mut Flaw) {
        flaw.claim = |records, take, group, now| match records.claim(take, group, now) {
            Err(Rejection::NothingFits | Rejection::PoolExhausted) if take.options.last_resort != LastResort::Never => {
                let last = take.options.clone().last_resort(LastResort::Only);
                records.claim(&requiring(&take.clone().options(last), Requirements::new()), group, now)
            }
            answer => answer,
        };
    }

    /// A lease is answered again, whatever is required.
    #[breaks("RES-5", a_bound_id_with_requirements_its_package_does_not_meet_is_a_conflict)]
    fn a_retry_may_require_anything(flaw: &mut Flaw) {
        flaw.reserve = |records, take, lapse, now| {
            let bound = sure(records.by_id(&take.id)).is_some();
            let take = if bound { requiring(take, Requirements::new()) } else { take.clone() };
            records.reserve(&take, lapse, now)
        };
    }

    /// A claim is replayed, whatever is required.
    #[breaks("RES-5", a_bound_id_with_requirements_its_package_does_not_meet_is_a_conflict)]
    fn a_replay_may_require_anything(flaw: &mut Flaw) {
        flaw.claim = |records, take, group, now| {
            let used = sure(records.by_id(&take.id)).is_some_and(|record| matches!(record.state, State::Used(_)));
            let take = if used { requiring(take, Requirements::new()) } else { take.clone() };
            records.claim(&take, group, now)
        };
    }

    /// Support goes when a package is reserved.
    #[breaks("RES-3", support_stays_with_a_package_that_returns)]
    fn support_goes_with_a_lease(flaw: &mut Flaw) {
        flaw.update = |pool, before, after| {
            let leased = matches!(after.state, State::Reserved(_));
            sure(pool.update(before, after.state));
            for (record, kept) in &mut pool.records {
                if record.sequence == before.sequence && leased {
                    kept.support = None;
                }
            }
        };
    }

    /// Of many packages that do not meet the requirements, a hundred are looked at.
    #[breaks("RES-3", many_that_do_not_meet_the_requirements_hide_nothing)]
    fn gives_up_after_a_hundred(flaw: &mut Flaw) {
        flaw.oldest = |pool, options, now| {
            let mut first = pool.clone();
            let mut free = 0;
            first.records.retain(|(record, _)| {
                free += usize::from(record.state == State::Free);
                free <= 100
            });
            sure(first.oldest_that_fits(options, now))
        };
    }

    /// Support that comes later is not added.
    #[breaks("SAVE-5", support_is_added_where_there_is_none)]
    fn adds_no_support(flaw: &mut Flaw) {
        flaw.amend = |_, _, _| ();
    }

    /// Support that comes later takes the place of what is there.
    #[breaks("SAVE-5", support_is_added_where_there_is_none)]
    fn overwrites_support(flaw: &mut Flaw) {
        flaw.amend = |pool, record, item| {
            for (other, kept) in &mut pool.records {
                if other.sequence == record.sequence {
                    kept.support.clone_from(&item.support);
                }
            }
        };
    }

    /// With a fingerprint that is added, the support that is there is replaced.
    #[breaks("SAVE-5", support_is_added_where_there_is_none)]
    fn overwrites_support_beside_a_fingerprint(flaw: &mut Flaw) {
        flaw.amend = |pool, record, item| {
            let adds = item.fingerprint.is_some() && item.support.is_some();
            for (other, kept) in &mut pool.records {
                if adds && other.sequence == record.sequence && kept.fingerprint.is_none() {
                    kept.support.clone_from(&item.support);
                }
            }
            sure(pool.amend(record, item));
        };
    }

    /// Other support under the same ref is a conflict.
    #[breaks("SAVE-5", support_is_added_where_there_is_none)]
    fn support_is_a_fact(flaw: &mut Flaw) {
        flaw.save = |records, save, now| {
            let others = save.packages().iter().any(|item| {
                let known = records.find(&item.package.info.key_package_ref);
                let known = known.and_then(|record| records.pool.kept(&record));
                known.is_some_and(|kept| kept.support.is_some() && kept.support != item.support)
            });
            let says = if others { SaveOutcome::RefConflict } else { SaveOutcome::AlreadyStored };
            answering(records, save, now, SaveOutcome::AlreadyStored, says)
        };
    }

    /// A save that is to amend stores new packages too.
    #[breaks("SAVE-5", an_amending_save_stores_nothing_new)]
    fn an_amending_save_stores(flaw: &mut Flaw) {
        flaw.save = |records, save, now| {
            let append = save.mode == SaveMode::Amend;
            let save = if append { save.clone().mode(SaveMode::Append) } else { save.clone() };
            records.save(&save, now)
        };
    }
}
