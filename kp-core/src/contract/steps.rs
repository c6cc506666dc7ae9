use super::rule::{Rule, rules};

rules! {
    /// Atomicity: every call is one step.
    LIN;

    /// Every call is one atomic step on its pool, between call and return.
    ///
    /// - After an unknown outcome, the step happens at any later moment or never.
    /// - A call on many pools is a series of such steps, and so is a sweep.
    /// - A read sees all that was answered before. Where there are replicas, reads go to the primary.
    LIN_1 = "LIN-1", "every call is one atomic step on its pool";
}

rules! {
    /// Cost: what a call may look at.
    COST;

    /// A call costs O(log n) in all stored packages and, beyond that, at most the packages of its pool.
    ///
    /// No call scans a table or all pools, except sweeps and listings. Sweeps and listings go in bounded steps.
    ///
    /// A list in a call (requests, tokens, refs) has at most 1,000 items ([`MAX_ITEMS`](crate::rules::MAX_ITEMS)), and the
    /// ciphersuites of a request are at most 64 ([`MAX_CIPHERSUITES`](crate::rules::MAX_CIPHERSUITES)). If one list is
    /// longer, the whole call is refused with `TooManyItems`, and settles nothing.
    COST_1 = "COST-1", "nothing scans all packages or all pools, and lists are bounded";
}
