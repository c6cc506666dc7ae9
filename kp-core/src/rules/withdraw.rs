use super::{LeaseRecord, PoolRecords, Recall, Record, State, settle};
use crate::server::{WithdrawOutcome, Withdrawal};
use crate::{KeyPackageRef, Timestamp};

/// Does `withdraw_key_packages`: the owner withdraws packages ([DEL-3](crate::contract::DEL_3)).
///
/// An empty list of refs is no call, and settles nothing ([TIME-2](crate::contract::TIME_2)).
pub fn withdraw<P: PoolRecords>(
    pool: &mut P,
    withdrawal: &Withdrawal,
    now: Timestamp,
) -> Result<Vec<(KeyPackageRef, WithdrawOutcome)>, P::Error> {
    if matches!(withdrawal, Withdrawal::Refs(refs) if refs.is_empty()) {
        return Ok(Vec::new());
    }
    settle(pool, now)?;
    match withdrawal {
        Withdrawal::Refs(refs) => refs
            .iter()
            .map(|key_package_ref| Ok((key_package_ref.clone(), withdraw_one(pool, key_package_ref, now)?)))
            .collect(),
        Withdrawal::All => {
            let mut slots = pool.slots()?;
            slots.retain(|slot| !slot.is_expired(now));
            slots.sort_by_key(|slot| slot.info.ciphersuite);
            let one_time = pool.unspent(now)?;
            let mut removed = Vec::with_capacity(one_time.len() + slots.len());
            for record in one_time.into_iter().chain(slots) {
                recall(pool, &record, Recall::Withdrawn, now)?;
                removed.push((record.info.key_package_ref, WithdrawOutcome::Withdrawn));
            }
            Ok(removed)
        }
    }
}

fn withdraw_one<P: PoolRecords>(
    pool: &mut P,
    key_package_ref: &KeyPackageRef,
    now: Timestamp,
) -> Result<WithdrawOutcome, P::Error> {
    let Some(record) = pool.by_ref(key_package_ref)?.filter(|record| !record.is_expired(now)) else {
        return Ok(WithdrawOutcome::NotFound);
    };
    Ok(match record.state {
        State::Withdrawn { .. } => WithdrawOutcome::Withdrawn,
        State::Used(_) | State::Retired { .. } | State::Replaced { .. } => WithdrawOutcome::AlreadySpent,
        State::Free | State::Reserved(_) | State::Slot { .. } => {
            recall(pool, &record, Recall::Withdrawn, now)?;
            WithdrawOutcome::Withdrawn
        }
    })
}

/// Does `retire_unspent` on one pool: an unspent package that was first saved before `saved_before` may be spent in
/// truth ([DEL-2](crate::contract::DEL_2)). Returns how many packages were retired, newly recalled or newly marked.
pub fn retire<P: PoolRecords>(pool: &mut P, saved_before: Timestamp, now: Timestamp) -> Result<u64, P::Error> {
    settle(pool, now)?;
    let mut count = 0;
    for record in pool.unspent(now)? {
        let recalled = matches!(record.state, State::Reserved(LeaseRecord { recalled: Some(_), .. }));
        if record.saved_at < saved_before && !recalled {
            recall(pool, &record, Recall::Retired, now)?;
            count += 1;
        }
    }
    for slot in pool.slots()? {
        if slot.saved_at < saved_before && !slot.is_expired(now) && slot.state == (State::Slot { used: false }) {
            pool.update(&slot, State::Slot { used: true })?;
            count += 1;
        }
    }
    Ok(count)
}

/// Recalls an unspent package (DEL-2, DEL-3, SAVE-8). A free package, or a last resort, becomes spent; a reserved
/// package is recalled, and the lease's id may still spend the package. A withdrawal outranks a retirement.
pub(super) fn recall<P: PoolRecords>(
    pool: &mut P,
    record: &Record,
    recall: Recall,
    now: Timestamp,
) -> Result<(), P::Error> {
    let state = match (&record.state, recall) {
        (State::Reserved(lease), _) => State::Reserved(LeaseRecord {
            recalled: lease.recalled.max(Some(recall)),
            ..lease.clone()
        }),
        (_, Recall::Retired) => State::Retired { at: now },
        (_, Recall::Withdrawn) => State::Withdrawn { at: now },
    };
    if state != record.state {
        pool.update(record, state)?;
    }
    Ok(())
}
