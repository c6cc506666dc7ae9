use kp_core::rules::{PoolRecords, Record, State, fits};
use kp_core::server::{LastResort, OnLapse, TakeRequest};
use kp_core::{Party, Rejection};

use crate::flaw::{Call, Torn, sure};
use crate::wrong_store::wrong_stores;

/// The same request by the party's name in small letters.
fn in_small_letters(take: &TakeRequest) -> TakeRequest {
    let mut small = take.clone();
    small.options.by = take
        .options
        .by
        .as_ref()
        .and_then(|by| Party::try_from(by.as_bytes().to_ascii_lowercase()).ok());
    small
}

wrong_stores! {
    /// A package that is reserved is handed out again.
    #[breaks("RES-1", one_id_holds_a_package_whatever_the_time)]
    fn hands_out_what_is_reserved(flaw: &mut Flaw) {
        flaw.oldest = |pool, options, now| {
            pool.records.iter().find_map(|(record, kept)| {
                let chosen = record.state.is_unspent_one_time() && fits(&record.info, options, now);
                Some((record.clone(), kept.bytes.clone()?)).filter(|_| chosen)
            })
        };
    }

    /// A reservation finds a package in one step and writes the lease in another.
    #[breaks("RES-1", four_hundred_reservations_get_four_hundred_packages)]
    fn reserves_in_two_steps(flaw: &mut Flaw) {
        flaw.torn = Some(Torn::Apart(Call::Reserve));
    }

    /// The queue begins behind the last that are gone, fifty in a row, whatever is leased before them.
    #[breaks("RES-2", what_returns_before_many_that_are_gone_is_the_oldest)]
    fn begins_behind_what_is_gone(flaw: &mut Flaw) {
        flaw.oldest = |pool, options, now| {
            let gone = |(record, _): &(Record, _)| !record.state.is_unspent_one_time();
            let fifty = pool.records.windows(50).rposition(|fifty| fifty.iter().all(gone));
            let mut queue = pool.clone();
            queue.records.drain(..fifty.map_or(0, |first| first + 50));
            sure(queue.oldest_that_fits(options, now))
        };
    }

    /// The newest package is handed out first.
    #[breaks("RES-2", the_oldest_saved_is_handed_out_first)]
    fn hands_out_the_newest(flaw: &mut Flaw) {
        flaw.oldest = |pool, options, now| {
            pool.records.iter().rev().find_map(|(record, kept)| {
                let chosen = record.state == State::Free && fits(&record.info, options, now);
                Some((record.clone(), kept.bytes.clone()?)).filter(|_| chosen)
            })
        };
    }

    /// A package that returns goes to the end of the queue.
    #[breaks("RES-2", a_package_that_returns_keeps_its_place)]
    fn a_package_that_returns_loses_its_place(flaw: &mut Flaw) {
        flaw.update = |pool, before, mut after| {
            if after.state != State::Free {
                return sure(pool.update(before, after.state));
            }
            let place = pool.records.iter().position(|(record, _)| record.sequence == before.sequence);
            after.sequence = sure(pool.next_sequence());
            if let Some(place) = place {
                let (_, kept) = pool.records.remove(place);
                pool.records.push((after, kept));
            }
        };
    }

    /// The queue begins behind the packages that have expired, where they are many.
    #[breaks("RES-2", many_that_have_expired_hide_nothing)]
    fn passes_over_what_returned_among_many(flaw: &mut Flaw) {
        flaw.oldest = |pool, options, now| {
            let expired = pool.records.iter().enumerate().filter(|(_, (record, _))| record.is_expired(now));
            let expired: Vec<_> = expired.map(|(place, _)| place).collect();
            let behind = expired.last().filter(|_| expired.len() >= 100).map_or(0, |last| last + 1);
            pool.records.iter().skip(behind).find_map(|(record, kept)| {
                let chosen = record.state == State::Free && fits(&record.info, options, now);
                Some((record.clone(), kept.bytes.clone()?)).filter(|_| chosen)
            })
        };
    }

    /// What a request has passed over, because it had expired by then, is not looked for again.
    #[breaks("RES-2", what_was_passed_over_is_there_where_the_clock_is_behind)]
    fn what_was_passed_over_is_gone(flaw: &mut Flaw) {
        flaw.oldest = |pool, options, now| {
            let used = pool.records.iter().enumerate().filter_map(|(place, (record, _))| match &record.state {
                State::Used(usage) => Some((place, usage.at)),
                _ => None,
            });
            let used: Vec<_> = used.collect();
            pool.records.iter().enumerate().find_map(|(place, (record, kept))| {
                let passed_over = used.iter().any(|(later, at)| *later > place && record.is_expired(*at));
                let chosen = record.state == State::Free && fits(&record.info, options, now) && !passed_over;
                Some((record.clone(), kept.bytes.clone()?)).filter(|_| chosen)
            })
        };
    }

    /// A package has the place that is as far from the first as there are packages: when the newest are swept, it is given
    /// out twice.
    #[breaks("RES-2", every_package_has_a_place_of_its_own)]
    fn gives_a_place_out_twice(flaw: &mut Flaw) {
        flaw.insert = |pool, mut record, kept| {
            record.sequence = pool.records.len() as u64;
            sure(pool.insert(&record, kept));
        };
    }

    /// The window of a claim goes beyond the end of its package.
    #[breaks("RES-4", a_claims_window_ends_with_its_package)]
    fn a_claims_window_outlives_its_package(flaw: &mut Flaw) {
        flaw.claim = |records, take, group, now| {
            let claimed = records.claim(take, group, now)?;
            records.alter(|record| {
                if let State::Used(usage) = &mut record.state
                    && usage.id == take.id
                    && let Some(window) = &mut usage.window
                {
                    window.expires_at = usage.at.after(take.ttl);
                }
            });
            Ok(claimed)
        };
    }

    /// Whatever ciphersuite is asked for, the oldest is handed out.
    #[breaks("RES-3", only_what_fits_is_handed_out)]
    fn any_ciphersuite_will_do(flaw: &mut Flaw) {
        flaw.reserve = |records, take, lapse, now| {
            let any = take.options.clone().ciphersuites([]);
            records.reserve(&take.clone().options(any), lapse, now)
        };
    }

    /// Nobody looks how much lifetime is left.
    #[breaks("RES-3", only_what_fits_is_handed_out)]
    fn any_lifetime_will_do(flaw: &mut Flaw) {
        flaw.reserve = |records, take, lapse, now| {
            let any = take.options.clone().remaining(0);
            records.reserve(&take.clone().options(any), lapse, now)
        };
    }

    /// A lease is said to last beyond the end of its package.
    #[breaks("RES-4", a_lease_ends_with_its_package_at_the_latest)]
    fn a_lease_outlives_its_package(flaw: &mut Flaw) {
        flaw.reserve = |records, take, lapse, now| {
            let mut reserved = records.reserve(take, lapse, now)?;
            if let Some(lease) = &mut reserved.lease {
                lease.expires_at = lease.expires_at.max(now.after(take.ttl));
            }
            Ok(reserved)
        };
    }

    /// The same id again is a new request.
    #[breaks("RES-5", the_same_id_is_the_same_reservation)]
    fn drops_idempotency(flaw: &mut Flaw) {
        flaw.by_id = |_, _| None;
    }

    /// An id is forgotten when its package is used.
    #[breaks("RES-5", the_same_claim_returns_the_same_package)]
    fn a_used_id_is_free_again(flaw: &mut Flaw) {
        flaw.by_id = |pool, id| sure(pool.by_id(id)).filter(|record| matches!(record.state, State::Reserved(_)));
    }

    /// A bound id gets its package, whatever ciphersuites the caller can use.
    #[breaks("RES-5", a_bound_id_with_other_ciphersuites_is_a_conflict)]
    fn a_retry_may_ask_for_anything(flaw: &mut Flaw) {
        flaw.claim = |records, take, group, now| {
            let mut take = take.clone();
            if sure(records.by_id(&take.id)).is_some() {
                take.options.ciphersuites.clear();
            }
            records.claim(&take, group, now)
        };
    }

    /// A pool whose packages do not fit is said to be exhausted.
    #[breaks("RES-6", exhausted_and_nothing_fits_are_told_apart)]
    fn nothing_fits_is_exhausted(flaw: &mut Flaw) {
        flaw.reserve = |records, take, lapse, now| {
            records.reserve(take, lapse, now).map_err(|rejection| match rejection {
                Rejection::NothingFits => Rejection::PoolExhausted,
                other => other,
            })
        };
    }

    /// Used packages do not count against the limit of who reserved them.
    #[breaks("RES-7", used_packages_count_until_their_lease_would_have_ended)]
    fn the_limit_counts_only_leases(flaw: &mut Flaw) {
        flaw.count_taken_by = |pool, party| {
            let leased = pool.records.iter().filter(|(record, _)| {
                matches!(record.state, State::Reserved(_)) && record.state.reserver() == Some(party)
            });
            u32::try_from(leased.count()).unwrap_or(u32::MAX)
        };
    }

    /// Who loses a race for a package is told that the pool is exhausted.
    #[breaks("RES-8", four_hundred_reservations_get_four_hundred_packages)]
    fn the_loser_of_a_race_finds_the_pool_exhausted(flaw: &mut Flaw) {
        flaw.torn = Some(Torn::LooksFirst);
    }

    /// Every lapsed package returns.
    #[breaks("RES-9", leases_and_windows_that_have_ended_are_settled)]
    fn never_retires(flaw: &mut Flaw) {
        flaw.reserve = |records, take, _, now| records.reserve(take, OnLapse::Return, now);
    }

    /// The limit is looked at before the id.
    #[breaks("RES-10", a_request_is_judged_in_order)]
    fn the_limit_is_judged_first(flaw: &mut Flaw) {
        flaw.reserve = |records, take, lapse, now| {
            records.settle(now);
            if let (Some(by), Some(limit)) = (&take.options.by, take.limit)
                && sure(records.pool.count_taken_by(by)) >= limit
            {
                return Err(Rejection::TooManyReservations);
            }
            records.reserve(take, lapse, now)
        };
    }

    /// The last resort is handed out before the packages that fit.
    #[breaks("RES-10", every_sequence_is_answered_as_by_the_rules)]
    fn last_resort_comes_first(flaw: &mut Flaw) {
        flaw.reserve = |records, take, lapse, now| {
            let only = take.options.clone().last_resort(LastResort::Only);
            let first = take.clone().options(only);
            match records.reserve(&first, lapse, now) {
                Ok(reserved) if take.options.last_resort == LastResort::Fallback => Ok(reserved),
                _ => records.reserve(take, lapse, now),
            }
        };
    }

    /// One claim takes twenty packages and answers with one: an `UPDATE ... WHERE id IN (SELECT ... LIMIT 1 FOR UPDATE SKIP
    /// LOCKED)` whose inner query runs again for each row.
    #[breaks("CLAIM-1", one_request_takes_one_package)]
    fn a_claim_takes_twenty(flaw: &mut Flaw) {
        flaw.claim = |records, take, group, now| {
            let claimed = records.claim(take, group, now)?;
            let used = records.find(&claimed.info.key_package_ref).map(|record| record.state);
            let free = records.pool.records.iter_mut().filter(|(record, _)| record.state == State::Free);
            for (record, kept) in free.take(19) {
                if let Some(State::Used(usage)) = &used {
                    record.state = State::Used(usage.clone());
                    kept.bytes = None;
                }
            }
            Ok(claimed)
        };
    }

    /// The same of a reservation, in a pool of hundreds alone.
    #[breaks("RES-1", one_request_takes_one_package)]
    fn a_reservation_in_a_large_pool_takes_twenty(flaw: &mut Flaw) {
        flaw.reserve = |records, take, lapse, now| {
            let reserved = records.reserve(take, lapse, now)?;
            let lease = records.find(&reserved.package.info.key_package_ref).map(|record| record.state);
            let large = records.pool.records.len() >= 200;
            let free = records.pool.records.iter_mut().filter(|(record, _)| large && record.state == State::Free);
            for (record, _) in free.take(19) {
                if let Some(State::Reserved(lease)) = &lease {
                    record.state = State::Reserved(lease.clone());
                }
            }
            Ok(reserved)
        };
    }

    /// A claim is replayed to whoever knows its id, for any group.
    #[breaks("CLAIM-1", another_party_or_group_gets_no_replay)]
    fn replays_a_claim_for_another_group(flaw: &mut Flaw) {
        flaw.claim = |records, take, group, now| {
            let group = match sure(records.pool.by_id(&take.id)).map(|record| record.state) {
                Some(State::Used(usage)) => usage.group,
                _ => group.cloned(),
            };
            records.claim(take, group.as_ref(), now)
        };
    }

    /// The bytes of a claimed package go at once, so that no claim is replayed.
    #[breaks("CLAIM-1", the_same_claim_returns_the_same_package)]
    fn replays_no_claim(flaw: &mut Flaw) {
        flaw.update = |pool, before, mut after| {
            if let State::Used(usage) = &mut after.state
                && let Some(window) = &mut usage.window
            {
                window.replayable = false;
            }
            sure(pool.update(before, after.state));
        };
    }

    /// A claim finds a package in one step and spends it in another.
    #[breaks("CLAIM-1", concurrent_claims_get_distinct_packages)]
    fn claims_in_two_steps(flaw: &mut Flaw) {
        flaw.torn = Some(Torn::Apart(Call::Claim));
    }

    /// A batch of claims locks pool by pool, in its own order, and keeps the locks until its end: two in opposite orders wait
    /// for each other.
    #[breaks("LIN-1", batches_over_pools_in_opposite_orders_are_all_answered)]
    fn batches_deadlock(flaw: &mut Flaw) {
        flaw.torn = Some(Torn::LocksAsItGoes);
    }

    /// Parties are compared without regard to capitals.
    #[breaks("PRIV-1", parties_and_groups_are_compared_as_bytes)]
    fn compares_parties_without_capitals(flaw: &mut Flaw) {
        flaw.claim = |records, take, group, now| records.claim(&in_small_letters(take), group, now);
    }
}
