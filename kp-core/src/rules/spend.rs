use super::{Answer, LeaseRecord, PoolRecords, Recall, Record, Spent, State, Window, settle};
use crate::server::{Lease, Receipt, ReservationToken, Spend};
use crate::{Rejection, Timestamp, Ttl};

/// Does one item of `spend_key_packages`, on the pool of its token ([`SPEND`](crate::contract::SPEND)).
pub fn spend<P: PoolRecords>(
    pool: &mut P,
    token: &ReservationToken,
    spend: &Spend,
    now: Timestamp,
) -> Result<Answer<Receipt>, P::Error> {
    settle(pool, now)?;
    let Some(record) = pool.by_ref(&token.key_package_ref)? else {
        return Ok(Err(Rejection::NotFound));
    };
    let receipt = |spent_at| Receipt {
        key_package_ref: token.key_package_ref.clone(),
        spent_at,
    };
    if let State::Used(used) = &record.state
        && used.id == token.id()
        && used.group == spend.group
        && used.by == spend.by
    {
        return Ok(Ok(receipt(used.at)));
    }
    if record.is_expired(now) {
        return Ok(Err(Rejection::Expired));
    }
    match &record.state {
        State::Used(_) => Ok(Err(Rejection::AlreadySpent)),
        State::Reserved(lease) if lease.id == token.id() => {
            // SPEND-4: the bytes go; the reserver stays until the lease would have ended.
            let window = lease.by.is_some().then(|| Window {
                expires_at: lease.expires_at,
                reserver: lease.by.clone(),
                replayable: false,
            });
            let (group, by) = (spend.group.clone(), spend.by.clone());
            let used = Spent {
                at: now,
                id: lease.id,
                bound: true,
                group,
                by,
                window,
            };
            pool.update(&record, State::Used(used))?;
            Ok(Ok(receipt(now)))
        }
        _ => Ok(Err(Rejection::NoLiveReservation)),
    }
}

/// Does one item of `release_key_packages`, on the pool of its token ([`REL`](crate::contract::REL)).
pub fn release<P: PoolRecords>(pool: &mut P, token: &ReservationToken, now: Timestamp) -> Result<Answer<()>, P::Error> {
    let (record, lease) = match live_lease(pool, token, now)? {
        Ok(live) => live,
        Err(rejection) => return Ok(Err(rejection)),
    };
    let state = match lease.recalled {
        None => State::Free,
        Some(Recall::Retired) => State::Retired { at: now },
        Some(Recall::Withdrawn) => State::Withdrawn { at: now },
    };
    pool.update(&record, state)?;
    Ok(Ok(()))
}

/// Does one item of `renew_key_packages`, on the pool of its token ([`REN`](crate::contract::REN)).
pub fn renew<P: PoolRecords>(
    pool: &mut P,
    token: &ReservationToken,
    ttl: Ttl,
    now: Timestamp,
) -> Result<Answer<Lease>, P::Error> {
    let (record, lease) = match live_lease(pool, token, now)? {
        Ok(live) => live,
        Err(rejection) => return Ok(Err(rejection)),
    };
    let end = now.after(ttl).min(record.info.lifetime.not_after());
    let expires_at = match lease.recalled {
        None => lease.expires_at.max(end),
        Some(_) => lease.expires_at,
    };
    if expires_at != lease.expires_at {
        pool.update(&record, State::Reserved(LeaseRecord { expires_at, ..lease }))?;
    }
    Ok(Ok(Lease::new(token.clone(), expires_at)))
}

/// Settles the pool, and returns the live lease of the token's own id, or the first rejection that applies (REL-2, REN-2).
fn live_lease<P: PoolRecords>(
    pool: &mut P,
    token: &ReservationToken,
    now: Timestamp,
) -> Result<Answer<(Record, LeaseRecord)>, P::Error> {
    settle(pool, now)?;
    let Some(record) = pool.by_ref(&token.key_package_ref)? else {
        return Ok(Err(Rejection::NotFound));
    };
    if record.is_expired(now) {
        return Ok(Err(Rejection::Expired));
    }
    Ok(match &record.state {
        State::Used(_) => Err(Rejection::AlreadySpent),
        State::Reserved(lease) if lease.id == token.id() => {
            let lease = lease.clone();
            Ok((record, lease))
        }
        _ => Err(Rejection::NoLiveReservation),
    })
}
