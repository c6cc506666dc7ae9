use kp_conformance::Method;
use kp_core::rules::{Answer, PoolRecords, State};
use kp_core::server::{Lease, OnLapse, Receipt, ReservationToken};
use kp_core::{Rejection, Timestamp, Ttl};

use crate::flaw::{Call, Records, Torn, sure};
use crate::wrong_store::wrong_stores;

wrong_stores! {
    /// A spent package is spent again, for another group.
    #[breaks("SPEND-1", the_same_spend_gets_the_same_receipt)]
    fn spends_twice(flaw: &mut Flaw) {
        flaw.spend = |records, token, usage, now| match records.spend(token, usage, now) {
            Err(Rejection::AlreadySpent) => Ok(Receipt::new(token.key_package_ref.clone(), now)),
            answer => answer,
        };
    }

    /// A spend looks at the package in one step and spends it in another.
    #[breaks("SPEND-1", of_concurrent_spends_one_wins)]
    fn spends_in_two_steps(flaw: &mut Flaw) {
        flaw.torn = Some(Torn::Apart(Call::Spend));
    }

    /// Whoever names a reserved package spends it, whatever the id.
    #[breaks("SPEND-2", one_id_holds_a_package_whatever_the_time)]
    fn spends_by_ref_only(flaw: &mut Flaw) {
        flaw.spend = |records, token, usage, now| {
            let holder = records.find(&token.key_package_ref).and_then(|record| match record.state {
                State::Reserved(hold) => Some(hold.id),
                _ => None,
            });
            let token = match holder {
                Some(id) => ReservationToken::new(token.pool.clone(), token.key_package_ref.clone(), id),
                None => token.clone(),
            };
            records.spend(&token, usage, now)
        };
    }

    /// A spend looks for ref and id, and not for the pool.
    #[breaks("SPEND-2", a_call_on_one_pool_leaves_the_same_ref_in_another)]
    fn spends_in_every_pool(flaw: &mut Flaw) {
        flaw.reaches = &[Method::Spend];
    }

    /// The same spend again is refused.
    #[breaks("SPEND-3", the_same_spend_gets_the_same_receipt)]
    fn gives_one_receipt(flaw: &mut Flaw) {
        flaw.spend = |records, token, usage, now| match records.find(&token.key_package_ref).map(|record| record.state) {
            Some(State::Used(_)) => Err(Rejection::AlreadySpent),
            _ => records.spend(token, usage, now),
        };
    }

    /// The same spend again gets a receipt of its own time.
    #[breaks("SPEND-3", the_same_spend_gets_the_same_receipt)]
    fn gives_another_receipt(flaw: &mut Flaw) {
        flaw.spend = |records, token, usage, now| {
            let receipt = records.spend(token, usage, now)?;
            Ok(Receipt::new(receipt.key_package_ref, now))
        };
    }

    /// Who reserved a package is forgotten when it is spent.
    #[breaks("SPEND-4", used_packages_count_until_their_lease_would_have_ended)]
    fn forgets_who_reserved(flaw: &mut Flaw) {
        flaw.update = |pool, before, mut after| {
            if let State::Used(usage) = &mut after.state {
                usage.window = usage.window.take().filter(|window| window.replayable);
            }
            sure(pool.update(before, after.state));
        };
    }

    /// A package released is spent where a lapsed one would be.
    #[breaks("REL-1", a_package_that_returns_keeps_its_place)]
    fn a_release_retires(flaw: &mut Flaw) {
        flaw.release = |records, token, now| {
            let before = records.find(&token.key_package_ref);
            records.release(token, now)?;
            if let Some(State::Reserved(hold)) = before.map(|record| record.state)
                && hold.on_lapse == OnLapse::Retire
            {
                records.alter(|record| {
                    if record.info.key_package_ref == token.key_package_ref {
                        record.state = State::Retired { at: now };
                    }
                });
            }
            Ok(())
        };
    }

    /// A release that comes too late is said to have worked.
    #[breaks("REL-2", one_id_holds_a_package_whatever_the_time)]
    fn a_late_release_is_no_error(flaw: &mut Flaw) {
        flaw.release = |records, token, now| match records.release(token, now) {
            Err(Rejection::NoLiveReservation) => Ok(()),
            answer => answer,
        };
    }

    /// Whoever names a reserved package releases it, whatever the id.
    #[breaks("REL-2", one_id_holds_a_package_whatever_the_time)]
    fn releases_by_ref_only(flaw: &mut Flaw) {
        flaw.release = |records, token, now| {
            records.settle(now);
            match records.find(&token.key_package_ref).map(|record| record.state) {
                Some(State::Reserved(hold)) => {
                    let key_package_ref = token.key_package_ref.clone();
                    records.release(&ReservationToken::new(token.pool.clone(), key_package_ref, hold.id), now)
                }
                _ => records.release(token, now),
            }
        };
    }

    /// A release looks for ref and id, and not for the pool.
    #[breaks("REL-1", a_call_on_one_pool_leaves_the_same_ref_in_another)]
    fn releases_in_every_pool(flaw: &mut Flaw) {
        flaw.reaches = &[Method::Release];
    }

    /// A release takes a spent package back.
    #[breaks("REL-3", a_batch_has_an_answer_for_each_item)]
    fn a_release_undoes_a_spend(flaw: &mut Flaw) {
        flaw.release = |records, token, now| match records.release(token, now) {
            Err(Rejection::AlreadySpent) => {
                records.alter(|record| {
                    if record.info.key_package_ref == token.key_package_ref {
                        record.state = State::Free;
                    }
                });
                Ok(())
            }
            answer => answer,
        };
    }

    /// A release looks at the lease in one step and ends it in another.
    #[breaks("REL-3", of_a_release_and_a_spend_one_wins)]
    fn releases_in_two_steps(flaw: &mut Flaw) {
        flaw.torn = Some(Torn::Apart(Call::Release));
    }

    /// A renewal sets the end anew, also to an earlier one.
    #[breaks("REN-1", a_lease_is_never_made_shorter_nor_outlasts_its_package)]
    fn a_renewal_makes_a_lease_shorter(flaw: &mut Flaw) {
        flaw.renew = |records, token, ttl, now| renewed_until(records, token, ttl, now, |_, end| end);
    }

    /// A renewed lease outlasts its package.
    #[breaks("REN-1", a_lease_is_never_made_shorter_nor_outlasts_its_package)]
    fn a_renewed_lease_outlasts_its_package(flaw: &mut Flaw) {
        flaw.renew = |records, token, ttl, now| {
            let mut lease = records.renew(token, ttl, now)?;
            lease.expires_at = lease.expires_at.max(now.after(ttl));
            Ok(lease)
        };
    }

    /// A renewal looks for ref and id, and not for the pool.
    #[breaks("REN-1", a_call_on_one_pool_leaves_the_same_ref_in_another)]
    fn renews_in_every_pool(flaw: &mut Flaw) {
        flaw.reaches = &[Method::Renew];
    }

    /// The new end is answered, and the lease ends as before.
    #[breaks("REN-1", a_renewed_lease_holds_until_its_new_end)]
    fn a_renewal_is_forgotten(flaw: &mut Flaw) {
        flaw.renew = |records, token, ttl, now| {
            let before = records.pool.clone();
            let lease = records.renew(token, ttl, now);
            *records.pool = before;
            lease
        };
    }

    /// A renewal brings back the package of its lease to its place when it lapses, whatever it was to do.
    #[breaks("REN-1", a_renewed_lease_lapses_at_its_new_end)]
    fn a_renewed_lease_always_returns(flaw: &mut Flaw) {
        flaw.renew = |records, token, ttl, now| {
            let lease = records.renew(token, ttl, now)?;
            records.alter(|record| {
                if let State::Reserved(hold) = &mut record.state
                    && record.info.key_package_ref == token.key_package_ref
                {
                    hold.on_lapse = OnLapse::Return;
                }
            });
            Ok(lease)
        };
    }

    /// Who holds a package keeps it for ever, though its owner withdrew it.
    #[breaks("REN-1", the_lease_of_a_recalled_package_keeps_its_end)]
    fn renews_what_was_recalled(flaw: &mut Flaw) {
        flaw.renew = |records, token, ttl, now| renewed_until(records, token, ttl, now, Timestamp::max);
    }

    /// Whoever names a reserved package renews its lease.
    #[breaks("REN-2", a_stranger_cannot_renew)]
    fn renews_by_ref_only(flaw: &mut Flaw) {
        flaw.renew = |records, token, ttl, now| {
            let holder = records.find(&token.key_package_ref).and_then(|record| record.state.bound_id().copied());
            let id = holder.unwrap_or(token.id());
            records.renew(&ReservationToken::new(token.pool.clone(), token.key_package_ref.clone(), id), ttl, now)
        };
    }

    /// A lease that was given back is taken again by a renewal.
    #[breaks("REN-2", a_stranger_cannot_renew)]
    fn renews_what_was_released(flaw: &mut Flaw) {
        flaw.renew = |records, token, ttl, now| match records.renew(token, ttl, now) {
            Err(Rejection::NoLiveReservation) => Ok(Lease::new(token.clone(), now.after(ttl))),
            answer => answer,
        };
    }
}

/// Renews, and sets the end to what `choose` makes of the end before and the end asked for.
fn renewed_until(
    records: &mut Records<'_>,
    token: &ReservationToken,
    ttl: Ttl,
    now: Timestamp,
    choose: fn(Timestamp, Timestamp) -> Timestamp,
) -> Answer<Lease> {
    let lease = records.renew(token, ttl, now)?;
    let end = choose(lease.expires_at, now.after(ttl));
    records.alter(|record| {
        if let State::Reserved(hold) = &mut record.state
            && record.info.key_package_ref == token.key_package_ref
        {
            hold.expires_at = end;
        }
    });
    Ok(Lease::new(token.clone(), end))
}
