use kp_core::Timestamp;
use kp_core::rules::{Record, State};

use crate::flaw::{Call, Torn};
use crate::wrong_store::wrong_stores;

/// A day, in seconds.
const DAY: i64 = 86_400;

/// Whether the package was used so many days ago, or earlier.
fn used_days_ago(record: &Record, now: Timestamp, days: i64) -> bool {
    matches!(&record.state, State::Used(usage) if usage.at <= now.minus((days * DAY).unsigned_abs()))
}

wrong_stores! {
    /// A sweep forgets spent packages before their end.
    #[breaks("SWEEP-1", a_sweep_removes_what_has_expired_and_nothing_else)]
    fn a_sweep_forgets_spent_packages(flaw: &mut Flaw) {
        flaw.swept = |records, _| records.forget(|record| matches!(record.state, State::Used(_)));
    }

    /// A sweep forgets a used package a day after its use.
    #[breaks("SWEEP-1", what_is_gone_is_remembered_as_long_as_its_package)]
    fn a_sweep_forgets_what_was_used_a_day_ago(flaw: &mut Flaw) {
        flaw.swept = |records, now| records.forget(|record| used_days_ago(record, now, 1));
    }

    /// A sweep forgets a used package a month after its use.
    #[breaks("SWEEP-1", what_is_gone_is_remembered_as_long_as_its_package)]
    fn a_sweep_forgets_what_was_used_a_month_ago(flaw: &mut Flaw) {
        flaw.swept = |records, now| records.forget(|record| used_days_ago(record, now, 30));
    }

    /// A sweep leaves a pool its newest thousand of those that are gone.
    #[breaks("SWEEP-1", a_sweep_leaves_a_large_pool_whole)]
    fn a_sweep_trims_what_is_gone(flaw: &mut Flaw) {
        flaw.swept = |records, _| {
            let gone = records.pool.records.iter().filter(|(record, _)| !record.state.is_unspent_one_time());
            let mut surplus = gone.count().saturating_sub(1_000);
            records.pool.records.retain(|(record, _)| {
                let trimmed = surplus > 0 && !record.state.is_unspent_one_time();
                surplus -= usize::from(trimmed);
                !trimmed
            });
        };
    }

    /// A sweep leaves a pool its newest thousand packages.
    #[breaks("SWEEP-1", a_sweep_leaves_a_large_pool_whole)]
    fn a_sweep_trims_large_pools(flaw: &mut Flaw) {
        flaw.swept = |records, _| {
            let surplus = records.pool.records.len().saturating_sub(1_000);
            records.pool.records.drain(..surplus);
        };
    }

    /// A sweep never says that none is left.
    #[breaks("SWEEP-1", every_sequence_is_answered_as_by_the_rules)]
    fn a_sweep_never_says_that_none_is_left(flaw: &mut Flaw) {
        flaw.cleaned = |count| count.max(1);
    }

    /// A sweep of a used package ends every binding of its id, the later one too.
    #[breaks("RES-5", the_end_of_an_old_binding_leaves_the_new_one)]
    fn a_sweep_unbinds_the_id_elsewhere(flaw: &mut Flaw) {
        flaw.swept = |records, now| {
            let all = records.pool.records.iter();
            let expired = all.filter(|(record, _)| record.is_expired(now));
            let ids: Vec<_> = expired.filter_map(|(record, _)| match &record.state {
                State::Used(usage) => Some(usage.id),
                _ => None,
            }).collect();
            records.alter(|record| {
                if let State::Used(usage) = &mut record.state
                    && ids.contains(&usage.id)
                {
                    usage.bound = false;
                }
            });
        };
    }

    /// A pool that was exhausted is noted as such, and a sweep that empties it leaves the note: with an expired package before
    /// it, no other is found.
    #[breaks("RES-8", a_pool_that_was_emptied_begins_anew)]
    fn a_sweep_leaves_the_note_of_a_pool(flaw: &mut Flaw) {
        flaw.notes_exhausted_pools = true;
    }

    /// Settling goes from lease to lease in the order of the queue, and stops at the first that is live.
    #[breaks("SWEEP-2", a_short_lease_after_a_long_one_ends_first)]
    fn settling_stops_at_a_live_lease(flaw: &mut Flaw) {
        flaw.settle = |records, now| {
            let leased = |record: &Record| record.state.lapses_at().is_some_and(|end| end > now);
            let live = records.pool.records.iter().position(|(record, _)| leased(record));
            let rest = live.map(|live| records.pool.records.split_off(live));
            let settled = records.settle(now);
            records.pool.records.extend(rest.into_iter().flatten());
            settled
        };
    }

    /// The limit of a settling counts pools in which nothing ended.
    #[breaks("SWEEP-2", pools_in_which_nothing_ends_stop_no_settling)]
    fn settling_counts_pools_in_which_nothing_ends(flaw: &mut Flaw) {
        flaw.counts_as_settled = |_| true;
    }

    /// A pool that was leased from stays due when it is gone, and a settling asks for it for ever.
    #[breaks("SWEEP-2", a_pool_that_is_gone_stops_no_settling)]
    fn settling_asks_for_a_pool_that_is_gone(flaw: &mut Flaw) {
        flaw.keeps_gone_pools_due = true;
    }

    /// Leases that have ended wait for the next call on their pool.
    #[breaks("SWEEP-2", leases_and_windows_that_have_ended_are_settled)]
    fn settles_nothing(flaw: &mut Flaw) {
        flaw.settle = |_, _| 0;
    }

    /// Settling retires what lapsed under `Return`.
    #[breaks("SWEEP-2", leases_and_windows_that_have_ended_are_settled)]
    fn settling_retires(flaw: &mut Flaw) {
        flaw.settle = |records, now| {
            records.alter(|record| match &record.state {
                State::Reserved(hold) if hold.expires_at <= now => record.state = State::Retired { at: now },
                _ => (),
            });
            records.settle(now)
        };
    }

    /// A sweep reads all, and writes all back.
    #[breaks("SWEEP-3", sweeps_beside_traffic_disturb_nobody)]
    fn a_sweep_undoes_what_happened_meanwhile(flaw: &mut Flaw) {
        flaw.torn = Some(Torn::Apart(Call::CleanUp));
    }

    /// Settling finds as many pools as it may settle, and says 0 where others were faster.
    #[breaks("SWEEP-2", settling_at_once_leaves_nothing_behind)]
    fn settling_gives_up_where_others_were_faster(flaw: &mut Flaw) {
        flaw.torn = Some(Torn::FindsFirst);
    }

    /// Settling reads a pool, and writes it back.
    #[breaks("SWEEP-3", sweeps_beside_traffic_disturb_nobody)]
    fn settling_undoes_what_happened_meanwhile(flaw: &mut Flaw) {
        flaw.torn = Some(Torn::Apart(Call::Settle));
    }
}
