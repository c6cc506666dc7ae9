use kp_core::rules::{PoolRecords, State, fits};
use kp_core::{Lifetime, Rejection, Timestamp};

use crate::flaw::{Call, Torn, sure};
use crate::wrong_store::wrong_stores;

wrong_stores! {
    /// A lease holds for a second after its end.
    #[breaks("TIME-1", times_at_their_bounds_are_exact)]
    fn leases_hold_a_second_too_long(flaw: &mut Flaw) {
        flaw.lapsed = |pool, now| sure(pool.lapsed(now.minus(1)));
    }

    /// The end of a lifetime is kept in 32 bits.
    #[breaks("TIME-1", times_at_their_bounds_are_exact)]
    fn keeps_times_in_32_bits(flaw: &mut Flaw) {
        flaw.insert = |pool, mut record, item| {
            let lifetime = record.info.lifetime;
            let end = Timestamp::new(u32::MAX.into()).map_or(lifetime.not_after(), |max| lifetime.not_after().min(max));
            record.info.lifetime = Lifetime::new(lifetime.not_before(), end).unwrap_or(lifetime);
            sure(pool.insert(&record, item));
        };
    }

    /// A call that is refused is rolled back, and so is what had ended.
    #[breaks("TIME-2", a_changing_call_settles_its_pool_also_when_refused)]
    fn a_refusal_undoes_the_settling(flaw: &mut Flaw) {
        flaw.spend = |records, token, usage, now| {
            let before = records.pool.clone();
            let answer = records.spend(token, usage, now);
            if answer.is_err() {
                *records.pool = before;
            }
            answer
        };
    }

    /// A read settles the pool for good.
    #[breaks("TIME-2", what_is_no_call_on_the_pool_settles_nothing)]
    fn settles_in_a_read(flaw: &mut Flaw) {
        flaw.read = |records, now| _ = records.settle(now);
    }

    /// The sweep of expired packages settles the pools.
    #[breaks("TIME-2", what_is_no_call_on_the_pool_settles_nothing)]
    fn settles_in_a_sweep(flaw: &mut Flaw) {
        flaw.swept = |records, now| _ = records.settle(now);
    }

    /// Whether a lease has lapsed is judged by the clock of each call, and never written down.
    #[breaks("TIME-3", a_changing_call_settles_its_pool_also_when_refused)]
    fn what_has_ended_begins_again(flaw: &mut Flaw) {
        flaw.lapsed = |_, _| Vec::new();
        flaw.oldest = |pool, options, now| {
            let records = pool.records.iter().map(|(record, kept)| (record.clone().settled(now), kept.bytes.clone()));
            let mut free = records.filter(|(record, _)| record.state == State::Free && fits(&record.info, options, now));
            free.find_map(|(record, bytes)| Some((record, bytes?)))
        };
        flaw.spend = |records, token, usage, now| match records.find(&token.key_package_ref) {
            Some(record) if record.clone().settled(now).state == State::Free => Err(Rejection::NoLiveReservation),
            _ => records.spend(token, usage, now),
        };
    }

    /// A save reads the pool, counts, and writes the pool back in another step.
    #[breaks("LIN-1", concurrent_saves_fill_the_cap_exactly)]
    fn saves_in_two_steps(flaw: &mut Flaw) {
        flaw.torn = Some(Torn::Apart(Call::Save));
    }

    /// A claim writes back the pool as it read it, with what others did meanwhile undone.
    #[breaks("LIN-1", every_history_is_linearizable)]
    fn undoes_what_happened_meanwhile(flaw: &mut Flaw) {
        flaw.torn = Some(Torn::Apart(Call::Claim));
    }

    /// A sweep takes no notice of its limit.
    #[breaks("COST-1", a_sweep_goes_in_bounded_steps)]
    fn sweeps_all_at_once(flaw: &mut Flaw) {
        flaw.sweep_limit = |_| u32::MAX;
    }
}
