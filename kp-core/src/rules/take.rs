use super::{Answer, LeaseRecord, PoolRecords, Record, Spent, State, Window, settle};
use crate::server::{LastResort, Lease, OnLapse, Reservation, ReservationToken, TakeOptions, TakeRequest};
use crate::{Ciphersuite, GroupId, KeyPackage, KeyPackageBytes, KeyPackageInfo, Rejection, Timestamp};

/// Returns whether a package fits a request, by its facts: valid now, of an accepted ciphersuite, with enough lifetime
/// left ([RES-3](crate::contract::RES_3)). [Requirements](TakeOptions::requirements) are compared with the support, which is
/// no fact.
#[must_use]
pub fn fits(info: &KeyPackageInfo, options: &TakeOptions, now: Timestamp) -> bool {
    info.lifetime.contains(now)
        && accepts(options, info.ciphersuite)
        && info.lifetime.not_after().get() - now.get() >= i64::from(options.remaining)
}

/// Returns whether a package that keeps its bytes meets the requirements of a request. The support is read only where
/// something is required (RES-3).
fn meets<P: PoolRecords>(pool: &mut P, record: &Record, options: &TakeOptions) -> Result<bool, P::Error> {
    let requirements = &options.requirements;
    Ok(requirements.is_empty() || requirements.are_met_by(pool.support(record)?.as_ref()))
}

/// Returns whether a request accepts packages of this ciphersuite; a request that names none accepts any (RES-3).
fn accepts(options: &TakeOptions, ciphersuite: Ciphersuite) -> bool {
    options.ciphersuites.is_empty() || options.ciphersuites.contains(&ciphersuite)
}

/// Does one item of `reserve_key_packages`, on the pool that the item names ([`RES`](crate::contract::RES)).
pub fn reserve<P: PoolRecords>(
    pool: &mut P,
    take: &TakeRequest,
    on_lapse: OnLapse,
    now: Timestamp,
) -> Result<Answer<Reservation>, P::Error> {
    settle(pool, now)?;
    let stale = match binding(pool, take, now)? {
        Binding::Live(record, expires_at) => {
            let bytes = pool.bytes(&record)?;
            return Ok(Ok(lent(record, bytes, take, expires_at)));
        }
        Binding::Used(..) => return Ok(Err(Rejection::AlreadySpent)),
        Binding::Refused(rejection) => return Ok(Err(rejection)),
        Binding::None { stale } => stale,
    };
    match choose(pool, take, now)? {
        Err(rejection) => Ok(Err(rejection)),
        Ok(Choice::LastResort(package)) => Ok(Ok(Reservation { package, lease: None })),
        Ok(Choice::OneTime(record, bytes)) => {
            let expires_at = expires_at(&record, take, now);
            let lease = LeaseRecord {
                id: take.id,
                by: take.options.by.clone(),
                expires_at,
                on_lapse,
                recalled: None,
            };
            unbind(pool, stale)?;
            pool.update(&record, State::Reserved(lease))?;
            Ok(Ok(lent(record, bytes, take, expires_at)))
        }
    }
}

/// Does one item of `claim_key_packages`: reserves and spends in one step ([CLAIM-1](crate::contract::CLAIM_1)).
pub fn claim<P: PoolRecords>(
    pool: &mut P,
    take: &TakeRequest,
    group: Option<&GroupId>,
    now: Timestamp,
) -> Result<Answer<KeyPackage>, P::Error> {
    settle(pool, now)?;
    let (record, bytes, stale) = match binding(pool, take, now)? {
        Binding::Live(record, _) => {
            let bytes = pool.bytes(&record)?;
            (record, bytes, None)
        }
        Binding::Used(record, spent) => {
            let in_window = spent.window.as_ref().is_some_and(|window| window.replayable);
            if !in_window || spent.by != take.options.by || spent.group.as_ref() != group {
                return Ok(Err(Rejection::AlreadySpent));
            }
            if !meets(pool, &record, &take.options)? {
                return Ok(Err(Rejection::ReservationConflict));
            }
            let bytes = pool.bytes(&record)?;
            return Ok(Ok(KeyPackage {
                info: record.info,
                bytes,
            }));
        }
        Binding::Refused(rejection) => return Ok(Err(rejection)),
        Binding::None { stale } => match choose(pool, take, now)? {
            Err(rejection) => return Ok(Err(rejection)),
            Ok(Choice::LastResort(package)) => return Ok(Ok(package)),
            Ok(Choice::OneTime(record, bytes)) => (record, bytes, stale),
        },
    };
    let window = Window {
        expires_at: expires_at(&record, take, now),
        reserver: take.options.by.clone(),
        replayable: true,
    };
    let spent = Spent {
        at: now,
        id: take.id,
        bound: true,
        group: group.cloned(),
        by: take.options.by.clone(),
        window: Some(window),
    };
    unbind(pool, stale)?;
    pool.update(&record, State::Used(spent))?;
    Ok(Ok(KeyPackage {
        info: record.info,
        bytes,
    }))
}

/// Says what the id of a request is bound to (RES-5).
enum Binding {
    /// A live reservation of the same request, and when the reservation ends.
    Live(Record, Timestamp),
    /// A package that the id used.
    Used(Record, Spent),
    /// A package of another request: the request is refused.
    Refused(Rejection),
    /// Nothing. A `stale` record still carries the id, but is past its `not_after`, and loses the id to the next
    /// binding.
    None { stale: Option<Record> },
}

