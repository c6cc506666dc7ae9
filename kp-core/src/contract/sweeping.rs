use super::rule::{Rule, rules};

rules! {
    /// Sweeping: housekeeping beside live traffic. No answer depends on whether a sweep ran, with one exception: a
    /// package past its `not_after` is answered from its record until the package is swept, and as unknown afterwards.
    SWEEP;

    /// `cleanup_expired` removes what is past `not_after`, at most `limit` packages, and returns how many. The number
    /// is 0 only when no such package is left.
    ///
    /// What is swept is forgotten: pass a `now` that no node's clock is still behind ([DIR-4](super::DIR_4)).
    SWEEP_1 = "SWEEP-1", "what is past not_after is forgotten";

    /// `release_expired_reservations` settles pools in which a lease or a window has ended, at most `limit` pools, and
    /// returns how many leases and windows it ended. The number is 0 only when none is left.
    ///
    /// No answer to a call with the same or a later `now` changes.
    SWEEP_2 = "SWEEP-2", "leases that ended are settled";

    /// Sweeps run beside live traffic. A sweep goes in bounded steps ([COST-1](super::COST_1)), each of them atomic
    /// ([LIN-1](super::LIN_1)), so that other calls go on between the steps.
    SWEEP_3 = "SWEEP-3", "sweeps run beside live traffic";
}
