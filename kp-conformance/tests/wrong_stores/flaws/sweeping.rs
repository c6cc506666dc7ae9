use kp_core::rules::State;

use crate::flaw::{Call, Torn};
use crate::wrong_store::wrong_stores;

wrong_stores! {
    /// A sweep forgets spent packages before their end.
    #[breaks("SWEEP-1", a_sweep_removes_what_has_expired_and_nothing_else)]
    fn a_sweep_forgets_spent_packages(flaw: &mut Flaw) {
        flaw.swept = |records, _| records.forget(|record| matches!(record.state, State::Used(_)));
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

    /// Settling reads a pool, and writes it back.
    #[breaks("SWEEP-3", sweeps_beside_traffic_disturb_nobody)]
    fn settling_undoes_what_happened_meanwhile(flaw: &mut Flaw) {
        flaw.torn = Some(Torn::Apart(Call::Settle));
    }
}