#[inline]
fn binding<P: PoolRecords>(pool: &mut P, take: &TakeRequest, now: Timestamp) -> Result<Binding, P::Error> {
    let Some(record) = pool.by_id(&take.id)? else {
        return Ok(Binding::None { stale: None });
    };
    if record.is_expired(now) {
        return Ok(Binding::None { stale: Some(record) });
    }
    let TakeOptions { only, .. } = &take.options;
    let other_named = only.as_ref().is_some_and(|named| *named != record.info.key_package_ref);
    if other_named || !accepts(&take.options, record.info.ciphersuite) {
        return Ok(Binding::Refused(Rejection::ReservationConflict));
    }
    Ok(match &record.state {
        State::Used(spent) => {
            let spent = spent.clone();
            Binding::Used(record, spent)
        }
        State::Reserved(lease) if lease.by == take.options.by && meets(pool, &record, &take.options)? => {
            let expires_at = lease.expires_at;
            Binding::Live(record, expires_at)
        }
        State::Reserved(_) => Binding::Refused(Rejection::ReservationConflict),
        _ => Binding::None { stale: None },
    })
}

/// Ends the old binding of an id for good, since a new binding follows (RES-5, TIME-3).
fn unbind<P: PoolRecords>(pool: &mut P, stale: Option<Record>) -> Result<(), P::Error> {
    if let Some(record) = stale
        && let State::Used(spent) = &record.state
    {
        let unbound = Spent {
            bound: false,
            ..spent.clone()
        };
        pool.update(&record, State::Used(unbound))?;
    }
    Ok(())
}

/// Holds the package that a new request gets.
enum Choice {
    OneTime(Record, KeyPackageBytes),
    LastResort(KeyPackage),
}

/// Chooses for an id that is not bound (RES-10): the limit, the package named or the oldest that fits, last resort,
/// exhausted.
#[inline]
fn choose<P: PoolRecords>(pool: &mut P, take: &TakeRequest, now: Timestamp) -> Result<Answer<Choice>, P::Error> {
    if let (Some(party), Some(limit)) = (&take.options.by, take.limit)
        && pool.count_taken_by(party)? >= limit
    {
        return Ok(Err(Rejection::TooManyReservations));
    }
    if take.options.only.is_some() {
        return named(pool, take, now);
    }
    if take.options.last_resort != LastResort::Only
        && let Some((record, bytes)) = pool.oldest_that_fits(&take.options, now)?
    {
        return Ok(Ok(Choice::OneTime(record, bytes)));
    }
    if take.options.last_resort != LastResort::Never
        && let Some(package) = last_resort(pool, take, now)?
    {
        return Ok(Ok(Choice::LastResort(package)));
    }
    Ok(Err(if pool.has_available(now)? {
        Rejection::NothingFits
    } else {
        Rejection::PoolExhausted
    }))
}

/// Judges the package named, in the order of RES-3.
fn named<P: PoolRecords>(pool: &mut P, take: &TakeRequest, now: Timestamp) -> Result<Answer<Choice>, P::Error> {
    let record = match &take.options.only {
        Some(key_package_ref) => pool.by_ref(key_package_ref)?,
        None => None,
    };
    let Some(record) = record else {
        return Ok(Err(Rejection::NotFound));
    };
    if record.is_expired(now) {
        return Ok(Err(Rejection::Expired));
    }
    Ok(match record.state {
        State::Used(_) | State::Retired { .. } | State::Withdrawn { .. } | State::Replaced { .. } => {
            Err(Rejection::AlreadySpent)
        }
        State::Reserved(_) => Err(Rejection::AlreadyReserved),
        State::Free
            if take.options.last_resort != LastResort::Only
                && fits(&record.info, &take.options, now)
                && meets(pool, &record, &take.options)? =>
        {
            let bytes = pool.bytes(&record)?;
            Ok(Choice::OneTime(record, bytes))
        }
        State::Free | State::Slot { .. } => Err(Rejection::Unsuitable),
    })
}

/// Returns the oldest saved last-resort package that fits, and marks the package as used (RES-6, LAST-2, LAST-4).
fn last_resort<P: PoolRecords>(
    pool: &mut P,
    take: &TakeRequest,
    now: Timestamp,
) -> Result<Option<KeyPackage>, P::Error> {
    let mut fitting = None;
    for slot in pool.slots()? {
        if fits(&slot.info, &take.options, now) && meets(pool, &slot, &take.options)? {
            fitting = Some(slot);
            break;
        }
    }
    let Some(record) = fitting else { return Ok(None) };
    let bytes = pool.bytes(&record)?;
    if record.state == (State::Slot { used: false }) {
        pool.update(&record, State::Slot { used: true })?;
    }
    Ok(Some(KeyPackage {
        info: record.info,
        bytes,
    }))
}

/// Returns the end of a lease or window (RES-4).
fn expires_at(record: &Record, take: &TakeRequest, now: Timestamp) -> Timestamp {
    now.after(take.ttl).min(record.info.lifetime.not_after())
}

#[inline]
fn lent(record: Record, bytes: KeyPackageBytes, take: &TakeRequest, expires_at: Timestamp) -> Reservation {
    let token = ReservationToken::new(take.pool.clone(), record.info.key_package_ref.clone(), take.id);
    let lease = Lease { token, expires_at };
    Reservation {
        package: KeyPackage {
            info: record.info,
            bytes,
        },
        lease: Some(lease),
    }
}
